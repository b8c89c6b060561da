import { describe, expect, test } from 'vitest'
import { impossibleTravel } from '../../src/detect/detectors/impossible-travel.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { distanceKm } from '../../src/detect/places.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { SourceUsage } from '../../src/usage/source.ts'
import { find, NOON_MS, rollup, source, usage } from './history.ts'

const LONDON = { address: '81.2.69.142', country: 'GB', latitude: 51.5, longitude: -0.1 }
const HANOI = { address: '14.160.0.1', country: 'VN', latitude: 21, longitude: 105.9 }
const NOWHERE = { address: '10.0.0.1', country: undefined, latitude: undefined, longitude: undefined }
const NOW_MS = NOON_MS + 50 * MINUTE_MS

/** Ten days of use in every hour, in London unless told otherwise; each source is used over `spanMs` of its hours. */
function habit(
  placesOf: (hourMs: number) => readonly Partial<SourceUsage>[] = () => [LONDON],
  isUsed: (hourMs: number) => boolean = () => true,
  spanMs: number = 59 * MINUTE_MS,
): Profile {
  const startMs = NOON_MS - 10 * DAY_MS
  let profile = emptyProfile({ keyId: 'key-7', firstSeenMs: startMs, timeZone: 'UTC' })
  for (let hourMs = startMs; hourMs < NOON_MS; hourMs += HOUR_MS) {
    if (!isUsed(hourMs)) continue
    const sources = placesOf(hourMs).map((place) =>
      source({ ...place, requests: 10, bucketMs: hourMs, firstMs: hourMs, lastMs: hourMs + spanMs }),
    )
    profile = learnHour(
      profile,
      { hourMs, rollups: [rollup({ requests: 20, bucketMs: hourMs })], sources, suspect: false },
      'UTC',
    )
  }
  return profile
}

function at(place: Partial<SourceUsage>, minute: number, more: Partial<SourceUsage> = {}): SourceUsage {
  return source({ ...place, firstMs: NOON_MS + minute * MINUTE_MS, ...more })
}

function found(sources: readonly SourceUsage[], profile = habit(), settings = {}) {
  return find(impossibleTravel, { usage: usage([{}], NOW_MS, sources), profile, nowMs: NOW_MS }, settings)
}

describe('impossible_travel within a country', () => {
  const glasgow = { ...LONDON, address: '81.2.70.1', latitude: 55.9, longitude: -4.3 }
  /** Three addresses in London at work every hour, and every day the second is another one, as where addresses are assigned anew. */
  const changing = habit((hourMs) => [
    LONDON,
    { ...LONDON, address: `81.2.71.${Math.floor(hourMs / DAY_MS) % 256}` },
    { ...LONDON, address: '81.2.72.1' },
  ])
  const today = { ...LONDON, address: `81.2.71.${Math.floor((NOON_MS - HOUR_MS) / DAY_MS) % 256}` }
  const third = { ...LONDON, address: '81.2.72.1' }

  test('is info while addresses that fell silent may have been assigned anew', () => {
    const trip = [at(LONDON, 5), at(glasgow, 20), at(LONDON, 30), at(glasgow, 40), at(LONDON, 45)]
    expect(found(trip, changing)[0]).toMatchObject({ severity: 'info', evidence: { returned: true } })
  })

  test('warns when the place is new and half of the addresses that were ever in use at once go on', () => {
    const trip = [at(LONDON, 5), at(glasgow, 20), at(LONDON, 30), at(third, 35)]
    expect(found(trip, changing)[0]).toMatchObject({ severity: 'warning', evidence: { proof: 'beside' } })
  })

  test('warns when more is made at the new place than the key makes in all, before it is used at home again', () => {
    // 10 requests an hour are usual.
    const made = (requests: number) => found([at(LONDON, 5), at(glasgow, 20, { requests })], changing)[0]
    expect(made(200)).toMatchObject({
      severity: 'warning',
      evidence: { returned: false, proof: 'outnumbers' },
    })
    expect(made(9)?.severity).toBe('info')
  })

  test('warns when all addresses of the key go on beside it', () => {
    const trip = [
      at(LONDON, 5),
      at(glasgow, 20, { requests: 3 }),
      at(LONDON, 30),
      at(third, 35),
      at(today, 40),
    ]
    expect(found(trip, changing)[0]).toMatchObject({ severity: 'warning', evidence: { proof: 'returned' } })
  })

  test('warns on the way back of a key whose addresses hardly ever change, and tells of it as info before', () => {
    const trip = [at(LONDON, 5), at(glasgow, 20), at(LONDON, 30)]
    expect(found(trip.slice(0, 2))[0]).toMatchObject({ severity: 'info', evidence: { returned: false } })
    expect(found(trip)[0]).toMatchObject({ severity: 'warning', evidence: { proof: 'returned' } })
  })
})

describe('impossible_travel', () => {
  test('warns when a key is used far away and then at home again, faster than anybody travels', () => {
    const [finding, ...others] = found([at(LONDON, 5), at(HANOI, 20), at(LONDON, 40)])
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      detector: 'impossible_travel',
      severity: 'warning',
      evidence: {
        from: 'GB 51.5 -0.1',
        to: 'VN 21.0 105.9',
        returned: true,
        addresses: ['14.160.0.1'],
        requests: 1,
      },
    })
    expect(finding?.summary).toContain('GB 51.5 -0.1 and in VN 21.0 105.9')
  })

  test('warns at the first request from another country: whoever waits for the way back has lost minutes', () => {
    expect(found([at(LONDON, 5), at(HANOI, 20)])[0]).toMatchObject({
      severity: 'warning',
      evidence: { returned: false, proof: 'abroad' },
    })
  })

  describe('to where other keys of the fleet are at home', () => {
    const sites = [{ latitude: 21.3, longitude: 105.5, keys: 9 }]
    const foundAt = (sources: readonly SourceUsage[], profile = habit()) =>
      find(impossibleTravel, {
        usage: usage([{}], NOW_MS, sources),
        profile,
        sites,
        nowMs: NOW_MS,
      })[0]

    test('is info while it may be a move: the key has not been used at home since', () => {
      expect(foundAt([at(LONDON, 5), at(HANOI, 20)])).toMatchObject({
        severity: 'info',
        evidence: { proof: null, keys_at_home_there: 9 },
      })
    })

    test('is a warning as soon as the key is used at both places, or makes more there than it makes in all', () => {
      expect(foundAt([at(LONDON, 5), at(HANOI, 20), at(LONDON, 40)])).toMatchObject({
        severity: 'warning',
        evidence: { proof: 'returned' },
      })
      expect(foundAt([at(LONDON, 5), at(HANOI, 20, { requests: 200 })])).toMatchObject({
        severity: 'warning',
        evidence: { proof: 'outnumbers' },
      })
    })

    test('is a warning at once on a key that keeps hours: people are not moved within minutes', () => {
      const office = habit(
        () => [LONDON],
        (hourMs) => new Date(hourMs).getUTCHours() >= 8 && new Date(hourMs).getUTCHours() < 18,
      )
      expect(foundAt([at(LONDON, 5), at(HANOI, 20)], office)).toMatchObject({
        severity: 'warning',
        evidence: { proof: 'abroad', keys_at_home_there: 9 },
      })
    })

    test('is a warning at once anywhere else', () => {
      const lima = { address: '190.1.1.1', country: 'PE', latitude: -12, longitude: -77 }
      expect(foundAt([at(LONDON, 5), at(lima, 20)])).toMatchObject({
        severity: 'warning',
        evidence: { proof: 'abroad', keys_at_home_there: 0 },
      })
    })
  })

  test('a journey that was possible does not make it known that the key is used at both places at once', () => {
    // Hanoi once, twelve hours after London and as long before it: time enough for an airliner.
    const once = habit(
      (hourMs) => (hourMs === NOON_MS - 2 * DAY_MS ? [{ ...HANOI, address: '14.160.0.2' }] : [LONDON]),
      (hourMs) =>
        Math.abs(hourMs - (NOON_MS - 2 * DAY_MS)) >= 12 * HOUR_MS || hourMs === NOON_MS - 2 * DAY_MS,
    )
    expect(once.places.pairs).toMatchObject([{ slow: true }])
    expect(found([at(LONDON, 5), at(HANOI, 20), at(LONDON, 40)], once)[0]?.severity).toBe('warning')
  })

  test('notices a stranger by the way home, when there had been time for the way there', () => {
    // London until midnight, Hanoi at eleven: possible. London again at a quarter past: not.
    const slept = habit(
      () => [LONDON],
      (hourMs) => hourMs < NOON_MS - 12 * HOUR_MS,
    )
    expect(found([at(HANOI, 20)], slept)).toEqual([])
    expect(found([at(HANOI, 20), at(LONDON, 40)], slept)[0]).toMatchObject({
      severity: 'warning',
      evidence: { from: 'GB 51.5 -0.1', to: 'VN 21.0 105.9', returned: false },
    })
  })

  test('an address that tried the key once is not its own days later', () => {
    const tried = habit(
      (hourMs) => (hourMs === NOON_MS - 2 * DAY_MS ? [HANOI] : [LONDON]),
      (hourMs) =>
        Math.abs(hourMs - (NOON_MS - 2 * DAY_MS)) >= 12 * HOUR_MS || hourMs === NOON_MS - 2 * DAY_MS,
      MINUTE_MS,
    )
    expect(found([at(LONDON, 5), at(HANOI, 20), at(LONDON, 40)], tried)[0]?.severity).toBe('warning')
  })

  test('has the severity that the operator fixed', () => {
    expect(found([at(LONDON, 5), at(HANOI, 20)], habit(), { severity: 'critical' })[0]?.severity).toBe(
      'critical',
    )
  })

  test('says nothing when there was time to travel', () => {
    const slow = { max_speed_kmh: 1_000_000 }
    expect(found([at(LONDON, 5), at(HANOI, 20), at(LONDON, 40)], habit(), slow)).toEqual([])
  })

  test('says nothing of places that are near each other', () => {
    const paris = { address: '2.2.2.2', country: 'FR', latitude: 48.9, longitude: 2.3 }
    expect(found([at(LONDON, 5), at(paris, 20), at(LONDON, 40)])).toEqual([])
  })

  test('does not take an unknown place for a far one', () => {
    expect(found([at(LONDON, 5), at(NOWHERE, 20), at(LONDON, 40)])).toEqual([])
  })

  test('does not count refused requests', () => {
    expect(found([at(LONDON, 5), at(HANOI, 20, { refused: 1 }), at(LONDON, 40)])).toEqual([])
  })

  test('says nothing of two places that were in use together before', () => {
    const both = habit((hourMs) => (hourMs % DAY_MS === 0 ? [LONDON, HANOI] : [LONDON]))
    const newHanoi = { ...HANOI, address: '14.160.0.2' }
    expect(found([at(LONDON, 5), at(newHanoi, 20), at(LONDON, 40)], both)).toEqual([])
  })

  test('says nothing when the place of an address of the key itself changes', () => {
    const moved = { ...HANOI, address: LONDON.address }
    expect(found([at(moved, 20), at({ ...LONDON, address: '81.2.69.143' }, 5)])).toEqual([])
  })

  test('says nothing while the key is being learnt', () => {
    const sources = [at(LONDON, 5), at(HANOI, 20), at(LONDON, 40)]
    expect(found(sources, habit(), { min_history: '11d' })).toEqual([])
    expect(found(sources, habit(), { min_events: 10_000_000 })).toEqual([])
  })

  test('judges no key that is used from everywhere: more pairs of far places than can be kept', () => {
    const cities = Array.from({ length: 13 }, (_, index) => ({
      address: `81.2.${index}.1`,
      country: 'GB',
      latitude: -60 + 10 * index,
      longitude: -150 + 23 * index,
    }))
    const everywhere = habit((hourMs) =>
      [0, 5, 7].map((step) => cities[(hourMs / HOUR_MS + step) % 13] ?? LONDON),
    )
    const home = cities[0] ?? LONDON
    expect(found([at(home, 5), at(HANOI, 20), at(home, 40)], everywhere)).toEqual([])
  })
})

test('distances are those of great circles', () => {
  // London to Hanoi: 9,240 km by the great-circle formula with a mean radius of 6,371 km.
  expect(distanceKm(LONDON, HANOI)).toBeGreaterThan(9_150)
  expect(distanceKm(LONDON, HANOI)).toBeLessThan(9_330)
  expect(distanceKm({ latitude: 0, longitude: 179.5 }, { latitude: 0, longitude: -179.5 })).toBeCloseTo(
    111.2,
    0,
  )
})
