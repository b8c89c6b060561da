import { describe, expect, test } from 'vitest'
import type { Detector, DetectorSettings } from '../../src/detect/detector.ts'
import { unfamiliarModel } from '../../src/detect/detectors/unfamiliar-model.ts'
import { unusualGeo } from '../../src/detect/detectors/unusual-geo.ts'
import { volumeSpike } from '../../src/detect/detectors/volume-spike.ts'
import { calibrationOf, withinBudget } from '../../src/detect/alert-budget.ts'
import { explain } from '../../src/detect/explain.ts'
import type { Finding } from '../../src/detect/finding.ts'
import type { KeyHabit } from '../../src/detect/key-habit.ts'
import { priorFor, priorsOf, type Prior } from '../../src/detect/prior.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { readiness, readinessToJson } from '../../src/detect/readiness.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { KeyUsage } from '../../src/usage/key-usage.ts'
import type { Rollup } from '../../src/usage/rollup.ts'
import fc from '../harness/fast-check.ts'
import { anyUsage } from './arbitraries.ts'
import { learnt, NOON_MS, usage } from './history.ts'

const NOW_MS = NOON_MS + 30 * MINUTE_MS
const unborn = emptyProfile({ keyId: 'key-7', firstSeenMs: NOON_MS, timeZone: 'UTC' })

/** Keys whose highest hours are from 40 to 400 requests of a tenth of a cent, in the US, with gpt-4o. */
function team(keys = 14, more: Partial<KeyHabit> = {}): Prior | undefined {
  const habits = Array.from({ length: keys }, (_, number): KeyHabit => {
    const peakRequests = Math.round(40 * 10 ** (number / (keys - 1)))
    return {
      keyId: `key-${100 + number}`,
      teamId: 'web',
      firstSeenMs: NOON_MS - 20 * DAY_MS,
      untilMs: NOON_MS,
      peakRequests,
      peakFiveMinutes: peakRequests / 4,
      peakTokens: 1_000 * peakRequests,
      peakCostNanoUsd: 1e6 * peakRequests,
      peakTokensPerRequest: 800 + 40 * number,
      costNanoUsdPerRequest: 1e6,
      countries: ['US'],
      models: ['gpt-4o'],
      places: [],
      ...more,
    }
  })
  return priorFor(priorsOf(habits, NOW_MS), { teamId: 'web', firstSeenMs: NOON_MS })
}

function found(
  detector: Detector,
  cells: Parameters<typeof usage>[0],
  {
    profile = unborn,
    prior = team(),
    settings = {},
  }: { profile?: Profile; prior?: Prior | undefined; settings?: object } = {},
): Finding[] {
  return judged(detector, usage(cells, NOW_MS), { profile, prior, settings, nowMs: NOW_MS })
}

function judged(
  detector: Detector,
  recent: KeyUsage,
  {
    profile,
    prior,
    settings = {},
    nowMs,
  }: { profile: Profile; prior: Prior | undefined; settings?: object; nowMs: number },
): Finding[] {
  const chosen = detector.settings.parse(settings) as unknown as DetectorSettings
  return detector
    .detect({ usage: recent, profile, prior, settings: chosen, nowMs })
    .map((finding) => withinBudget(finding, calibrationOf(detector.name, chosen, profile)))
}

/** So many requests, evenly over the last half an hour. */
const spread = (requests: number, cell: object = {}) =>
  Array.from({ length: 30 }, (_, ago) => ({ ago, requests: requests / 30, ...cell }))

describe('volume_spike on a key without a history', () => {
  test('warns of what spends like nothing else in its team, and says by whose habit', () => {
    const [finding] = found(volumeSpike, spread(30_000))
    expect(finding).toMatchObject({
      detector: 'volume_spike',
      scope: '',
      severity: 'warning',
      evidence: {
        judged_by: { of: 'team', team_id: 'web', keys: 14, weight: 1 },
        history: { events: 0 },
      },
    })
    expect(finding?.summary).toMatch(
      /^key-7, known for 0 days, .* more than any other key \(.* at most\), by the habit of 14 keys of its team$/,
    )
    expect(finding?.score).toBeGreaterThan(2.9)
  })

  test('is silent about what other keys of the team do as well, and about a little more', () => {
    for (const requests of [30, 300, 450]) expect(found(volumeSpike, spread(requests))).toEqual([])
  })

  test('what is above the highest of them, but not by far, is info', () => {
    expect(found(volumeSpike, spread(1_500)).map(({ severity }) => severity)).toEqual(['info'])
  })

  test('knows nothing without a prior, or of a fleet of less than ten keys', () => {
    expect(
      judged(volumeSpike, usage(spread(30_000), NOW_MS), {
        profile: unborn,
        prior: undefined,
        nowMs: NOW_MS,
      }),
    ).toEqual([])
    expect(team(9)).toBeUndefined()
  })

  test('what the key itself has shown moves what is expected: a quiet start makes a burst rarer', () => {
    const quiet = learnt({ days: 1, hour: () => [{ requests: 5 }] })
    const busy = learnt({ days: 1, hour: () => [{ requests: 2_000 }] })
    const scoreOf = (profile: Profile) => found(volumeSpike, spread(6_000), { profile })[0]?.score ?? 0
    expect(scoreOf(quiet)).toBeGreaterThan(scoreOf(unborn))
    expect(scoreOf(busy)).toBeLessThan(scoreOf(unborn))
    expect(found(volumeSpike, spread(6_000), { profile: quiet })[0]?.evidence['judged_by']).not.toMatchObject(
      { weight: 1 },
    )
  })

  test('dear requests are found by what they cost, long ones by their tokens, each under its own scope', () => {
    const dear = found(volumeSpike, spread(90, { costNanoUsd: 3e9 }))
    expect(dear[0]).toMatchObject({ severity: 'warning', evidence: { metric: 'cost_usd' } })
    const long = found(volumeSpike, spread(60, { inputTokens: 200_000, costNanoUsd: 0 }))
    expect(long.map(({ scope }) => scope)).toContain('request_size')
  })

  test('once the key is known, its own habit decides and the prior says nothing', () => {
    const known = learnt({ days: 14, hour: () => [{ requests: 2_000 }] })
    expect(found(volumeSpike, spread(2_000), { profile: known })).toEqual([])
    const [own] = found(volumeSpike, spread(30_000), { profile: known })
    expect(own?.evidence['judged_by']).toBeUndefined()
  })

  test('refused calls are no volume', () => {
    expect(found(volumeSpike, spread(30_000, { refused: 1_000 }))).toEqual([])
  })

  test('metrics and windows of the settings hold, and a fixed severity is taken as it is', () => {
    const costly = spread(90, { costNanoUsd: 3e9 })
    expect(found(volumeSpike, costly, { settings: { metrics: ['requests'] } })).toEqual([])
    const burst = [{ requests: 4_000 }]
    expect(found(volumeSpike, burst)[0]?.evidence.window.start).toBe('2026-03-04T12:26:00.000Z')
    const hourly = found(volumeSpike, burst, { settings: { windows: ['1h'], severity: 'critical' } })
    expect(hourly[0]).toMatchObject({
      severity: 'critical',
      evidence: { window: { start: '2026-03-04T11:31:00.000Z' } },
    })
  })
})

describe('what a key without a history uses', () => {
  test('a country and a model that no key of the team uses are told, as info', () => {
    const cells = [{ country: 'RO', model: 'o3', requests: 4 }, {}]
    expect(found(unusualGeo, cells)[0]).toMatchObject({
      severity: 'info',
      summary:
        'key-7, known for 0 days, was used from RO, which no other key does, by the habit of 14 keys of its team',
      evidence: { observed: { RO: 4 }, expected: { US: 1 }, judged_by: { of: 'team', keys: 14 } },
    })
    expect(found(unfamiliarModel, cells)[0]).toMatchObject({
      severity: 'info',
      evidence: { observed: { o3: 4 } },
    })
  })

  test('what others use is no news, nor is an unknown place or a refused call', () => {
    expect(found(unusualGeo, [{}])).toEqual([])
    expect(found(unfamiliarModel, [{}])).toEqual([])
    expect(found(unusualGeo, [{ country: undefined }, { country: 'RO', requests: 3, refused: 3 }])).toEqual(
      [],
    )
  })

  test('countries are unknown where the team sends no addresses', () => {
    const placeless = team(14, { countries: [] })
    expect(found(unusualGeo, [{ country: 'RO' }], { prior: placeless })).toEqual([])
  })

  test('a far dearer model that none of many keys uses is a warning; one as dear as theirs is info', () => {
    const large = team(900)
    const dear = found(unfamiliarModel, [{ model: 'o1-pro', requests: 5, costNanoUsd: 5e8 }], {
      prior: large,
    })
    expect(dear[0]).toMatchObject({ severity: 'warning', evidence: { adds_to_usual: true } })
    const cheap = found(unfamiliarModel, [{ model: 'gpt-5', requests: 5 }], { prior: large })
    expect(cheap[0]?.severity).toBe('info')
  })

  test('is news while its first use goes on, and known after six hours', () => {
    const since = (hours: number) =>
      learnt({ days: 1, hour: (hourMs) => [{ country: hourMs >= NOON_MS - hours * HOUR_MS ? 'RO' : 'US' }] })
    expect(found(unusualGeo, [{ country: 'RO' }], { profile: since(3) })).toHaveLength(1)
    expect(found(unusualGeo, [{ country: 'RO' }], { profile: since(8) })).toEqual([])
  })
})

describe('the learning state of a key', () => {
  const settingsOf = new Map(
    [volumeSpike, unusualGeo].map((detector) => [
      detector.name,
      detector.settings.parse({}) as unknown as DetectorSettings,
    ]),
  )

  test('says by whose habit a key is judged until it is known', () => {
    const judging = (profile: Profile, prior: Prior | undefined) =>
      readiness({ profile, prior, nowMs: NOW_MS }, [volumeSpike], settingsOf).map(readinessToJson)
    expect(judging(unborn, team())).toMatchObject([
      { state: 'learning', judged_by: { of: 'team', team_id: 'web', keys: 14 } },
    ])
    expect(judging(unborn, undefined)).toMatchObject([{ state: 'learning', judged_by: null }])
    const known = learnt({ days: 14, hour: () => [{ requests: 9 }] })
    expect(judging(known, team())[0]).not.toHaveProperty('judged_by')
  })

  test('explain says so too, and still what is missing', () => {
    const explained = (prior: Prior | undefined) =>
      explain(
        { usage: usage([{}], NOW_MS), profile: unborn, prior, nowMs: NOW_MS },
        [unusualGeo],
        settingsOf,
      )[0]
    expect(explained(team())).toMatchObject({
      verdict: 'learning',
      because: expect.stringMatching(
        /^days the key has been known: 0; .*; until then judged by the habit of 14 keys of its team$/,
      ) as string,
    })
    expect(explained(undefined)?.because).not.toContain('until then')
  })
})

describe.each([volumeSpike, unusualGeo, unfamiliarModel])('$name with a prior, on any usage', (detector) => {
  const settings = detector === volumeSpike ? { sensitivity: 'high', min_requests: 1 } : {}

  test('finds one thing per scope at the most, with a score, and more of the same use never lowers it', () => {
    fc.assert(
      fc.property(anyUsage, fc.constantFrom(2, 7), ({ usage: recent, nowMs }, times) => {
        const input = { profile: { ...unborn, firstSeenMs: nowMs - HOUR_MS }, prior: team(), settings, nowMs }
        const findings = judged(detector, recent, input)
        const more = judged(
          detector,
          { key: recent.key, rollups: recent.rollups.map(multiplied(times)), sources: [] },
          input,
        )
        expect(new Set(findings.map(({ scope }) => scope)).size).toBe(findings.length)
        for (const { scope, score, evidence } of findings) {
          expect(JSON.stringify(evidence)).not.toMatch(/NaN|Infinity/)
          expect(score).toBeGreaterThanOrEqual(0)
          expect(more.find((finding) => finding.scope === scope)?.score).toBeGreaterThanOrEqual(score ?? 0)
        }
      }),
      { numRuns: 100 },
    )
  })
})

function multiplied(times: number) {
  return (part: Rollup): Rollup => ({
    ...part,
    requests: part.requests * times,
    refused: part.refused * times,
    inputTokens: part.inputTokens * times,
    outputTokens: part.outputTokens * times,
    costNanoUsd: part.costNanoUsd * times,
    unpriced: part.unpriced * times,
  })
}
