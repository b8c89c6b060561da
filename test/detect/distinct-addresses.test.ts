import { describe, expect, test } from 'vitest'
import {
  addressesToday,
  NO_ADDRESSES,
  usualAddresses,
  withAddresses,
} from '../../src/detect/address-habit.ts'
import { distinctAddresses } from '../../src/detect/detectors/distinct-addresses.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { find, hourOf, NOON_MS, rollup, source, usage } from './history.ts'

const nowMs = NOON_MS + 30 * 60_000

/** So many addresses, of which the first is `198.51.100.<from>`. */
function addresses(count: number, atMs: number, from = 0) {
  return Array.from({ length: count }, (_, index) =>
    source({ address: `198.51.${100 + ((from + index) >> 8)}.${(from + index) & 255}`, firstMs: atMs }),
  )
}

/** Used every hour, on each day from so many addresses. */
function usedFrom(perDay: number, { days = 14, suspect = (_hourMs: number) => false } = {}): Profile {
  const startMs = NOON_MS - days * DAY_MS
  let profile = emptyProfile({ keyId: 'key-7', firstSeenMs: startMs, timeZone: 'UTC' })
  for (let hourMs = startMs; hourMs < NOON_MS; hourMs += HOUR_MS) {
    const sources = hourOf(hourMs) % 6 === 0 ? addresses(perDay, hourMs) : addresses(1, hourMs)
    const rollups = [rollup({ bucketMs: hourMs, requests: 9 })]
    profile = learnHour(profile, { hourMs, rollups, sources, suspect: suspect(hourMs) }, 'UTC')
  }
  return profile
}

describe('distinct_addresses', () => {
  test('fires when the key is used from far more addresses today than on its busiest day', () => {
    const recent = usage([{}], nowMs, addresses(40, nowMs - 60_000))
    const [finding] = find(distinctAddresses, { usage: recent, profile: usedFrom(4), nowMs })
    expect(finding).toMatchObject({
      severity: 'warning',
      summary: 'key-7 was used from 40 addresses today; 4 a day are usual, 4 on its busiest',
      evidence: {
        metric: 'distinct_addresses',
        observed: 40,
        expected: { mean: 4, busiest_day: 4 },
        countries: 1,
        setting: 'detectors.distinct_addresses.times_usual: 3',
      },
    })
    expect(finding?.evidence['recent_addresses']).toHaveLength(8)
  })

  test('adds the addresses of the closed hours of today, each once', () => {
    let profile = usedFrom(4)
    for (const [hourMs, from] of [
      [NOON_MS, 0],
      [NOON_MS + HOUR_MS, 10],
    ] as const) {
      const rollups = [rollup({ bucketMs: hourMs })]
      profile = learnHour(
        profile,
        { hourMs, rollups, sources: addresses(20, hourMs, from), suspect: true },
        'UTC',
      )
    }
    const atMs = NOON_MS + 2 * HOUR_MS + 60_000
    const recent = usage([{}], atMs, addresses(20, atMs - 1_000, 20))
    const [finding] = find(distinctAddresses, { usage: recent, profile, nowMs: atMs })
    expect(finding?.evidence.observed).toBe(40)
  })

  test.each([
    ['a key that is used from many every day', 40, 30, {}],
    ['fewer than min_addresses', 9, 1, {}],
    ['less than times_usual', 40, 4, { times_usual: 12 }],
    ['a key that is still being learnt', 40, 4, { min_history: '30d' }],
  ])('does not fire for %s', (_name, today, perDay, settings) => {
    const recent = usage([{}], nowMs, addresses(today, nowMs - 60_000))
    expect(find(distinctAddresses, { usage: recent, profile: usedFrom(perDay), nowMs }, settings)).toEqual([])
  })

  test('does not fire before three days with addresses are known, nor for refused calls', () => {
    const recent = usage([{}], nowMs, addresses(40, nowMs - 60_000))
    const placeless = { ...usedFrom(4), addresses: NO_ADDRESSES }
    expect(find(distinctAddresses, { usage: recent, profile: placeless, nowMs })).toEqual([])
    const refused = recent.sources.map((one) => ({ ...one, requests: 1, refused: 1 }))
    expect(
      find(distinctAddresses, { usage: { ...recent, sources: refused }, profile: usedFrom(4), nowMs }),
    ).toEqual([])
  })

  test('a day under alert does not raise what is usual', () => {
    const profile = usedFrom(4)
    const attacked = (suspect: boolean) => {
      const hour = { hourMs: NOON_MS, sources: addresses(200, NOON_MS), suspect }
      const next = { hourMs: NOON_MS + DAY_MS, sources: addresses(1, NOON_MS + DAY_MS), suspect: false }
      return usualAddresses(withAddresses(withAddresses(profile.addresses, hour), next), NOON_MS + DAY_MS)
        .peak
    }
    expect(attacked(false)).toBeGreaterThan(180)
    expect(attacked(true)).toBeLessThan(5)
  })
})

describe('counting addresses without keeping them', () => {
  test.each([1, 10, 100, 900])('%d addresses are counted to 3 percent', (count) => {
    const today = addressesToday(NO_ADDRESSES, addresses(count, nowMs - 1_000), nowMs)
    expect(Math.abs(today - count)).toBeLessThanOrEqual(Math.max(0, 0.03 * count))
  })

  test('the habit stays small, however many there are', () => {
    const habit = withAddresses(NO_ADDRESSES, {
      hourMs: NOON_MS,
      sources: addresses(20_000, NOON_MS),
      suspect: false,
    })
    expect(JSON.stringify(habit).length).toBeLessThan(6_000)
    expect(addressesToday(habit, [], nowMs)).toBeGreaterThanOrEqual(1_000)
  })

  test('addresses of one IPv6 network of 64 bits are one', () => {
    const six = ['2001:db8:0:1::5', '2001:db8:0:1:aaaa::9', '2001:db8::1:5', '2001:db8:0:2::5'].map(
      (address) => source({ address, firstMs: nowMs - 1_000 }),
    )
    expect(addressesToday(NO_ADDRESSES, six, nowMs)).toBe(3)
  })
})
