import { describe, expect, test } from 'vitest'
import { volumeSpike } from '../../src/detect/detectors/volume-spike.ts'
import { calibrationOf } from '../../src/detect/alert-budget.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { find, NOON_MS, rollup, source, usage } from './history.ts'

/** Requests by address in an hour. */
type Hour = Readonly<Record<string, number>>

/** Three weeks of hours, by how many hours before noon they begin. */
function habit(hourOf: (hoursAgo: number) => Hour): Profile {
  const startMs = NOON_MS - 21 * DAY_MS
  let profile = emptyProfile({ keyId: 'key-7', firstSeenMs: startMs, timeZone: 'UTC' })
  for (let hourMs = startMs; hourMs < NOON_MS; hourMs += HOUR_MS) {
    const made = hourOf((NOON_MS - hourMs) / HOUR_MS)
    const sources = Object.entries(made).map(([address, requests]) =>
      source({ address, requests, bucketMs: hourMs, firstMs: hourMs, lastMs: hourMs + 59 * MINUTE_MS }),
    )
    const requests = Object.values(made).reduce((a, b) => a + b, 0)
    const hour = { hourMs, rollups: [rollup({ requests, bucketMs: hourMs })], sources, suspect: false }
    profile = learnHour(profile, hour, 'UTC')
  }
  return profile
}

function found(profile: Profile, addresses: readonly string[]) {
  const sources = addresses.map((address) => source({ address, requests: 5, firstMs: NOON_MS + MINUTE_MS }))
  const nowMs = NOON_MS + 6 * MINUTE_MS
  return find(volumeSpike, { usage: usage([{ requests: 5 }], nowMs, sources), profile, nowMs }).filter(
    ({ scope }) => scope === 'new_addresses',
  )
}

const OWN = { a: 10, b: 10, c: 10 }

describe('volume_spike, of new addresses', () => {
  test('warns of a thief who adds half of the usual work from an address of his own', () => {
    const [finding] = found(
      habit((ago) => (ago <= 10 ? { ...OWN, thief: 15 } : OWN)),
      ['thief'],
    )
    expect(finding).toMatchObject({
      detector: 'volume_spike',
      severity: 'warning',
      evidence: { metric: 'requests_from_new_addresses', addresses: ['thief'], new_addresses_per_day: 0.028 },
    })
    expect(finding?.summary).toContain('1 new address (thief), while its own addresses go on as usual')
  })

  test('is within the alert budget only where new addresses are seldom', () => {
    const threshold = calibrationOf(
      'volume_spike',
      volumeSpike.settings.parse({}) as never,
      habit(() => OWN),
    )?.threshold
    const thief = (ago: number): Hour => (ago <= 10 ? { thief: 15 } : {})
    const [rare] = found(
      habit((ago) => ({ ...OWN, ...thief(ago) })),
      ['thief'],
    )
    // Until six days ago, every third day a fourth address was another one.
    const [common] = found(
      habit((ago) => ({ ...OWN, [`n${Math.floor(Math.max(ago, 144) / 72)}`]: 2, ...thief(ago) })),
      ['thief'],
    )
    expect(rare?.score).toBeGreaterThan(threshold ?? Infinity)
    expect(common?.score).toBeLessThan(threshold ?? 0)
  })

  test('finds one who adds a little more every day', () => {
    const creep = habit((ago) =>
      ago <= 96 ? { ...OWN, thief: Math.round(30 * (1.25 ** ((96 - ago) / 24) - 1)) } : OWN,
    )
    expect(found(creep, ['thief'])).toHaveLength(1)
  })

  test('says nothing of an address that takes the place of another', () => {
    const changed = habit((ago) => (ago <= 10 ? { a: 10, b: 10, d: 10 } : OWN))
    expect(found(changed, ['d'])).toEqual([])
  })

  test('says nothing of a move that takes the work over little by little', () => {
    const moved = habit((ago) => {
      const share = Math.max(0, (24 - ago) / 24)
      const left = Math.round(10 * (1 - share))
      return { a: left, b: left, c: left, n: Math.round(30 * share) }
    })
    expect(found(moved, ['n'])).toEqual([])
  })

  test('says nothing once the new address is at rest', () => {
    const over = habit((ago) => (ago <= 10 && ago > 2 ? { ...OWN, thief: 15 } : OWN))
    expect(found(over, ['a', 'b'])).toEqual([])
  })

  test('says nothing of a key whose addresses change with every request', () => {
    let next = 0
    const rotating = habit(() => Object.fromEntries(Array.from({ length: 30 }, () => [`r${(next += 1)}`, 1])))
    expect(found(rotating, [`r${next}`])).toEqual([])
  })
})

describe('volume_spike, of new addresses that join the others', () => {
  /** Three addresses at a time; five days ago one of them was assigned anew. */
  const steady = habit((ago) => (ago > 120 ? { a: 10, b: 10, d: 10 } : OWN))

  /** The findings at half past twelve, of one request from each address at so many minutes past twelve. */
  function joined(profile: Profile, minutes: Readonly<Record<string, number>>, country = 'US') {
    const nowMs = NOON_MS + 30 * MINUTE_MS
    const sources = Object.entries(minutes)
      .map(([address, minute]) => source({ address, country, firstMs: NOON_MS + minute * MINUTE_MS }))
      .toSorted((a, b) => a.bucketMs - b.bucketMs || (a.address < b.address ? -1 : 1))
    return find(volumeSpike, { usage: usage([{ requests: 5 }], nowMs, sources), profile, nowMs })
  }
  const threshold = (profile: Profile): number =>
    calibrationOf('volume_spike', volumeSpike.settings.parse({}) as never, profile)?.threshold ?? NaN

  test('one request by a stranger is a warning once all own addresses are in use again', () => {
    const [finding, ...others] = joined(steady, { thief: 1, a: 2, b: 11, c: 28 })
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      scope: 'new_addresses',
      severity: 'warning',
      evidence: {
        metric: 'addresses_at_once',
        observed: 4,
        expected: { at_most: 3 },
        addresses: ['thief'],
        new_addresses_per_day: 0.083,
      },
    })
    expect(finding?.summary).toBe(
      'key-7 is used from 4 addresses at once, one of them new (thief); at most 3 were ever in use together (21 days of history)',
    )
    expect(finding?.score).toBeGreaterThan(threshold(steady))
  })

  test('says nothing while an own address is silent: the new one may have taken its place', () => {
    expect(joined(steady, { thief: 1, a: 2, b: 11 })).toEqual([])
    expect(joined(steady, { c: 0, thief: 1, a: 2, b: 11 })).toEqual([])
  })

  test('two that come together need not wait for an address that went between them', () => {
    expect(joined(steady, { x: 1, a: 2, b: 3, y: 4 })[0]?.evidence).toMatchObject({
      observed: 4,
      addresses: ['x', 'y'],
      by_address: [
        { address: 'x', country: 'US', requests: 1 },
        { address: 'y', country: 'US', requests: 1 },
      ],
      cost_usd: 0.002,
    })
  })

  test('is within the budget no longer where new addresses are usual, or the key was watched for days only', () => {
    const scoreOf = (profile: Profile) => joined(profile, { thief: 1, a: 2, b: 3, c: 4, n0: 5 })[0]?.score
    const changing = habit((ago) => ({ ...OWN, [`n${Math.floor(Math.max(0, ago - 1) / 20)}`]: 2 }))
    expect(scoreOf(changing)).toBeLessThan(threshold(changing))
    const young = habit((ago): Hour => (ago <= 5 * 24 ? { ...OWN, n0: 2 } : {}))
    expect(scoreOf(young)).toBeLessThan(threshold(young))
  })

  test('is within the budget no longer on a key of one address at a time: its owner changes the network, and back', () => {
    const byDay = (ago: number): boolean => ago % 24 < 9
    const alone = habit((ago): Hour => (byDay(ago) ? { a: 10 } : {}))
    expect(joined(alone, { a: 0, cafe: 9, b: 20 })).toEqual([])
    const [finding] = joined(alone, { cafe: 9, a: 20 })
    expect(finding?.score).toBeLessThan(threshold(alone))
    // What is used round the clock has no network to change.
    const service = habit(() => ({ a: 10 }))
    expect(joined(service, { thief: 9, a: 20 })[0]?.score).toBeGreaterThan(threshold(service))
  })

  test('as many as were in use at once before are none too many', () => {
    const four = habit((ago) => (ago > 240 && ago < 260 ? { ...OWN, d: 10 } : OWN))
    expect(joined(four, { thief: 1, a: 2, b: 3, c: 4 })).toEqual([])
  })

  test('warns of the first request by a stranger where several addresses were kept for weeks', () => {
    const kept = habit(() => OWN)
    const [finding] = joined(kept, { a: 0, thief: 1 })
    expect(finding).toMatchObject({
      severity: 'warning',
      evidence: { metric: 'new_addresses', expected: { at_most: 0 }, addresses_kept: 3, kept_days: 21 },
    })
    expect(finding?.summary).toBe(
      'key-7 is used from a new address (thief), after its 3 addresses had been the same for 21 days',
    )
    expect(finding?.score).toBeGreaterThan(threshold(kept))
    // One that is alone for as long may be assigned anew tomorrow.
    expect(
      joined(
        habit(() => ({ a: 30 })),
        { a: 0, thief: 1 },
      ),
    ).toEqual([])
  })

  test('says nothing of a key whose addresses have been known for less than a day', () => {
    const placeless = habit((ago): Hour => (ago <= 12 ? { a: 10 } : {}))
    expect(joined(placeless, { a: 0, thief: 1, b: 2 })).toEqual([])
  })

  test('leaves a country that is new to the key to others: there a new address is no news of its own', () => {
    expect(joined(steady, { thief: 1, a: 2, b: 3, c: 4 }, 'VN')).toEqual([])
  })
})

test('an address that adds, but makes no more of them at once than ever, is info', () => {
  // Two of five share an egress until one of them gets its own: seen as three, then as four, which there were before.
  const split = habit((ago): Hour => {
    if (ago > 300) return { ...OWN, d: 2 }
    return ago <= 10 ? { ...OWN, thief: 15 } : OWN
  })
  const [finding] = found(split, ['thief'])
  expect(finding?.evidence.metric).toBe('requests_from_new_addresses')
  expect(finding?.score).toBeLessThan(2.9)
})
