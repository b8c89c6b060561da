import { describe, expect, test } from 'vitest'
import { SeriesScorer } from '../../scripts/eval/series-scorer.ts'

const rows = Array.from({ length: 900 }, (_, n) => 100 + 10 * Math.sin(n) + (n >= 700 && n < 705 ? 400 : 0))
const scores = (values: readonly number[]): number[] => {
  const scorer = new SeriesScorer()
  return values.map((value, n) => scorer.add(value, n * 300_000))
}

describe('the score of a series', () => {
  test('of a row depends on no later row', () => {
    for (const cut of [100, 700, 702, 850])
      expect(scores(rows.slice(0, cut))).toEqual(scores(rows).slice(0, cut))
  })

  test('is highest at the first row of an outbreak, and 0 for the repeats of its spell', () => {
    const all = scores(rows)
    expect(all.indexOf(Math.max(...all))).toBe(700)
    expect(all.slice(701, 900).every((score) => score === 0)).toBe(true)
  })

  test('is a number from 0 to 1 whatever the values', () => {
    for (const values of [
      Array<number>(300).fill(0),
      rows.map((value) => -value),
      rows.map((value) => value * 1e9),
      [Number.NaN, ...rows],
    ])
      for (const score of scores(values)) expect(score >= 0 && score <= 1).toBe(true)
  })
})
