import { describe, expect, test } from 'vitest'
import {
  logBinomialTail,
  logGamma,
  logNegativeBinomialTail,
  logOverdispersedTail,
  logPoissonTail,
  logStudentTail,
  overdispersedQuantile,
} from '../../src/detect/statistics.ts'

describe('tails in log space', () => {
  // Computed with 60-digit decimal arithmetic.
  test.each([
    ['Poisson: 60 and more at a mean of 10', logPoissonTail(60, 10), -60.29463125605696],
    ['Poisson: 5000 and more at a mean of 1000', logPoissonTail(5_000, 1_000), -4052.14403288939],
    ['negative binomial: 1000, size 2, p 0.2', logNegativeBinomialTail(1_000, 2, 0.2), -217.8402464061507],
    [
      'negative binomial: 5000, size 1.5, p 0.05',
      logNegativeBinomialTail(5_000, 1.5, 0.05),
      -253.5829900087862,
    ],
    ['binomial: 400 of 500 at 0.02', logBinomialTail(400, 500, 0.02), -1319.73398599551],
  ])('%s agrees with exact arithmetic to 12 digits', (_name, computed, exact) => {
    expect(Math.abs(computed - exact)).toBeLessThan(Math.abs(exact) * 1e-12)
  })

  test('below the mean, where the tail is nearly 1, the tails are exact as well', () => {
    // 1 - e^-5 (1 + 5 + 12.5), 1 - 0.2^2 (1 + 2 * 0.8), 1 - 0.98^500.
    expect(Math.exp(logPoissonTail(3, 5))).toBeCloseTo(1 - Math.exp(-5) * 18.5, 14)
    expect(Math.exp(logNegativeBinomialTail(2, 2, 0.2))).toBeCloseTo(1 - 0.04 * 2.6, 14)
    expect(Math.exp(logBinomialTail(1, 500, 0.02))).toBeCloseTo(1 - 0.98 ** 500, 14)
  })

  test('ends of the range are certain or impossible, never NaN', () => {
    expect(logPoissonTail(0, 5)).toBe(0)
    expect(logPoissonTail(1, 0)).toBe(-Infinity)
    expect(logOverdispersedTail(0, 5, 2)).toBe(0)
    expect(logOverdispersedTail(3, 0, 2)).toBe(-Infinity)
    expect(logBinomialTail(3, 2, 0.5)).toBe(-Infinity)
    expect(logBinomialTail(2, 2, 1)).toBe(0)
  })

  test("Student's tails agree with their closed forms for one and two degrees of freedom, far out and on both sides", () => {
    for (const t of [0, 0.5, 3, 40]) {
      expect(Math.exp(logStudentTail(t, 1))).toBeCloseTo(0.5 - Math.atan(t) / Math.PI, 14)
      expect(Math.exp(logStudentTail(t, 2))).toBeCloseTo((1 - t / Math.sqrt(2 + t * t)) / 2, 14)
      expect(Math.exp(logStudentTail(-t, 2))).toBeCloseTo((1 + t / Math.sqrt(2 + t * t)) / 2, 14)
    }
    // 1 / (pi t) far out, which 1 - cdf could not tell from nothing.
    expect(logStudentTail(1e12, 1)).toBeCloseTo(-Math.log(Math.PI * 1e12), 10)
  })

  test('a negative binomial of huge size is a Poisson', () => {
    expect(logOverdispersedTail(60, 10, 1e6)).toBeCloseTo(logPoissonTail(60, 10), 1)
    expect(logOverdispersedTail(60, 10, 1e12)).toBe(logPoissonTail(60, 10))
  })

  test('the log of the gamma function is right for halves and for factorials', () => {
    expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 14)
    expect(logGamma(11)).toBeCloseTo(Math.log(3_628_800), 13)
  })

  test('quantiles enclose 95 % of a Poisson of mean 10: 4 to 17', () => {
    expect([overdispersedQuantile(0.975, 10, 1e9), overdispersedQuantile(0.025, 10, 1e9)]).toEqual([4, 17])
    expect(overdispersedQuantile(0.025, 0, 1)).toBe(0)
  })
})
