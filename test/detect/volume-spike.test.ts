import { describe, expect, test } from 'vitest'
import { volumeSpike } from '../../src/detect/detectors/volume-spike.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { expectedVolume, spreadOf } from '../../src/detect/expected-volume.ts'
import { find, hourOf, isWeekday, learnt, NOON_MS, usage } from './history.ts'

/** 12 requests an hour round the clock, one in five minutes at the most. */
const steady = learnt({ days: 28, hour: () => [{ requests: 12 }] })
const nowMs = NOON_MS + 10_000
const spread = (requests: number, cell = {}) =>
  Array.from({ length: 60 }, (_, ago) => ({ ago, requests: requests / 60, ...cell }))

describe('volume_spike', () => {
  test('fires on far more requests in an hour than are usual, and says by how much', () => {
    const [finding, ...more] = find(volumeSpike, { usage: usage(spread(360), nowMs), profile: steady, nowMs })
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      detector: 'volume_spike',
      keyId: 'key-7',
      scope: '',
      severity: 'warning',
    })
    expect(finding?.summary).toMatch(
      /^key-7 (made 360 requests|spent \$0\.36|used 360,000 tokens) in 1 hour; .* usual on Wednesday at 12:00$/,
    )
    expect(finding?.evidence).toMatchObject({
      window: { start: '2026-03-04T11:01:00.000Z', end: '2026-03-04T12:00:10.000Z' },
      history: { days: 28, events: 28 * 24 * 12 },
      setting: 'detectors.volume_spike.sensitivity: medium',
      top_country: { value: 'US', share: 1 },
    })
    const fired = finding?.evidence['fired'] as { metric: string; expected: { low: number; high: number } }[]
    const requests = fired.find(({ metric }) => metric === 'requests')
    expect(requests?.expected.low).toBeLessThan(12)
    expect(requests?.expected.high).toBeGreaterThan(12)
    expect(requests?.expected.high).toBeLessThan(60)
  })

  test('however wildly the key has varied, its spread is bounded: beyond that the tail loses its digits', () => {
    const wild = { ...steady, volume: { ...steady.volume, excess: 5e15, squares: 0 } }
    expect(spreadOf(wild)).toBe(1e6)
    expect(expectedVolume(wild, NOON_MS, NOON_MS + HOUR_MS).size).toBeCloseTo(1e-6, 8)
  })

  test('fires within five minutes on a burst, long before the hour would show it', () => {
    const burst = usage(
      [
        { ago: 0, requests: 60 },
        { ago: 1, requests: 60 },
      ],
      nowMs,
    )
    const [finding] = find(
      volumeSpike,
      { usage: burst, profile: steady, nowMs },
      { metrics: ['requests'], windows: ['5m'] },
    )
    expect(finding?.summary).toMatch(
      /^key-7 made 120 requests in 5 minutes; \w+( to \d+)? are usual on Wednesday at 12:00$/,
    )
  })

  test('is silent at the usual volume, and at twice of it', () => {
    for (const requests of [12, 24]) {
      expect(
        find(
          volumeSpike,
          { usage: usage(spread(requests), nowMs), profile: steady, nowMs },
          { sensitivity: 'high', min_requests: 1 },
        ),
      ).toEqual([])
    }
  })

  test('a key at its usual daily peak is not a spike, however quiet the rest of its day', () => {
    const profile = learnt({ days: 28, hour: (hourMs) => (hourOf(hourMs) === 11 ? [{ requests: 300 }] : []) })
    expect(find(volumeSpike, { usage: usage(spread(330), NOON_MS), profile, nowMs: NOON_MS })).toEqual([])
    const night = NOON_MS + 14 * HOUR_MS
    expect(find(volumeSpike, { usage: usage(spread(330), night), profile, nowMs: night })).toHaveLength(1)
  })

  test('a key that works in bursts at any hour must exceed its own peak', () => {
    const burstHour = (hourMs: number) => (7 * Math.floor(hourMs / DAY_MS)) % 24
    const bursts = learnt({
      days: 28,
      hour: (hourMs) => (hourOf(hourMs) === burstHour(hourMs) ? [{ requests: 300 }] : []),
    })
    const at = (requests: number) =>
      find(
        volumeSpike,
        { usage: usage(spread(requests), nowMs), profile: bursts, nowMs },
        { sensitivity: 'high' },
      )
    expect(at(330)).toEqual([])
    expect(at(1_200)).toHaveLength(1)
  })

  test('a volume that is usual on weekdays is a spike on a Sunday', () => {
    const profile = learnt({ days: 56, hour: (hourMs) => [{ requests: isWeekday(hourMs) ? 200 : 5 }] })
    const sunday = NOON_MS + 4 * DAY_MS
    expect(find(volumeSpike, { usage: usage(spread(200), NOON_MS), profile, nowMs: NOON_MS })).toEqual([])
    expect(
      find(volumeSpike, { usage: usage(spread(240), sunday), profile, nowMs: sunday }, { windows: ['1h'] }),
    ).toHaveLength(1)
  })

  test('refused calls are no volume: a storm of retries is silent', () => {
    const storm = usage([{ ago: 0, requests: 5_000, refused: 4_995 }], nowMs)
    expect(find(volumeSpike, { usage: storm, profile: steady, nowMs })).toEqual([])
  })

  test('the same number of requests that use many times the tokens is a spike of tokens and cost', () => {
    const dear = usage(
      [{ ago: 0, requests: 12, inputTokens: 480_000, outputTokens: 120_000, costNanoUsd: 600_000_000 }],
      nowMs,
    )
    const [finding] = find(volumeSpike, { usage: dear, profile: steady, nowMs })
    expect(finding?.summary).toMatch(/^key-7 (spent \$0\.60|used 600,000 tokens) in (5 minutes|1 hour); /)
    expect(find(volumeSpike, { usage: dear, profile: steady, nowMs }, { metrics: ['requests'] })).toEqual([])
  })

  test('one dear request is no spike', () => {
    const cells = [
      ...Array.from({ length: 11 }, (_, n) => ({ ago: 5 * n + 2 })),
      { costNanoUsd: 900_000_000, inputTokens: 900_000 },
    ]
    expect(
      find(volumeSpike, { usage: usage(cells, nowMs), profile: steady, nowMs }, { sensitivity: 'high' }),
    ).toEqual([])
  })

  test('requests whose price is unknown neither hide nor make a spike of cost', () => {
    const unpriced = usage([{ ago: 0, requests: 600, costNanoUsd: 0, unpriced: 600 }], nowMs)
    expect(find(volumeSpike, { usage: unpriced, profile: steady, nowMs }, { metrics: ['cost'] })).toEqual([])
    expect(
      find(volumeSpike, { usage: unpriced, profile: steady, nowMs }, { metrics: ['requests'] }),
    ).toHaveLength(1)
  })

  test('stays silent below min_requests, while it learns, and at a lower sensitivity for a milder excess', () => {
    const rare = learnt({ days: 28, hour: (hourMs) => (hourOf(hourMs) === 9 ? [{ requests: 1 }] : []) })
    const some = { usage: usage([{ ago: 0, requests: 19 }], nowMs), profile: rare, nowMs }
    expect(find(volumeSpike, some)).toEqual([])
    expect(find(volumeSpike, some, { min_requests: 10, sensitivity: 'high' })).toHaveLength(1)

    const young = learnt({ days: 2, hour: () => [{ requests: 12 }] })
    expect(find(volumeSpike, { usage: usage(spread(3_600), nowMs), profile: young, nowMs })).toEqual([])

    const mild = { usage: usage(spread(60), nowMs), profile: steady, nowMs }
    expect(find(volumeSpike, mild, { sensitivity: 'high' })).toHaveLength(1)
    expect(find(volumeSpike, mild, { sensitivity: 'low' })).toEqual([])
  })

  test('windows are whole minutes from one minute to an hour, or whole hours up to a day', () => {
    for (const windows of [['30s'], ['90s'], ['61m'], ['25h'], []]) {
      expect(volumeSpike.settings.safeParse({ windows }).success).toBe(false)
    }
    expect(volumeSpike.settings.parse({ windows: ['10m'] })).toMatchObject({ windows: [600_000] })
  })
})
