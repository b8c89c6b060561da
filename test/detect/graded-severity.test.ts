import { describe, expect, test } from 'vitest'
import { unfamiliarModel } from '../../src/detect/detectors/unfamiliar-model.ts'
import { unusualHour } from '../../src/detect/detectors/unusual-hour.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import type { SourceUsage } from '../../src/usage/source.ts'
import { find, hourOf, NOON_MS, rollup, source, usage } from './history.ts'

const OWN = 'own'
const STRANGER = 'stranger'

/** Eight weeks of office hours, two models, one address unless told otherwise. */
function officeKey(addressesOf: (hourMs: number) => readonly string[] = () => [OWN]): Profile {
  const startMs = NOON_MS - 56 * DAY_MS
  let profile = emptyProfile({ keyId: 'key-7', firstSeenMs: startMs, timeZone: 'UTC' })
  for (let hourMs = startMs; hourMs < NOON_MS; hourMs += HOUR_MS) {
    if (hourOf(hourMs) < 8 || hourOf(hourMs) > 17) continue
    profile = learnHour(
      profile,
      {
        hourMs,
        rollups: ['gpt-4o', 'gpt-4o-mini'].map((model) => rollup({ model, requests: 6, bucketMs: hourMs })),
        sources: addressesOf(hourMs).map((address) => source({ address, requests: 12, firstMs: hourMs })),
        suspect: false,
      },
      'UTC',
    )
  }
  return profile
}

const profile = officeKey()
/** Every other day a second address is a new one. */
const changing = officeKey((hourMs) => [OWN, `day ${Math.floor(hourMs / DAY_MS / 2)}`])

describe('unusual_hour, graded', () => {
  const nightMs = NOON_MS + 15 * HOUR_MS + 20 * 60_000
  const severity = (
    address: string,
    settings = {},
    more: Partial<SourceUsage> = {},
    judged: Profile = profile,
  ) => {
    const { requests = 5 } = more
    return find(
      unusualHour,
      {
        usage: usage([{ requests, ago: 5 }], nightMs, [
          source({ address, requests, firstMs: nightMs - 300_000, ...more }),
        ]),
        profile: judged,
        nowMs: nightMs,
      },
      settings,
    ).map((finding) => finding.severity)
  }

  test('is info when an address of the key itself works at night', () => {
    expect(severity(OWN)).toEqual(['info'])
  })

  test('is a warning when a new address does', () => {
    expect(severity(STRANGER)).toEqual(['warning'])
  })

  test('two requests are enough from a new address of a key that changes its addresses, where it takes four of its own', () => {
    expect(severity(STRANGER, {}, { requests: 2 }, changing)).toEqual(['warning'])
    expect(severity(STRANGER, {}, { requests: 1 }, changing)).toEqual([])
    expect(severity(OWN, {}, { requests: 3 }, changing)).toEqual([])
    expect(severity(OWN, {}, { requests: 4 }, changing)).toEqual(['info'])
  })

  test('one request is enough when it is made by a new address of a key that has kept its addresses for weeks', () => {
    expect(severity(STRANGER, {}, { requests: 1 })).toEqual(['warning'])
    expect(severity(OWN, {}, { requests: 1 })).toEqual([])
  })

  test('is info when the new address is where the hour is a usual one: whoever travels works at other hours', () => {
    // 03:00 in London is noon in Tokyo.
    expect(severity(STRANGER, {}, { country: 'JP', latitude: 35.7, longitude: 139.7 })).toEqual(['info'])
    expect(severity(STRANGER, {}, { country: 'PT', latitude: 38.7, longitude: -9.1 })).toEqual(['warning'])
  })

  test('is what the operator fixed', () => {
    expect(severity(OWN, { severity: 'critical' })).toEqual(['critical'])
  })
})

describe('unfamiliar_model, graded', () => {
  const nowMs = NOON_MS + 40 * 60_000
  const severity = (cells: Parameters<typeof usage>[0], address = OWN) =>
    find(unfamiliarModel, {
      usage: usage(cells, nowMs, [source({ address, requests: 2, firstMs: nowMs - 20 * 60_000 })]),
      profile,
      nowMs,
    }).map((finding) => finding.severity)
  const usual = [
    { model: 'gpt-4o', ago: 5 },
    { model: 'gpt-4o-mini', ago: 4 },
  ]
  const dear = { model: 'o1-pro', ago: 20, requests: 2, costNanoUsd: 900_000_000 }

  test('is a warning when a far dearer model comes and the usual ones go on', () => {
    expect(severity([dear, ...usual])).toEqual(['warning'])
  })

  test('is info while a usual model has not been used since: the new one may replace it', () => {
    expect(severity([dear, { model: 'gpt-4o-mini', ago: 4 }])).toEqual(['info'])
  })

  test('is info for a model that costs what the usual ones cost', () => {
    expect(severity([{ model: 'gpt-4.1', ago: 20, requests: 2 }, ...usual])).toEqual(['info'])
  })

  test('is a warning when it is used from an address that is as new', () => {
    expect(severity([{ model: 'gpt-4.1', ago: 20, requests: 2 }, ...usual], STRANGER)).toEqual(['warning'])
  })

  test('is a warning at the first request with a model that came together with a new address', () => {
    expect(severity([{ model: 'gpt-4.1', ago: 20, requests: 2 }], STRANGER)).toEqual(['warning'])
    expect(severity([{ model: 'gpt-4.1', ago: 20, requests: 2 }], OWN)).toEqual(['info'])
  })

  test('is info for a successor at five times the price: migrations are little by little, too', () => {
    const successor = { model: 'gpt-5', ago: 20, requests: 2, costNanoUsd: 10_000_000 }
    expect(severity([successor, ...usual])).toEqual(['info'])
  })

  test('is a warning for several new models at once', () => {
    const several = ['gpt-4.1', 'gpt-4.2'].map((model) => ({ model, ago: 20 }))
    expect(severity([...several, ...usual])).toEqual(['warning'])
  })
})
