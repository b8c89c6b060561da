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
