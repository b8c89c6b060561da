import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { maintenanceAt } from '../../src/alert/maintenance.ts'
import { planAnnouncement } from '../../src/alert/plan-announcement.ts'
import type { Route } from '../../src/alert/route.ts'
import { ManualClock } from '../../src/clock.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { NoSuchAlertError, type NewSilence } from '../../src/store/silence-store.ts'
import { auditOfKey } from '../../src/store/postgres/audit.ts'
import { countOpenAlerts } from '../../src/store/postgres/count-open-alerts.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { createSilenceStore } from '../../src/store/postgres/silence-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding } from './decisions.ts'

const NOW = SOME_TIME_MS
const ROUTES: readonly Route[] = [
  {
    match: { severity: ['critical'] },
    channels: ['pager'],
    escalate: { afterMs: 15 * MINUTE_MS, channels: ['manager'] },
  },
  { channels: ['chat'] },
]
/** From 10 to 30 minutes after NOW. */
const WINDOW = {
  name: 'move',
  match: {},
  fixed: { startsMs: NOW + 10 * MINUTE_MS, endsMs: NOW + 30 * MINUTE_MS },
}

let db: Database

beforeEach(async () => {
  db = openDatabase(await testDatabase())
})
afterEach(async () => {
  await db.destroy()
})

interface TickOptions {
  readonly resolved?: readonly string[]
  readonly clean?: readonly string[]
  readonly held?: readonly string[]
  readonly withWindow?: boolean
}

/** A tick so many minutes after NOW, with the product's own rules. */
const tick = (minute: number, found: readonly Finding[] = [], options: TickOptions = {}) => {
  const nowMs = NOW + minute * MINUTE_MS
  const settings = { groupWaitMs: 5_000, repeatIntervalMs: 4 * HOUR_MS }
  return createEngineStore(db).commit(
    {
      ...decisions(found, { at: minute * MINUTE_MS, resolved: options.resolved ?? [] }),
      clean: options.clean,
      held: options.held,
      resolveAfterMs: 30 * MINUTE_MS,
      mutes: options.withWindow === true ? maintenanceAt([WINDOW], nowMs) : [],
    },
    (incident, alerts, keys) => planAnnouncement(incident, alerts, { keys, routes: ROUTES, settings, nowMs }),
  )
}

/** The outbox in words, in the order in which it is due. */
const outbox = async () => {
  const rows = await db
    .selectFrom('delivery')
    .select(['type', 'channel', 'due_at', 'reason'])
    .orderBy('due_at')
    .orderBy('number')
    .orderBy('channel')
    .execute()
  return rows.map(({ type, channel, due_at: due, reason }) => {
    const minute = Math.floor((due.getTime() - NOW) / MINUTE_MS)
    return `${minute} ${type} ${channel}${reason === null ? '' : `: ${reason}`}`
  })
}

const statuses = async () =>
  (await db.selectFrom('alert').select('status').orderBy('opened_at').orderBy('detector').execute()).map(
    ({ status }) => status,
  )
const idOf = async (detector = 'unusual_geo') =>
  (
    await db
      .selectFrom('alert')
      .select('id')
      .where('detector', '=', detector as 'unusual_geo')
      .orderBy('opened_at', 'desc')
      .executeTakeFirstOrThrow()
  ).id
const changesOf = async (id: string) =>
  (await createOperatorStore(db, new ManualClock(NOW)).alert(id))?.history.map(
    ({ change, actor, note }) => `${change} ${actor}${note === undefined ? '' : `: ${note}`}`,
  )

const silence = (minute: number, given: Partial<NewSilence> = {}) =>
  createSilenceStore(db).create({
    matchers: { key_id: ['key-*'] },
    startsAt: new Date(NOW + minute * MINUTE_MS),
    endsAt: new Date(NOW + (minute + 30) * MINUTE_MS),
    createdBy: 'ann',
    comment: 'batch run',
    actor: 'cli:ann',
    nowMs: NOW + minute * MINUTE_MS,
    ...given,
  })
const LABEL = 'the silence of ann ("batch run") does not cover it any more, and it is still open'
const operators = () => createOperatorStore(db, new ManualClock(NOW))

describe('a silence', () => {
  test('complaint 11: what it hid and is still open when it ends is told then, once, with the reason', async () => {
    await silence(0)
    await tick(1, [finding({ severity: 'critical' })])
    expect(await statuses()).toEqual(['silenced'])
    await tick(20, [finding({ severity: 'critical' })])
    expect(await outbox()).toEqual([])
    await tick(30, [finding({ severity: 'critical' })])
    await tick(31, [finding({ severity: 'critical' })])
    expect(await outbox()).toEqual([`30 alert.opened pager: ${LABEL}`])
    expect(await statuses()).toEqual(['firing'])
  })

  test('complaint 11: it ends also when no finding and no operator comes by', async () => {
    await silence(0)
    await tick(1, [finding()])
    await tick(30)
    expect(await outbox()).toEqual([`30 alert.opened chat: ${LABEL}`])
  })

  test('complaint 12: what is over when it ends is told neither as opened nor as resolved', async () => {
    await silence(0)
    await tick(1, [finding()])
    await tick(10, [], { resolved: [await idOf()] })
    await tick(31)
    expect(await outbox()).toEqual([])
    expect(await db.selectFrom('incident').select('closed_at').execute()).toEqual([
      { closed_at: new Date(NOW + 10 * MINUTE_MS) },
    ])
  })

  test('works at once on what is open, and what was told before is told to be over', async () => {
    await tick(0, [finding()])
    const { use } = await silence(5)
    expect(use).toMatchObject({ state: 'active', silencing: 1, silenced: 1 })
    expect(await statuses()).toEqual(['silenced'])
    await tick(6, [finding()])
    await tick(10, [], { resolved: [await idOf()] })
    expect(await outbox()).toEqual(['0 alert.opened chat', '10 alert.resolved chat'])
  })

  test('complaint 13: it is ended by hand, and by whom is kept', async () => {
    const { silence: made } = await silence(0)
    await tick(1, [finding()])
    const act = { actor: 'bob', nowMs: NOW + 5 * MINUTE_MS }
    expect(await createSilenceStore(db).expire(made.id, act)).toMatchObject({
      silence: { expiredBy: 'bob', expiredAt: new Date(act.nowMs) },
      use: { state: 'expired' },
    })
    await createSilenceStore(db).expire(made.id, { ...act, actor: 'eve', nowMs: act.nowMs + 1 })
    await tick(6, [finding()])
    expect(await outbox()).toEqual([`6 alert.opened chat: ${LABEL}`])
    expect(await createSilenceStore(db).list({ nowMs: NOW + HOUR_MS })).toMatchObject([
      { silence: { expiredBy: 'bob' }, use: { state: 'expired', silencing: 0, silenced: 1 } },
    ])
    const actions = await db.selectFrom('audit').select(['action', 'actor']).orderBy('id').execute()
    expect(actions).toEqual([
      { action: 'silence.created', actor: 'cli:ann' },
      { action: 'silence.expired', actor: 'bob' },
    ])
  })

  test('that begins later leaves alone what is open until then', async () => {
    await tick(0, [finding()])
    await silence(0, { startsAt: new Date(NOW + 10 * MINUTE_MS) })
    expect(await statuses()).toEqual(['firing'])
    await tick(10, [finding()])
    expect(await statuses()).toEqual(['silenced'])
  })

  test('complaint 10: of one alert lasts until that is resolved, and hides no other', async () => {
    await tick(0, [finding()])
    const alertId = await idOf()
    await silence(1, { matchers: {}, alertId, endsAt: new Date(NOW + 30 * DAY_MS) })
    await tick(2, [finding(), finding({ detector: 'unusual_hour' })])
    expect(await statuses()).toEqual(['silenced', 'firing'])
    await tick(40, [], { resolved: [alertId, await idOf('unusual_hour')] })
    expect(await createSilenceStore(db).list({ nowMs: NOW + 41 * MINUTE_MS })).toMatchObject([
      { use: { state: 'expired' } },
    ])
    await tick(50, [finding()])
    expect(await statuses()).toContain('firing')
    await expect(silence(51, { matchers: {}, alertId })).rejects.toThrow(NoSuchAlertError)
  })

  test('complaint 10: the list shows a silence that matches nothing', async () => {
    await db
      .insertInto('api_key')
      .values({ key_id: 'batch_1%', first_seen_at: new Date(NOW), team_id: 'data' })
      .execute()
    const matches = async (matchers: NewSilence['matchers']) =>
      (await silence(0, { matchers })).use.matchesSomething
    expect(await matches({ key_id: ['batch_*'] })).toBe(true)
    expect(await matches({ key_id: ['batch_1%'], team_id: ['d*'] })).toBe(true)
    expect(await matches({ key_id: ['batch-*'] })).toBe(false)
    expect(await matches({ key_id: ['batch_*'], team_id: ['dat'] })).toBe(false)
    expect(await matches({ key_id: ['%'] })).toBe(false)
    expect(await matches({ severity: ['info'] })).toBe(true)
  })

  test.each([false, true])(
    'complaint 11: keeps nobody from being told that the key was revoked (its alert resolved by then: %s)',
    async (isOver) => {
      await silence(0)
      await tick(1, [finding({ severity: 'critical' })])
      const revocations = createRevocationStore(db)
      const nowMs = NOW + 2 * MINUTE_MS
      const { id } = await revocations.requestRevoke({
        keyId: 'key-1',
        reason: 'leaked',
        actor: 'ann',
        nowMs,
      })
      if (isOver) await tick(2, [], { resolved: [await idOf()] })
      await revocations.claimDue({ nowMs, limit: 1, leaseMs: MINUTE_MS })
      await revocations.settle(id, { kind: 'done', receipt: '200', means: 'disable' }, nowMs)
      expect(await outbox()).toEqual(['2 key.revoked pager'])
    },
  )

  test('complaint 11: silenced alerts are counted', async () => {
    await silence(0, { matchers: { detector: ['unusual_geo'] } })
    await tick(1, [finding(), finding({ keyId: 'key-2' }), finding({ detector: 'unusual_hour' })])
    expect(await countOpenAlerts(db)).toEqual([
      { status: 'firing', count: 1 },
      { status: 'acknowledged', count: 0 },
      { status: 'silenced', count: 2 },
    ])
  })

  test('shows in the history of the alert', async () => {
    await silence(0)
    await tick(1, [finding()])
    await tick(30)
    expect(await changesOf(await idOf())).toEqual([
      'opened keyhound',
      'silenced keyhound: by the silence of ann ("batch run")',
      `released keyhound: ${LABEL}`,
    ])
  })
})

describe('a maintenance window', () => {
  test('complaint 12: alerts open in it as usual, and what is still open at its end is told then, once', async () => {
    await tick(15, [finding(), finding({ keyId: 'key-2' })], { withWindow: true })
    expect(await statuses()).toEqual(['silenced', 'silenced'])
    const [gone = ''] = (
      await db.selectFrom('alert').select('id').where('key_id', '=', 'key-2').execute()
    ).map(({ id }) => id)
    await tick(20, [finding()], { withWindow: true, resolved: [gone] })
    await tick(29, [finding()], { withWindow: true })
    expect(await outbox()).toEqual([])
    await tick(30, [finding()], { withWindow: true })
    await tick(31, [finding()], { withWindow: true })
    expect(await outbox()).toEqual([
      '30 alert.opened chat: the maintenance window "move" does not cover it any more, and it is still open',
    ])
  })

  test('hands over to a silence that goes on, without a message between', async () => {
    await tick(15, [finding()], { withWindow: true })
    await silence(20)
    await tick(30, [finding()], { withWindow: true })
    expect(await statuses()).toEqual(['silenced'])
    await tick(50, [finding()], { withWindow: true })
    expect(await outbox()).toEqual([`50 alert.opened chat: ${LABEL}`])
  })
})

describe('an acknowledgement', () => {
  const act = (minute: number) => ({ actor: 'ann', note: 'on it', nowMs: NOW + minute * MINUTE_MS })

  test('complaint 10: has an actor, a note and an end; then the alert fires again and is told', async () => {
    await tick(0, [finding({ severity: 'critical' })])
    const id = await idOf()
    const until = new Date(NOW + 60 * MINUTE_MS)
    expect(await operators().acknowledge(id, { ...act(5), until })).toMatchObject({
      status: 'acknowledged',
      acknowledgedUntil: until,
    })
    await tick(59, [finding({ severity: 'critical' })])
    await tick(60, [finding({ severity: 'critical' })])
    expect(await statuses()).toEqual(['firing'])
    expect(await outbox()).toEqual([
      '0 alert.opened pager',
      '5 alert.acknowledged pager: acknowledged by ann: on it',
      `60 alert.repeated pager: it was acknowledged until ${until.toISOString()} and is still open`,
    ])
    expect(await changesOf(id)).toEqual([
      'opened keyhound',
      `acknowledged ann: until ${until.toISOString()}: on it`,
      `released keyhound: it was acknowledged until ${until.toISOString()} and is still open`,
    ])
  })

  test('complaint 1: repeated, it changes nothing and tells nobody twice', async () => {
    await tick(0, [finding()])
    const id = await idOf()
    await operators().acknowledge(id, act(1))
    await operators().acknowledge(id, { ...act(2), actor: 'bob' })
    expect(await changesOf(id)).toEqual(['opened keyhound', 'acknowledged ann: on it'])
    expect(await outbox()).toHaveLength(2)
  })

  test('of the whole incident answers every alert that its message tells', async () => {
    await tick(0, [finding(), finding({ detector: 'unusual_hour' })])
    await operators().acknowledge(await idOf(), act(1))
    expect(await statuses()).toEqual(['acknowledged', 'firing'])
    expect(await outbox()).toEqual(['0 alert.opened chat'])
    await operators().acknowledge(await idOf(), { ...act(2), wholeIncident: true })
    expect(await statuses()).toEqual(['acknowledged', 'acknowledged'])
    expect(await outbox()).toEqual([
      '0 alert.opened chat',
      '2 alert.acknowledged chat: acknowledged by ann: on it',
    ])
  })

  test('keeps the alert from being told further; without it the next channel hears of it, once', async () => {
    await tick(0, [finding({ severity: 'critical' })])
    await tick(16)
    await tick(17)
    expect(await outbox()).toEqual([
      '0 alert.opened pager',
      '16 alert.repeated manager: nobody acknowledged it within 15m',
    ])
    expect(await changesOf(await idOf())).toContain(
      'told_further keyhound: nobody acknowledged it within 15m: told manager',
    )
    await tick(20, [], { resolved: [await idOf()] })
    expect((await outbox()).slice(2)).toEqual(['20 alert.resolved manager', '20 alert.resolved pager'])
    await tick(30, [finding({ severity: 'critical' })])
    await operators().acknowledge(await idOf(), act(31))
    await tick(60)
    expect((await outbox()).filter((line) => line.includes('manager'))).toHaveLength(2)
  })
})

describe('an alert', () => {
  test('complaint 1: that is found at every tick is one alert and one message', async () => {
    for (let minute = 0; minute < 60; minute += 1) await tick(minute, [finding()])
    expect(await db.selectFrom('alert').select('occurrences').execute()).toEqual([{ occurrences: 60 }])
    expect(await outbox()).toEqual(['0 alert.opened chat'])
  })

  test('complaint 2: judged by four replicas at once is one alert and one message', async () => {
    await Promise.all([1, 2, 3, 4].map(async () => tick(0, [finding()])))
    expect(await statuses()).toEqual(['firing'])
    expect(await outbox()).toEqual(['0 alert.opened chat'])
  })

  test('complaint 3: that was resolved is raised anew by the next crossing', async () => {
    await tick(0, [finding()])
    await tick(40, [], { resolved: [await idOf()] })
    await tick(90, [finding()])
    expect(await outbox()).toEqual(['0 alert.opened chat', '40 alert.resolved chat', '90 alert.opened chat'])
  })

  test('complaint 4: counts the evaluations that did not find it, and starts anew when it is found or held', async () => {
    const clean = async () => (await createEngineStore(db).openAlerts({ index: 0, count: 1 }))[0]
    await tick(0, [finding()])
    const id = await idOf()
    await tick(1, [], { clean: [id] })
    await tick(2, [], { clean: [id] })
    expect((await clean())?.cleanEvaluations).toBe(2)
    await tick(3, [], { held: [id] })
    expect(await clean()).toMatchObject({
      cleanEvaluations: 0,
      lastSeenAt: new Date(NOW + 3 * MINUTE_MS),
      occurrences: 1,
    })
    await tick(4, [], { clean: [id] })
    await tick(5, [finding()])
    expect((await clean())?.cleanEvaluations).toBe(0)
  })
})

test('a silence, an acknowledgement and a verdict are in the audit of the key', async () => {
  await tick(0, [finding()])
  const id = await idOf()
  await operators().acknowledge(id, { actor: 'ann', note: undefined, nowMs: NOW })
  await operators().giveVerdict(id, {
    verdict: 'expected',
    comment: 'a test',
    actor: 'ann',
    nowMs: NOW,
    safeForMs: DAY_MS,
  })
  expect((await auditOfKey(db, 'key-1', 9)).map(({ action }) => action).toReversed()).toEqual([
    'alert.acknowledged',
    'alert.verdict.expected',
    'alert.resolved',
  ])
})
