import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { containmentMs } from '../../src/alert/containment.ts'
import type { ManualClock } from '../../src/clock.ts'
import { revokePolicySettings } from '../../src/respond/policy-settings.ts'
import { startResponding } from '../../src/respond/respond.ts'
import { SWITCH, type Revoker } from '../../src/respond/revoker.ts'
import { startWatching } from '../../src/respond/watch.ts'
import { auditOfKey } from '../../src/store/postgres/audit.ts'
import type { Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import type { Revocation, RevocationStore } from '../../src/store/revocation-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { until } from '../harness/until.ts'
import { outbox, raiseAlert } from '../notify/outbox.ts'
import { planAt } from '../store/decisions.ts'
import { openResponseRig, recordingRevoker, type ResponseRig } from './response-rig.ts'

let opened: ResponseRig
let db: Database
let store: RevocationStore
let clock: ManualClock

beforeEach(async () => {
  opened = await openResponseRig()
  ;({ db, store, clock } = opened)
})
afterEach(() => opened.close())

describe('complaint 6: a revocation that the gateway accepted', () => {
  test('and that does not hold is a new critical alert and a new call, until it holds', async () => {
    await abused('key-1')
    const rig = start()
    await until(() => rig.calls.length === 1)
    await stateIs('key-1', 'revoked')
    // A pod that has the key in its cache: used 30 s and 4 min after the gateway said that it was revoked.
    await use('key-1', { at: SOME_TIME_MS + 30 * SECOND_MS })
    await use('key-1', { at: SOME_TIME_MS + 4 * MINUTE_MS })
    clock.set(SOME_TIME_MS + 5 * MINUTE_MS)
    rig.wake()
    await until(() => rig.calls.length === 2)
    const [first, second] = rig.calls
    expect(second?.requestId).toBe(`${first?.requestId}-2`)
    expect(await openAlerts()).toEqual([
      ['revoke_not_effective', 'critical', expect.stringContaining('1 successful request since')],
      ['volume_spike', 'critical', expect.any(String)],
    ])
    expect(await outbox(db)).toContain('security alert.opened pending 0')
    await stateIs('key-1', 'revoked')
    const [again] = await store.forKey('key-1', 1)
    expect(again).toMatchObject({ round: 2, stillUsedAt: new Date(SOME_TIME_MS + 4 * MINUTE_MS) })

    // This time it holds.
    clock.set(SOME_TIME_MS + 18 * MINUTE_MS)
    await use('other', { at: SOME_TIME_MS + 18 * MINUTE_MS })
    rig.wake()
    await until(() => rig.confirmed.length === 1)
    await stateIs('key-1', 'confirmed')
    expect(await outbox(db)).toContain('oncall key.revocation_confirmed pending 0')
    expect(rig.calls).toHaveLength(2)
  })

  test('may let requests through for the grace period', async () => {
    await abused('key-1')
    const rig = start()
    await stateIs('key-1', 'revoked')
    await use('key-1', { at: SOME_TIME_MS + 2 * MINUTE_MS })
    clock.set(SOME_TIME_MS + 3 * MINUTE_MS)
    rig.wake()
    await rig.turned()
    expect(await store.watched({ graceMs: 2 * MINUTE_MS, nowMs: clock.nowMs() })).toMatchObject([
      { successes: 0 },
    ])
    expect(rig.calls).toHaveLength(1)
  })

  test('is not confirmed by a silence in which nothing at all arrives', async () => {
    await abused('key-1')
    const rig = start()
    await stateIs('key-1', 'revoked')
    clock.set(SOME_TIME_MS + HOUR_MS)
    rig.wake()
    await rig.turned()
    await stateIs('key-1', 'revoked')
    await use('other', { at: SOME_TIME_MS + HOUR_MS })
    rig.wake()
    await until(() => rig.confirmed.length === 1)
    await stateIs('key-1', 'confirmed')
  })

  test('is confirmed by refusals, and how long each step took is known', async () => {
    await abused('key-1', { agoMs: 20 * SECOND_MS })
    const rig = start()
    await stateIs('key-1', 'revoked')
    await use('key-1', { at: SOME_TIME_MS + 5 * MINUTE_MS, status: 401 })
    clock.set(SOME_TIME_MS + 12 * MINUTE_MS)
    rig.wake()
    await until(() => rig.confirmed.length === 1)
    const [{ containment } = never()] = await store.forKey('key-1', 1)
    expect(containmentMs(containment, 'alert')).toBe(20 * SECOND_MS)
    expect(containmentMs(containment, 'revoked')).toBe(20 * SECOND_MS)
    expect(containmentMs(containment, 'confirmed')).toBe(12 * MINUTE_MS + 20 * SECOND_MS)
    const actions = (await auditOfKey(db, 'key-1', 10)).map(({ action }) => action)
    expect(actions).toEqual(['revocation.confirmed', 'key.revoked', 'revocation.pending'])
  })

  test('and was confirmed is watched on', async () => {
    await abused('key-1')
    const rig = start()
    await stateIs('key-1', 'revoked')
    await use('other', { at: SOME_TIME_MS + 12 * MINUTE_MS })
    clock.set(SOME_TIME_MS + 12 * MINUTE_MS)
    rig.wake()
    await until(() => rig.confirmed.length === 1)
    // Somebody switched it on again at the gateway, past keyhound.
    await use('key-1', { at: SOME_TIME_MS + 3 * HOUR_MS })
    clock.set(SOME_TIME_MS + 3 * HOUR_MS + MINUTE_MS)
    rig.wake()
    await until(() => rig.calls.length === 2)
    expect((await openAlerts()).map(([detector]) => detector)).toContain('revoke_not_effective')
  })

  test('makes one alert and one new call, however many replicas watch', async () => {
    await abused('key-1')
    const rigs = [start(), start(), start()]
    await stateIs('key-1', 'revoked')
    await use('key-1', { at: SOME_TIME_MS + 4 * MINUTE_MS })
    clock.set(SOME_TIME_MS + 5 * MINUTE_MS)
    for (const rig of rigs) rig.wake()
    await until(async () => (await store.forKey('key-1', 1))[0]?.round === 2)
    await stateIs('key-1', 'revoked')
    for (const rig of rigs) rig.wake()
    await Promise.all(rigs.map((rig) => rig.turned()))
    expect((await store.forKey('key-1', 1))[0]?.round).toBe(2)
    expect((await openAlerts()).filter(([detector]) => detector === 'revoke_not_effective')).toHaveLength(1)
    expect(rigs.flatMap(({ calls }) => calls)).toHaveLength(2)
  })

  test('is not watched where it slows a key down and does not stop it', async () => {
    await abused('key-1')
    const rig = start({}, { means: 'throttle', capabilities: { ...SWITCH, disable: false, throttle: true } })
    await stateIs('key-1', 'revoked')
    await use('key-1', { at: SOME_TIME_MS + 4 * MINUTE_MS })
    clock.set(SOME_TIME_MS + 5 * MINUTE_MS)
    rig.wake()
    await rig.turned()
    expect(rig.calls).toHaveLength(1)
    expect(await keyState('key-1')).toBe('active')
  })
})

describe('a revocation for a time', () => {
  test('complaint 7: is undone by itself, audited, once a key', async () => {
    await abused('key-1')
    const rig = start({ restore_after: '4h' })
    await stateIs('key-1', 'revoked')
    clock.set(SOME_TIME_MS + 4 * HOUR_MS - 1)
    rig.wake()
    await rig.turned()
    await stateIs('key-1', 'revoked')
    clock.set(SOME_TIME_MS + 4 * HOUR_MS)
    rig.wake()
    await stateIs('key-1', 'restored')
    expect(rig.calls.map(({ act }) => act)).toEqual(['revoke', 'restore'])
    expect(await keyState('key-1')).toBe('active')
    const audit = (await auditOfKey(db, 'key-1', 2)).map(({ action, actor }) => [action, actor])
    expect(audit).toEqual([
      ['key.restored', 'timer'],
      ['restore.requested', 'timer'],
    ])

    // The thief is still there: this time it says so, and lasts.
    await resolveAll()
    clock.advance(HOUR_MS)
    await use('key-1', { at: clock.nowMs() })
    await raise('key-1')
    rig.wake()
    await stateIs('key-1', 'revoked')
    const [second] = await store.forKey('key-1', 1)
    expect(second).toMatchObject({ strikes: 1, restoreAt: undefined })
    expect(second?.reason).toContain('strike 2: revoked before and restored by timer')
  })

  test('lasts as long as the person who asked for it said', async () => {
    const restoreAt = new Date(SOME_TIME_MS + HOUR_MS)
    await store.requestRevoke({ keyId: 'key-1', reason: 'r', actor: 'ann', nowMs: SOME_TIME_MS, restoreAt })
    const rig = start()
    await stateIs('key-1', 'revoked')
    clock.set(SOME_TIME_MS + HOUR_MS)
    rig.wake()
    await stateIs('key-1', 'restored')
  })
})

describe('complaint 8: a halt', () => {
  test('ends when its cause is gone, and what it held back is judged anew', async () => {
    const rig = start({ halt_when: { keys_firing: 3 } })
    for (const keyId of ['key-1', 'key-2', 'key-3']) await abused(keyId)
    await raise('key-4')
    rig.wake()
    await until(async () => (await store.halts()).length === 1)
    expect(await store.halts()).toMatchObject([{ cause: 'many_keys', actor: 'policy' }])
    await until(async () => (await store.list({ limit: 10 })).length === 4)
    const refused = (await store.list({ states: ['refused'], limit: 10 })).map(({ keyId }) => keyId)
    expect(refused).toContain('key-4')
    // Ten minutes later the storm is over; three of the alerts were resolved by people.
    clock.advance(11 * MINUTE_MS)
    await use('other', { at: clock.nowMs() })
    await resolveAll('key-4')
    rig.wake()
    await until(async () => (await store.halts()).length === 0)
    rig.wake()
    await stateIs('key-4', 'revoked')
  })

  test('of an operator stops the policy, not people, and lasts until somebody ends it', async () => {
    await store.halt({ reason: 'we are migrating', actor: 'dana', nowMs: SOME_TIME_MS })
    await abused('key-1')
    const rig = start()
    await stateIs('key-1', 'refused')
    clock.advance(MINUTE_MS)
    await store.requestRevoke({ keyId: 'key-2', reason: 'r', actor: 'ann', nowMs: clock.nowMs() })
    rig.wake()
    await stateIs('key-2', 'revoked')
    await use('other', { at: clock.nowMs() })
    rig.wake()
    await rig.turned()
    expect(await store.halts()).toHaveLength(1)
    await store.resume(['operator'], { actor: 'dana', nowMs: clock.nowMs() })
    rig.wake()
    await stateIs('key-1', 'revoked')
  })

  test('also stops what was decided and not yet called', async () => {
    await abused('key-1')
    await store.decideDue(() => ({ kind: 'pending', reason: 'auto' }), SOME_TIME_MS)
    await store.halt({ reason: 'wait', actor: 'dana', nowMs: SOME_TIME_MS })
    const rig = start()
    await stateIs('key-1', 'refused')
    expect(rig.calls).toEqual([])
    clock.advance(MINUTE_MS)
    await store.resume(['operator'], { actor: 'dana', nowMs: clock.nowMs() })
    rig.wake()
    await stateIs('key-1', 'revoked')
  })
})

describe('complaint 8: what a person judged harmless', () => {
  test('is not revoked any more, although that was decided', async () => {
    await abused('key-1')
    await store.decideDue(() => ({ kind: 'pending', reason: 'auto' }), SOME_TIME_MS)
    await db.updateTable('alert').set({ verdict: 'safe' }).execute()
    const rig = start()
    await stateIs('key-1', 'refused')
    expect(rig.calls).toEqual([])
    expect(await outbox(db)).toEqual(['oncall alert.opened pending 0'])
  })
})

function never(): never {
  throw new Error('not there')
}

/** A key that has been used for a month, and is abused now: the alert is open, its first request is stored. */
async function abused(keyId: string, { agoMs = 10 * SECOND_MS } = {}): Promise<void> {
  await use(keyId, { at: SOME_TIME_MS - agoMs })
  await db
    .updateTable('api_key')
    .set({ first_seen_at: new Date(SOME_TIME_MS - 30 * DAY_MS) })
    .where('key_id', '=', keyId)
    .execute()
  await raise(keyId)
}

async function raise(keyId: string): Promise<void> {
  await db
    .insertInto('api_key')
    .values({ key_id: keyId, first_seen_at: new Date(SOME_TIME_MS - 30 * DAY_MS) })
    .onConflict((conflict) => conflict.column('key_id').doNothing())
    .execute()
  await raiseAlert(db, {
    keyId,
    channels: ['oncall'],
    nowMs: clock.nowMs(),
    windowStart: new Date(clock.nowMs() - MINUTE_MS),
  })
}

async function use(keyId: string, { at, status = 200 }: { at: number; status?: number }): Promise<void> {
  const writer = createUsageWriter(db, { nowMs: () => at })
  await writer.write({
    events: [enrichedEvent({ keyId, timestampMs: at, statusCode: status })],
    rejected: [],
  })
}

async function resolveAll(exceptKey = ''): Promise<void> {
  const now = new Date(clock.nowMs())
  await db
    .updateTable('alert')
    .set({ status: 'resolved', resolved_at: now })
    .where('key_id', '<>', exceptKey)
    .where('status', '<>', 'resolved')
    .execute()
  await db.updateTable('incident').set({ closed_at: now }).where('closed_at', 'is', null).execute()
}

async function openAlerts() {
  const open = db.selectFrom('alert').selectAll().where('status', '<>', 'resolved')
  const rows = await open.orderBy('detector').execute()
  return rows.map(({ detector, severity, summary }) => [detector, severity, summary] as const)
}

async function keyState(keyId: string): Promise<string | undefined> {
  const row = await db.selectFrom('api_key').select('state').where('key_id', '=', keyId).executeTakeFirst()
  return row?.state
}

async function stateIs(keyId: string, state: Revocation['state']): Promise<void> {
  await until(async () => (await store.forKey(keyId, 1))[0]?.state === state)
}

/** A daemon's responder and watch, with a gateway that accepts everything. */
function start(settings: Record<string, unknown> = {}, revokerIs: Partial<Revoker> = {}) {
  const gateway = recordingRevoker()
  const confirmed: Revocation[] = []
  let turns = 0
  const revoker: Revoker = { ...gateway, ...revokerIs }
  const parsed = revokePolicySettings.parse({ mode: 'auto', min_history: '0s', max_share: 1, ...settings })
  const { log } = opened
  const responding = startResponding({
    revocations: store,
    revoker: () => revoker,
    settings: () => parsed,
    clock,
    log,
  })
  const watching = startWatching({
    // Its last question of every turn.
    revocations: { ...store, halts: async () => store.halts().finally(() => (turns += 1)) },
    settings: () => parsed,
    clock,
    log,
    raise: async (finding, key) => {
      const decisions = {
        nowMs: clock.nowMs(),
        findings: [{ finding, key, groupKey: 'again' }],
        resolved: [],
      }
      await createEngineStore(db).commit(decisions, planAt(clock.nowMs()))
    },
    onConfirmed: (revocation) => void confirmed.push(revocation),
    onDue: () => responding.wake(),
  })
  opened.loops.push(responding, watching)
  return {
    calls: gateway.calls,
    confirmed,
    wake: () => {
      watching.wake()
      responding.wake()
    },
    /** Two more turns of the watch have ended: one of them began after now. */
    turned: async () => {
      for (const target of [turns + 1, turns + 2]) {
        watching.wake()
        await until(() => turns >= target)
      }
    },
  }
}
