import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { keyStandings } from '../../src/store/postgres/key-standing.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { bucketStart } from '../../src/usage/rollup.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding, planAt } from './decisions.ts'

const NOW = SOME_TIME_MS
const WHOLE = { index: 0, count: 1 }
const RESOLVE_AFTER_MS = 30 * MINUTE_MS

let db: Database

beforeEach(async () => {
  db = openDatabase(await testDatabase())
})
afterEach(async () => {
  await db.destroy()
})

const operators = () => createOperatorStore(db, new ManualClock(NOW))
const tick = (minute: number, found: readonly Finding[]) =>
  createEngineStore(db).commit(
    { ...decisions(found, { at: minute * MINUTE_MS }), resolveAfterMs: RESOLVE_AFTER_MS },
    planAt(NOW + minute * MINUTE_MS),
  )
const geo = (given: Partial<Finding> = {}) => {
  const base = finding(given)
  return { ...base, evidence: { ...base.evidence, observed: { RO: 12 } } }
}
const opened = async (...found: Finding[]) => (await tick(0, found)).opened.map(({ id }) => id)
const judge = (
  id: string,
  verdict: 'compromised' | 'expected' | 'safe',
  { minute = 1, comment }: { minute?: number; comment?: string } = {},
) =>
  operators().giveVerdict(id, {
    verdict,
    comment,
    actor: 'ann',
    nowMs: NOW + minute * MINUTE_MS,
    safeForMs: 10 * DAY_MS,
  })
const taughtAt = async (atMs: number) => (await keyStandings(db, atMs)).get('key-1')?.taught

/** Which hours of key-1 there are to learn, and as what. */
const hours = async () => {
  const store = createEngineStore(db, { settleMs: 0 })
  const found = await store.unlearntHours(WHOLE, { beforeMs: NOW + 6 * HOUR_MS, limit: 10 })
  return found.map(({ hourMs, suspect, frozen = false }) => {
    const offset = Math.round((hourMs - bucketStart(NOW, HOUR_MS)) / HOUR_MS)
    return `${offset} ${frozen ? 'frozen' : suspect ? 'suspect' : 'taught'}`
  })
}
const useInHours = async (...offsets: number[]) => {
  await createUsageWriter(db, new ManualClock(NOW)).write({
    events: offsets.map((offset) => enrichedEvent({ timestampMs: NOW + offset * HOUR_MS })),
    rejected: [],
  })
}

describe('the verdict "safe"', () => {
  test('closes the alert and teaches its values, until they expire', async () => {
    const [id = ''] = await opened(geo())
    expect(await judge(id, 'safe', { comment: 'new office' })).toMatchObject({
      alert: { status: 'resolved', verdict: 'safe' },
      taught: [{ kind: 'country', value: 'RO' }],
      taughtUntil: new Date(NOW + MINUTE_MS + 10 * DAY_MS),
      frozen: false,
    })
    expect(await taughtAt(NOW + 2 * MINUTE_MS)).toEqual([{ kind: 'country', value: 'RO', level: undefined }])
    expect(await taughtAt(NOW + MINUTE_MS + 10 * DAY_MS)).toBeUndefined()
    const { history = [] } = (await operators().alert(id)) ?? {}
    expect(history.map(({ change, actor, note }) => [change, actor, note])).toEqual([
      ['opened', 'keyhound', undefined],
      ['verdict', 'ann', 'safe: new office'],
      ['resolved', 'ann', 'verdict: safe'],
    ])
  })

  test('lets the hours of the alert be taught, which nothing else does', async () => {
    await useInHours(0)
    const [id = ''] = await opened(geo())
    expect(await hours()).toEqual(['0 suspect'])
    await judge(id, 'safe')
    expect(await hours()).toEqual(['0 taught'])
  })

  test('is shown with the key, until it expires', async () => {
    await useInHours(0)
    const [id = ''] = await opened(geo())
    await judge(id, 'safe')
    const until = new Date(NOW + MINUTE_MS + 10 * DAY_MS)
    expect(await operators().key('key-1')).toMatchObject({
      frozenAt: undefined,
      taught: [{ kind: 'country', value: 'RO', until }],
    })
    expect(await createOperatorStore(db, new ManualClock(until.getTime())).key('key-1')).toMatchObject({
      taught: [],
    })
    await judge(id, 'compromised', { minute: 5 })
    expect(await operators().key('key-1')).toMatchObject({
      frozenAt: new Date(NOW + 5 * MINUTE_MS),
      taught: [],
    })
  })

  test('given again lasts longer, and taken back is forgotten', async () => {
    const [id = ''] = await opened(geo())
    await judge(id, 'safe')
    await judge(id, 'safe', { minute: 60 })
    expect(await taughtAt(NOW + 10 * DAY_MS + 30 * MINUTE_MS)).toHaveLength(1)
    await judge(id, 'expected', { minute: 61 })
    expect(await taughtAt(NOW + 62 * MINUTE_MS)).toBeUndefined()
    expect((await operators().alert(id))?.alert).toMatchObject({ status: 'resolved', verdict: 'expected' })
  })
})

describe('the verdict "expected"', () => {
  test('closes the alert, teaches nothing, and what goes on is not told again', async () => {
    await useInHours(0, 1)
    const [id = ''] = await opened(geo())
    expect(await judge(id, 'expected')).toMatchObject({ alert: { status: 'resolved' }, taught: [] })
    for (const minute of [2, 20, 45, 70]) expect((await tick(minute, [geo()])).opened).toEqual([])
    expect((await operators().alert(id))?.alert).toMatchObject({
      occurrences: 5,
      lastSeenAt: new Date(NOW + 70 * MINUTE_MS),
    })
    expect(await taughtAt(NOW + MINUTE_MS)).toBeUndefined()
    expect(await hours()).toEqual(['0 suspect', '1 suspect'])
  })

  test('holds this once: when it had been quiet, the same opens an alert again', async () => {
    const [id = ''] = await opened(geo())
    await judge(id, 'expected')
    await tick(10, [geo()])
    expect((await tick(40, [geo()])).opened).toHaveLength(1)
  })

  test('holds for what was judged: something worse, or something else, opens an alert', async () => {
    const [id = ''] = await opened(geo())
    await judge(id, 'expected')
    const { opened: others } = await tick(2, [
      geo({ severity: 'critical' }),
      geo({ detector: 'unusual_hour' }),
      geo({ keyId: 'key-2' }),
    ])
    expect(others).toHaveLength(3)
  })
})

describe('the verdict "compromised"', () => {
  test('freezes the profile from then on and acknowledges the incident; the alert stays open', async () => {
    await useInHours(0, 1, 2)
    const [id = '', other = ''] = await opened(geo(), geo({ detector: 'unusual_hour' }))
    expect(await judge(id, 'compromised', { minute: 70, comment: 'seen on a forum' })).toMatchObject({
      alert: { status: 'acknowledged', verdict: 'compromised' },
      frozen: true,
      taught: [],
    })
    expect((await operators().alert(other))?.alert.status).toBe('acknowledged')
    expect(await hours()).toEqual(['0 suspect', '1 frozen', '2 frozen'])
  })

  test('taken back unfreezes', async () => {
    await useInHours(0)
    const [id = ''] = await opened(geo())
    await judge(id, 'compromised')
    await judge(id, 'compromised', { minute: 90 })
    expect(await hours()).toEqual(['0 frozen'])
    await judge(id, 'safe', { minute: 100 })
    expect(await hours()).toEqual(['0 taught'])
  })
})

test('a verdict on an alert that does not exist is none', async () => {
  expect(await judge('00000000-0000-4000-8000-000000000000', 'safe')).toBeUndefined()
  expect(await judge('x', 'safe')).toBeUndefined()
  expect(await db.selectFrom('verdict').selectAll().execute()).toEqual([])
})

describe('complaint 8: a revoked key', () => {
  const revoke = (sinceMs: number | null) =>
    db
      .insertInto('api_key')
      .values({
        key_id: 'key-1',
        first_seen_at: new Date(NOW),
        state: 'revoked',
        state_since: sinceMs === null ? null : new Date(sinceMs),
      })
      .onConflict((conflict) =>
        conflict
          .column('key_id')
          .doUpdateSet({ state: 'revoked', state_since: sinceMs === null ? null : new Date(sinceMs) }),
      )
      .execute()

  test('stands as revoked, and its hours since then teach nothing', async () => {
    await useInHours(0, 1, 2)
    await revoke(NOW + 70 * MINUTE_MS)
    expect((await keyStandings(db, NOW)).get('key-1')).toEqual({
      revokedSinceMs: NOW + 70 * MINUTE_MS,
      taught: [],
    })
    expect(await hours()).toEqual(['0 taught', '1 frozen', '2 frozen'])
  })

  test('of which nobody knows since when teaches nothing at all', async () => {
    await useInHours(0)
    await revoke(null)
    expect((await keyStandings(db, NOW)).get('key-1')?.revokedSinceMs).toBe(0)
    expect(await hours()).toEqual(['0 frozen'])
  })
})

test('hours under the alert of a limit are taught: to spend is no sign of a thief', async () => {
  await useInHours(0)
  await opened(geo({ detector: 'spend_threshold', scope: '1d:10', severity: 'critical' }))
  expect(await hours()).toEqual(['0 taught'])
})
