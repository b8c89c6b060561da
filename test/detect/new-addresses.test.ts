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
