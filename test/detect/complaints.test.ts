import { describe, expect, test } from 'vitest'
import { corroborate } from '../../src/detect/corroborate.ts'
import type { Detector } from '../../src/detect/detector.ts'
import { impossibleTravel } from '../../src/detect/detectors/impossible-travel.ts'
import { spendThreshold } from '../../src/detect/detectors/spend-threshold.ts'
import { unfamiliarModel } from '../../src/detect/detectors/unfamiliar-model.ts'
import { unpricedTraffic } from '../../src/detect/detectors/unpriced-traffic.ts'
import { unusualGeo } from '../../src/detect/detectors/unusual-geo.ts'
import { volumeSpike } from '../../src/detect/detectors/volume-spike.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { createEnricher } from '../../src/enrich/enrich-event.ts'
import { geoLitePlaces } from '../../src/enrich/place.ts'
import { bundledPriceList } from '../../src/enrich/price.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { NANO_USD_PER_USD } from '../../src/usage/event.ts'
import { parseUsageEvent } from '../../src/usage/parse-event.ts'
import { usageEvent } from '../harness/builders.ts'
import { find, hourOf, learnt, NOON_MS, rollup, source, usage } from './history.ts'

// What users of other products curse, and what the detectors do instead: docs/complaints.md lists all of them.

const nowMs = NOON_MS + 10_000
const steady = learnt({ days: 28, hour: () => [{ requests: 12 }] })
const fresh = emptyProfile({ keyId: 'key-7', firstSeenMs: NOON_MS, timeZone: 'UTC' })
const spread = (requests: number, cell = {}) =>
  Array.from({ length: 60 }, (_, ago) => ({ ago, requests: requests / 60, ...cell }))

/** What all detectors find with their own defaults. */
function findAll(recent: ReturnType<typeof usage>, profile: Profile) {
  return DETECTORS.flatMap((detector: Detector) => find(detector, { usage: recent, profile, nowMs }))
}

describe('complaint 5: a model without a price reads as free, and every budget as healthy', () => {
  const priceless = spread(600, { model: 'in-house-7b', costNanoUsd: 0, unpriced: 10 })

  test('a cost that nobody knows is unknown, not 0', () => {
    const enrich = createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() })
    const { cost_usd: _unpriced, ...event } = usageEvent({ model: 'in-house-7b' })
    const parsed = parseUsageEvent(event)
    expect(parsed.ok && enrich(parsed.event).costNanoUsd).toBeUndefined()
  })

  test('that much of the use has no price is an alert of its own', () => {
    const now = usage([{ requests: 600, model: 'in-house-7b', costNanoUsd: 0, unpriced: 600 }], nowMs)
    const [finding] = find(unpricedTraffic, { usage: now, profile: steady, nowMs })
    expect(finding?.summary).toContain('limits on spend do not see them')
  })

  test('a spike is found by its requests and tokens, whatever it costs', () => {
    const [finding] = find(volumeSpike, { usage: usage(priceless, nowMs), profile: steady, nowMs })
    expect(finding?.evidence['fired']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ metric: 'requests' }),
        expect.objectContaining({ metric: 'tokens' }),
      ]),
    )
    expect(finding?.evidence['fired']).not.toContainEqual(expect.objectContaining({ metric: 'cost' }))
  })
})

describe('complaint 20: spike rules alert on nothing against nothing, on a single hit, and fall silent on a plateau', () => {
  test('no use against no use is no finding of any detector', () => {
    expect(findAll(usage([], nowMs), fresh)).toEqual([])
    expect(findAll(usage([], nowMs), learnt({ days: 28, hour: () => [] }))).toEqual([])
  })

  test('a single request of a key that nobody has seen before is no finding of any detector', () => {
    expect(findAll(usage([{ requests: 1 }], nowMs), fresh)).toEqual([])
  })

  test('three requests where none are usual are no spike: there is a floor beside the ratio', () => {
    const weekdays = learnt({ days: 28, hour: (ms) => (hourOf(ms) < 9 ? [{ requests: 200 }] : []) })
    expect(find(volumeSpike, { usage: usage([{ requests: 3 }], nowMs), profile: weekdays, nowMs })).toEqual(
      [],
    )
  })

  test('a plateau goes on being a finding, because what an open alert sees is not learnt', () => {
    let profile = steady
    for (let hour = 0; hour < 8; hour += 1) {
      const atMs = NOON_MS + hour * HOUR_MS + 59 * MINUTE_MS
      const recent = usage(spread(600), atMs)
      expect(find(volumeSpike, { usage: recent, profile, nowMs: atMs })).toHaveLength(1)
      const hourMs = NOON_MS + hour * HOUR_MS
      profile = learnHour(
        profile,
        { hourMs, rollups: [rollup({ requests: 600, bucketMs: hourMs })], suspect: true },
        'UTC',
      )
    }
  })
})

describe('complaint 21: rules for new values flood after a start', () => {
  test('a key is learnt for days before a country or model of it is new', () => {
    const dayOld = learnt({ days: 1, hour: () => [{ requests: 12 }] })
    const strange = usage([{ country: 'RO', model: 'o9' }], nowMs)
    for (const detector of [unusualGeo, unfamiliarModel]) {
      expect(find(detector, { usage: strange, profile: dayOld, nowMs })).toEqual([])
      expect(find(detector, { usage: strange, profile: steady, nowMs })).toHaveLength(1)
    }
  })

  test('a dozen new values at once are one finding that lists them', () => {
    const models = Array.from({ length: 12 }, (_, index) => ({ model: `new-${index}` }))
    const findings = find(unfamiliarModel, { usage: usage(models, nowMs), profile: steady, nowMs })
    expect(findings).toHaveLength(1)
    expect(Object.keys(findings[0]?.evidence.observed as object)).toHaveLength(12)
  })
})

describe('complaint 22: impossible travel that nobody made', () => {
  const LONDON = { address: '81.2.69.142', country: 'GB', latitude: 51.5, longitude: -0.1 }
  const HANOI = { country: 'VN', latitude: 21, longitude: 105.9 }
  const home = ((): Profile => {
    let profile = emptyProfile({ keyId: 'key-7', firstSeenMs: NOON_MS - 10 * DAY_MS, timeZone: 'UTC' })
    for (let hourMs = NOON_MS - 10 * DAY_MS; hourMs < NOON_MS; hourMs += HOUR_MS) {
      const sources = [source({ ...LONDON, requests: 10, firstMs: hourMs, lastMs: hourMs + 59 * MINUTE_MS })]
      profile = learnHour(
        profile,
        { hourMs, rollups: [rollup({ requests: 10, bucketMs: hourMs })], sources, suspect: false },
        'UTC',
      )
    }
    return profile
  })()
  const found = (places: readonly object[]) => {
    const atMs = NOON_MS + 50 * MINUTE_MS
    const sources = places.map((place, index) =>
      source({ ...place, firstMs: NOON_MS + (10 + 15 * index) * MINUTE_MS }),
    )
    return find(impossibleTravel, { usage: usage([{}], atMs, sources), profile: home, nowMs: atMs })
  }

  test('another address far away and back is a finding: the cases below are not blind', () => {
    expect(found([LONDON, { ...HANOI, address: '14.160.0.1' }, LONDON])).toHaveLength(1)
  })

  test('the same address that the data suddenly place elsewhere has not moved', () => {
    expect(found([LONDON, { ...LONDON, ...HANOI }, LONDON])).toEqual([])
  })

  test('an unknown place is unknown, not far away', () => {
    const nowhere = { address: '10.0.0.1', country: undefined, latitude: undefined, longitude: undefined }
    expect(found([LONDON, nowhere, LONDON])).toEqual([])
  })
})

describe('complaint 23: an address that the client made up', () => {
  test('private, loopback and reserved addresses have no place, so that they can be neither new nor far away', () => {
    const places = geoLitePlaces()
    for (const ip of ['10.1.2.3', '127.0.0.1', '192.168.0.9', '::1', 'fd00::1', '203.0.113.7']) {
      expect(places.find(ip)).toBeUndefined()
    }
  })

  test('however many places speak against a key, they are one kind of evidence and never critical', () => {
    const at = new Date(nowMs).toISOString()
    const finding = (detector: 'unusual_geo' | 'impossible_travel') => ({
      detector,
      keyId: 'key-7',
      scope: '',
      severity: 'warning' as const,
      summary: 'far away',
      evidence: {
        metric: 'country',
        observed: 'RO',
        expected: 'US',
        window: { start: at, end: at },
        history: { days: 30, events: 1_000 },
        setting: 'a setting',
      },
    })
    const raised = corroborate([finding('unusual_geo'), finding('impossible_travel')], [], {
      nowMs,
      isGraded: () => true,
    })
    expect(raised.map(({ severity }) => severity)).toEqual(['warning', 'warning'])
  })
})

describe('complaint 25: more than X in a rolling or calendar month', () => {
  const dollar = NANO_USD_PER_USD
  const spentOf = (
    limit: object,
    profile = learnt({ days: 3, hour: () => [{ requests: 1, costNanoUsd: dollar }] }),
  ) =>
    find(
      spendThreshold,
      { usage: usage([{ requests: 1, costNanoUsd: dollar }], nowMs), profile, nowMs },
      { limits: [limit] },
    )

  test('a rolling window adds up the days that it spans', () => {
    expect(spentOf({ window: '2d', usd: 40 })).toHaveLength(1)
    expect(spentOf({ window: '1d', usd: 40 })).toEqual([])
  })

  test('a calendar period begins anew at its own midnight, in its own time zone', () => {
    // It is 2026-03-04 12:00 in UTC and already 21:00 in Tokyo: 12 and 21 hours of the day have been spent.
    expect(spentOf({ period: 'day', usd: 15 })).toEqual([])
    expect(spentOf({ period: 'day', timezone: 'Asia/Tokyo', usd: 15 })).toHaveLength(1)
  })
})
