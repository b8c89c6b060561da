import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test, vi } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import type { Calm } from '../../src/detect/calm.ts'
import type { Detector } from '../../src/detect/detector.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { calmOf } from '../../src/engine/judge.ts'
import { KeyHistory } from '../../src/store/memory/key-history.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { bucketStart } from '../../src/usage/rollup.ts'
import type { UsageDigest } from '../../src/usage/usage-digest.ts'
import { enrichedEvent } from '../harness/builders.ts'
import fc from '../harness/fast-check.ts'
import { NOON_MS, rollup, source } from './history.ts'

const NEW_YORK = { country: 'US', latitude: 40.7, longitude: -74 }
const CHICAGO = { country: 'US', latitude: 41.9, longitude: -87.6 }
const HANOI = { country: 'VN', latitude: 21, longitude: 105.8 }

/** What a key does in the hours of its days; its addresses change now and then. */
interface Habit {
  readonly days: number
  /** Of the hours of the day, those from noon on come first, so that the hours that are judged may be unusual. */
  readonly hoursPerDay: number
  readonly perHour: number
  readonly addresses: number
  readonly silentDays: number
  /** How many times as much the last week has. */
  readonly rises: number
}
const anyHabit: fc.Arbitrary<Habit> = fc.record({
  days: fc.constantFrom(2, 8, 25, 40),
  hoursPerDay: fc.constantFrom(1, 3, 24),
  perHour: fc.constantFrom(3, 40, 400),
  addresses: fc.constantFrom(1, 2, 5),
  silentDays: fc.constantFrom(0, 0, 0, 0.5, 8),
  rises: fc.constantFrom(1, 1, 3),
})

function profileOf({ days, hoursPerDay, perHour, addresses, silentDays, rises }: Habit): Profile {
  const startMs = NOON_MS - (days + silentDays) * DAY_MS
  let profile = emptyProfile({ keyId: 'key-7', firstSeenMs: startMs, timeZone: 'UTC' })
  for (let day = 0; day < days; day += 1) {
    for (let hour = 24 - hoursPerDay; hour < 24; hour += 1) {
      const hourMs = startMs + day * DAY_MS + hour * HOUR_MS
      const requests = perHour * (day < days - 8 ? 1 : rises) + ((day * 7 + hour) % 3)
      const sources = Array.from({ length: addresses }, (_, number) =>
        source({
          ...(number % 2 === 0 ? NEW_YORK : CHICAGO),
          address: addressOf(number),
          requests: Math.ceil(requests / addresses),
          bucketMs: hourMs,
          firstMs: hourMs,
          lastMs: hourMs + 50 * MINUTE_MS,
        }),
      )
      const closed = { hourMs, rollups: [rollup({ bucketMs: hourMs, requests })], sources, suspect: false }
      profile = learnHour(profile, { ...closed, busiestFiveMinutes: Math.ceil(requests / 6) }, 'UTC')
    }
  }
  return profile
}

const addressOf = (number: number): string => `10.0.0.${number}`

interface Request {
  readonly afterMs: number
  readonly model: string
  readonly number: number
  readonly inputTokens: number
  readonly statusCode: number
  readonly isPriced: boolean
}

/** Most do what the key always does; some do not, one by one or in a run of requests alike. */
const usual = { model: 'gpt-4o', inputTokens: 800, statusCode: 200, isPriced: true }
const anyRequests: fc.Arbitrary<readonly Request[]> = fc
  .tuple(
    fc.oneof(
      { weight: 9, arbitrary: fc.constant({}) },
      { weight: 1, arbitrary: fc.constant({ statusCode: 401 }) },
    ),
    fc.array(
      fc.record({
        afterMs: fc.oneof(
          { weight: 6, arbitrary: fc.nat({ max: 20 * SECOND_MS }) },
          { weight: 2, arbitrary: fc.nat({ max: 10 * MINUTE_MS }) },
          { weight: 1, arbitrary: fc.nat({ max: HOUR_MS }) },
        ),
        number: fc.nat({ max: 2 }),
        odd: fc.oneof(
          { weight: 12, arbitrary: fc.constant({}) },
          {
            weight: 1,
            arbitrary: fc.constantFrom<Partial<Request>>(
              { model: 'o3' },
              { model: 'o1-pro', statusCode: 404 },
              { number: 3 },
              { number: 6 },
              { inputTokens: 40_000 },
              { inputTokens: 2_000_000 },
              { statusCode: 401 },
              { isPriced: false },
            ),
          },
        ),
        times: fc.oneof(
          { weight: 8, arbitrary: fc.constant(1) },
          { weight: 1, arbitrary: fc.constantFrom(25, 120) },
        ),
      }),
      { minLength: 10, maxLength: 40 },
    ),
  )
  .map(([all, requests]) =>
    requests.flatMap(({ odd, times, afterMs, number }) =>
      Array.from({ length: times }, (_, nth) => ({
        ...usual,
        number,
        ...odd,
        ...all,
        afterMs: nth === 0 ? afterMs : SECOND_MS,
      })),
    ),
  )

/** A key that grew, one that went silent and is refused, and one that is tried: rare by chance. */
const steady = { days: 40, hoursPerDay: 24, perHour: 40, addresses: 1, silentDays: 0, rises: 1 }
const refused = { ...usual, afterMs: MINUTE_MS, number: 0, statusCode: 401 }
const EXAMPLES: [Habit, readonly Request[]][] = [
  [{ ...steady, rises: 6 }, [refused]],
  [{ ...steady, silentDays: 0.5 }, Array.from({ length: 30 }, () => refused)],
  [steady, ['gpt-4o', 'o3', 'o1-pro'].map((model) => ({ ...refused, model, statusCode: 200 }))],
]

/** Settings of a detector beside its own: the ones under which it speaks most, and where it needs some to speak at all. */
const SETTINGS: Partial<Record<string, readonly object[]>> = {
  volume_spike: [
    { sensitivity: 'high', min_requests: 1, windows: ['1m', '5m', '30m', '1h'] },
    { windows: ['5m', '3h'] },
  ],
  spend_threshold: [
    {
      limits: [
        { window: '1h', usd: 0.1 },
        { period: 'day', usd: 3, thresholds: [{ percent: 50 }] },
      ],
    },
    {
      limits: [
        { window: '30d', usd: 30 },
        { period: 'month', usd: 400, projected: 'info' },
      ],
    },
    {
      limits: [
        { window: '10m', usd: 0.05 },
        { period: 'week', timezone: 'Asia/Kolkata', usd: 20 },
      ],
    },
  ],
  ip_allowlist: [{ ranges: ['10.0.0.0/29'] }, { ranges: ['10.0.0.0/30'] }],
  key_age: [{ enabled: true, max_age: '8d' }],
  unusual_hour: [{ min_requests: 1, tail: 0.5 }],
  error_rate: [{ min_refused: 1, min_share: 0.01, window: '1h' }],
  distinct_addresses: [{ min_addresses: 2, times_usual: 1 }],
  unpriced_traffic: [{ min_requests: 1, min_share: 0.01 }],
  dormant_key: [{ silent_for: '1d' }],
}

function settingsOf(detector: Detector): readonly never[] {
  const eager = 'min_history' in detector.settings.shape ? { min_history: '0s', min_events: 0 } : {}
  return [{}, eager, ...(SETTINGS[detector.name] ?? []).map((more) => ({ ...eager, ...more }))].map(
    (given) => detector.settings.parse(given) as never,
  )
}

/** The values that the usage has; undefined when they are too many. */
function valuesOf({ models, countries, addresses, coordinates }: UsageDigest): Set<string> | undefined {
  if (models === undefined || countries === undefined || addresses === undefined || coordinates === undefined)
    return undefined
  return new Set([...models, ...countries, ...addresses, ...coordinates.map((at) => JSON.stringify(at))])
}

describe.each(DETECTORS.map((detector) => [detector.name, detector] as const))(
  '%s, of a key that it called calm',
  (_name, detector) => {
    test('finds nothing for as long as that holds, until the hour ends', () => {
      let calmTicks = 0
      let findings = 0
      const lookAt = (profile: Profile, requests: readonly Request[], settings: never): void => {
        const history = new KeyHistory({ keyId: 'key-7', teamId: undefined, environment: undefined })
        let last: { calm: Calm; values: Set<string>; hourMs: number } | undefined
        let atMs = NOON_MS - 10 * MINUTE_MS
        for (const { afterMs, number, isPriced, ...request } of requests) {
          atMs += afterMs
          const place = number % 3 === 0 && number > 0 ? HANOI : number % 2 === 0 ? NEW_YORK : CHICAGO
          const costNanoUsd = isPriced ? 1_000_000 + request.inputTokens * 1_000 : undefined
          const from = { ip: addressOf(number), place, costNanoUsd }
          history.add(enrichedEvent({ ...request, ...from, keyId: 'key-7', timestampMs: atMs }))
          const nowMs = Math.ceil((atMs + 1) / 10_000) * 10_000
          history.prune(nowMs)
          const usage = history.recentUsage(nowMs)
          const values = valuesOf(usage.digest ?? expect.fail('the store sums usage up'))
          const found = detector.detect({ usage, profile, settings, nowMs })
          const isCalm =
            last?.hourMs === bucketStart(nowMs, HOUR_MS) &&
            values !== undefined &&
            [...values].every((value) => last?.values.has(value)) &&
            last.calm(usage, nowMs)
          if (isCalm) {
            expect(found).toEqual([])
            calmTicks += 1
            continue
          }
          if (found.length > 0) findings += 1
          const calm = found.length > 0 ? undefined : detector.calm?.({ usage, profile, settings, nowMs })
          last =
            calm === undefined || values === undefined
              ? undefined
              : { calm, values, hourMs: bucketStart(nowMs, HOUR_MS) }
        }
      }
      fc.assert(
        fc.property(anyHabit, anyRequests, (habit, requests) => {
          const profile = profileOf(habit)
          for (const settings of settingsOf(detector)) lookAt(profile, requests, settings)
        }),
        { numRuns: 60, examples: EXAMPLES },
      )
      // It was asked, and there was something to overlook.
      expect(calmTicks).toBeGreaterThan(100)
      expect(findings).toBeGreaterThan(0)
    })
  },
)

test('what is remembered of a calm key holds neither its profile nor its usage in memory', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const engine = {
    ...tickSettings(
      parseConfig(
        'version: 1\ndetectors: { spend_threshold: { limits: [{ window: 1h, usd: 100 }] } }',
        'a.yaml',
        {},
      ),
      () => NOON_MS,
    ),
    detectors: DETECTORS,
  }
  const make = () => {
    const profile = profileOf(steady)
    const history = new KeyHistory({ keyId: 'key-7', teamId: undefined, environment: undefined })
    const from = { ip: addressOf(0), place: NEW_YORK }
    const used = { ...from, keyId: 'key-7', model: 'gpt-4o', costNanoUsd: 1_000 }
    history.add(enrichedEvent({ ...used, timestampMs: NOON_MS + 10 * MINUTE_MS }))
    const nowMs = NOON_MS + 11 * MINUTE_MS
    const usage = history.recentUsage(nowMs)
    const calm = calmOf(engine, { usage, profile, nowMs })
    expect(calm?.isCalm(usage, nowMs)).toBe(true)
    return { calm, profile: new WeakRef(profile), history: new WeakRef(history) }
  }
  const kept = make()
  // Not at once: a reference that was just made is held until the turn ends, and V8's background compiler holds what the
  // functions it works on close over.
  await vi.waitFor(
    () => {
      collect()
      const isHeld = {
        profile: kept.profile.deref() !== undefined,
        history: kept.history.deref() !== undefined,
      }
      expect(isHeld).toEqual({ profile: false, history: false })
    },
    { timeout: 20_000, interval: 50 },
  )
  expect(kept.calm).toBeDefined()
})
