import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { bucketStart, totalsOf } from '../../src/usage/rollup.ts'
import { KeyhoundProcess } from '../e2e/keyhound-process.ts'
import { enrichedEvent } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

let url: string
let database: Database
const nowMs = Date.now()
const openHourMs = bucketStart(nowMs, HOUR_MS)

interface Told {
  readonly at: string
  readonly basis: string
  readonly history: { readonly days: number; readonly events: number }
  readonly detectors: readonly {
    readonly detector: string
    readonly verdict: string
    readonly because: string
    readonly calibration: { readonly score_for_warning: number } | null
  }[]
}

/** Ten days of ten requests an hour, and two hundred in the last minute; all but the last as a profile. */
beforeAll(async () => {
  url = await testDatabase()
  database = openDatabase(url)
  let profile = emptyProfile({ keyId: 'key-1', firstSeenMs: openHourMs - 10 * DAY_MS, timeZone: 'UTC' })
  for (let hourMs = openHourMs - 10 * DAY_MS; hourMs < openHourMs; hourMs += HOUR_MS) {
    const cell = {
      ...totalsOf(enrichedEvent()),
      keyId: 'key-1',
      bucketMs: hourMs,
      model: 'gpt-4o-mini',
      country: 'US',
    }
    const rollup = { ...cell, requests: 10 }
    profile = learnHour(profile, { hourMs, rollups: [rollup], suspect: false }, 'UTC')
  }
  const of = (keyId: string, count: number) =>
    Array.from({ length: count }, (_, n) => enrichedEvent({ keyId, timestampMs: nowMs - n }))
  await createUsageWriter(database, systemClock).write({
    events: [...of('key-1', 200), ...of('key-2', 3)],
    rejected: [],
  })
  await createEngineStore(database).saveProfiles([profile])
})
afterAll(async () => database.destroy())

const keyhound = async (...args: string[]) => {
  const run = new KeyhoundProcess(args, { DATABASE_URL: url })
  const code = await run.ended()
  return { code, out: run.stdout, err: run.stderr }
}

describe('keyhound explain, against the database', () => {
  test('says what every detector makes of the key now, by its stored profile and recent usage', async () => {
    const { code, out } = await keyhound('explain', 'key-1', '--format', 'json')
    expect(code).toBe(0)
    const told = JSON.parse(out) as Told
    expect(told.basis).toBe('its stored profile and recent usage')
    expect(told.history).toMatchObject({ events: 2_400 })
    expect(told.detectors.map(({ detector }) => detector)).toEqual(DETECTORS.map(({ name }) => name))
    expect(told.detectors.find(({ detector }) => detector === 'volume_spike')).toMatchObject({
      verdict: 'fired',
      because: expect.stringContaining('in 5 minutes') as string,
      calibration: { score_for_warning: expect.any(Number) as number },
    })
  }, 60_000)

  test('at a time, it judges the stored events of that key up to then again', async () => {
    const at = new Date(nowMs - MINUTE_MS * 10).toISOString()
    const { code, err } = await keyhound('explain', 'key-1', '--at', at)
    expect([code, err]).toEqual([1, expect.stringContaining('no usage of a key "key-1" is known')])
    const later = new Date(nowMs + 1_000).toISOString()
    const told = JSON.parse(
      (await keyhound('explain', 'key-1', '--at', later, '--format', 'json')).out,
    ) as Told
    expect(told.basis).toBe('200 events of the database up to then, without what other keys do')
    expect(told.detectors.find(({ detector }) => detector === 'volume_spike')?.verdict).toBe('learning')
  }, 60_000)

  test('a key that was never seen is an error', async () => {
    const { code, err } = await keyhound('explain', 'nobody')
    expect([code, err]).toEqual([1, expect.stringContaining('no usage of a key "nobody" is known')])
  }, 60_000)
})
