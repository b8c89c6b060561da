import { describe, expect, test } from 'vitest'
import { volumeSpike } from '../../src/detect/detectors/volume-spike.ts'
import { find, learnt, NOON_MS, usage } from './history.ts'

const NOW_MS = NOON_MS + 30 * 60_000
/** Ten requests of 1,000 tokens in every hour. */
const habit = learnt({ days: 21, hour: () => [{ requests: 10 }] })

/** Twelve requests, a minute apart, of so many tokens each. */
function found(tokens: number, more: { profile?: typeof habit; settings?: Record<string, unknown> } = {}) {
  const cells = Array.from({ length: 12 }, (_, ago) => ({ ago, inputTokens: tokens, outputTokens: 0 }))
  const { profile = habit, settings } = more
  return find(volumeSpike, { usage: usage(cells, NOW_MS), profile, nowMs: NOW_MS }, settings).filter(
    ({ scope }) => scope === 'request_size',
  )
}

describe('volume_spike, of larger requests', () => {
  test('warns of the usual number of requests that are ten times as large', () => {
    const [finding] = found(10_000)
    expect(finding).toMatchObject({
      severity: 'warning',
      evidence: { metric: 'tokens_per_request', observed: 10_000, expected: { mean: 1000 }, times_usual: 10 },
    })
    expect(finding?.summary).toContain('10,000 tokens a request')
  })

  describe('on a key that is used a few times an hour', () => {
    /** Three requests of 1,000 tokens in every hour, of which one now and then has so many. */
    const seldom = (largestTokensPerRequest: number) =>
      learnt({ days: 21, hour: () => [{ requests: 3 }], largestTokensPerRequest })
    const of = (sizes: readonly number[], largest = 3_000) => {
      const cells = sizes.map((tokens, at) => ({ ago: 12 * at, inputTokens: tokens, outputTokens: 0 }))
      const seen = { usage: usage(cells, NOW_MS), profile: seldom(largest), nowMs: NOW_MS }
      return find(volumeSpike, seen).find(({ scope }) => scope === 'request_size')
    }

    test('two requests of twenty times the usual size are enough, when none was ever nearly as large', () => {
      expect(of([1_000, 20_000, 900, 20_000])).toMatchObject({
        severity: 'warning',
        evidence: { requests: 4 },
      })
      expect(of([1_000, 20_000, 900])).toBeUndefined()
    })

    test('the more of them, the surer', () => {
      const scores = [2, 3, 4, 5].map((many) => of(Array<number>(many).fill(12_000))?.score ?? 0)
      expect(scores).toEqual(scores.toSorted((a, b) => a - b))
      expect(new Set(scores).size).toBe(4)
    })

    test('two that are as large as some before are none, and four no more than odd', () => {
      const [two = 0, four = 0] = [2, 4].map((many) => of(Array<number>(many).fill(12_000), 12_000)?.score)
      expect(two).toBeLessThan(2.5)
      expect(four).toBeGreaterThan(two)
    })

    test('thousands are no less sure than a dozen', () => {
      const cell = (requests: number) => ({ requests, inputTokens: 900_000 * requests, outputTokens: 0 })
      const [dozen = 0, thousands = 0] = [12, 5_000].map((requests) => {
        const seen = { usage: usage([cell(requests)], NOW_MS), profile: seldom(3_000), nowMs: NOW_MS }
        return find(volumeSpike, seen).find(({ scope }) => scope === 'request_size')?.score
      })
      expect(dozen).toBeGreaterThan(5)
      expect(thousands).toBeGreaterThanOrEqual(dozen)
    })

    test('two are not judged before a largest request is known', () => {
      expect(of([20_000, 20_000], 0)).toBeUndefined()
    })
  })

  test('says nothing of prompts that have doubled', () => {
    expect(found(2_500)).toEqual([])
  })

  test('says nothing of one huge request among usual ones', () => {
    const cells = Array.from({ length: 12 }, (_, ago) => ({ ago, inputTokens: ago === 3 ? 500_000 : 1_000 }))
    const seen = { usage: usage(cells, NOW_MS), profile: habit, nowMs: NOW_MS }
    expect(find(volumeSpike, seen).filter(({ scope }) => scope === 'request_size')).toEqual([])
  })

  test('says nothing of a key that sends as large requests in some of its hours', () => {
    const profile = learnt({
      days: 21,
      hour: (hourMs) => [
        { requests: 10, ...(hourMs % (24 * 3_600_000) === 0 ? { inputTokens: 120_000 } : {}) },
      ],
    })
    expect(found(10_000, { profile })).toEqual([])
  })

  test('is silent when tokens are not among the metrics', () => {
    expect(found(10_000, { settings: { metrics: ['requests'] } })).toEqual([])
  })
})
