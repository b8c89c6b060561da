import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ManualClock } from '../../src/clock.ts'
import type { PollLoop } from '../../src/outbound/poll-loop.ts'
import { STORE_LIMIT_MS } from '../../src/outbound/store-firmly.ts'
import { CALL_TIMEOUT_MS } from '../../src/respond/call-revoker.ts'
import { revokePolicySettings } from '../../src/respond/policy-settings.ts'
import { LEASE_MS, startActing, startResponding, type Responding } from '../../src/respond/respond.ts'
import { RevokerError, SWITCH, type Revoker } from '../../src/respond/revoker.ts'
import type { Database } from '../../src/store/postgres/database.ts'
import type { Revocation, RevocationOutcome, RevocationStore } from '../../src/store/revocation-store.ts'
import { DAY_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { until } from '../harness/until.ts'
import { outbox, raiseAlert } from '../notify/outbox.ts'
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

describe('responding to alerts', () => {
  test('revokes the key of a critical alert once when it may, and tells the channels of the alert', async () => {
    await raise('key-1')
    const gateway = recordingRevoker()
    const responding = respond(gateway, { mode: 'auto' })
    await responding.outcomes(1)
    expect(gateway.calls).toMatchObject([
      { act: 'revoke', keyId: 'key-1', reason: 'critical alert of volume_spike; revoke.mode is auto' },
    ])
    expect(await statesOf('key-1')).toEqual(['revoked'])
    expect(await outbox(db)).toEqual(['oncall alert.opened pending 0', 'oncall key.revoked pending 0'])
  })

  test('calls nobody in a dry run', async () => {
    await raise('key-1')
    const gateway = recordingRevoker()
    const responding = respond(gateway, {})
    await until(() => responding.decided.length === 1)
    expect(gateway.calls).toEqual([])
    expect(await statesOf('key-1')).toEqual(['dry_run'])
  })

  test('says that an alert is judged also when it leaves the key alone: messages wait for that', async () => {
    await raise('key-1')
    const responding = respond(recordingRevoker(), { mode: 'off' })
    await until(() => responding.rounds.length > 0)
    expect(responding.rounds).toEqual([[]])
    expect(await statesOf('key-1')).toEqual([])
  })

  test('waits for a person in mode approve, and then does it', async () => {
    await raise('key-1')
    const gateway = recordingRevoker()
    const responding = respond(gateway, { mode: 'approve' })
    await until(() => responding.decided.length === 1)
    expect(await statesOf('key-1')).toEqual(['proposed'])
    expect(gateway.calls).toEqual([])
    await store.requestRevoke({ keyId: 'key-1', reason: 'yes', actor: 'dana', nowMs: clock.nowMs() })
    responding.loop.wake()
    await responding.outcomes(1)
    expect(await statesOf('key-1')).toEqual(['revoked'])
  })

  test('revokes no more keys in an hour than allowed, however many alerts come at once', async () => {
    for (let index = 0; index < 8; index += 1) await raise(`key-${index}`)
    const gateway = recordingRevoker()
    const responding = respond(gateway, { mode: 'auto', max_per_hour: 3 })
    await until(() => responding.decided.length === 8)
    await responding.outcomes(3)
    expect(gateway.calls).toHaveLength(3)
    expect(responding.decided.filter(({ state }) => state === 'refused')).toHaveLength(5)
  })

  test('tries again quickly with the same request id, and restores under another', async () => {
    await raise('key-1')
    const gateway = recordingRevoker(new RevokerError('the gateway answered 503', { retryable: true }))
    const responding = respond(gateway, { mode: 'auto' })
    await responding.outcomes(1)
    expect(responding.told).toMatchObject([{ kind: 'retry', at: new Date(SOME_TIME_MS + 1_000) }])
    clock.advance(1_000)
    responding.loop.wake()
    await responding.outcomes(2)
    await store.requestRestore({ keyId: 'key-1', reason: 'ours', actor: 'dana', nowMs: clock.nowMs() })
    responding.loop.wake()
    await responding.outcomes(3)
    const [first, second, third] = gateway.calls
    expect(second?.requestId).toBe(first?.requestId)
    expect(third).toMatchObject({ act: 'restore', requestId: `${first?.requestId}-restore` })
    expect(await statesOf('key-1')).toEqual(['restored'])
  })

  test('gives up after half an hour of tries, and tells it', async () => {
    await raise('key-1')
    const gateway = recordingRevoker()
    gateway.failAlways(new RevokerError('the gateway answered 500', { retryable: true }))
    const responding = respond(gateway, { mode: 'auto' })
    for (let tries = 1; responding.told.at(-1)?.kind !== 'failed'; tries += 1) {
      expect(tries).toBeLessThan(50)
      responding.loop.wake()
      await responding.outcomes(tries)
      const outcome = responding.told.at(-1)
      if (outcome?.kind === 'retry') clock.set(outcome.at.getTime())
    }
    expect(responding.told.at(-1)).toEqual({
      kind: 'failed',
      error: 'given up after 35 tries: the gateway answered 500',
    })
    expect(Math.round((clock.nowMs() - SOME_TIME_MS) / 60_000)).toBe(30)
    expect(await outbox(db)).toContain('oncall key.revocation_failed pending 0')
  })

  test('gives up at once on what can never work', async () => {
    await raise('key-1')
    const responding = respond(
      recordingRevoker(new RevokerError('the gateway answered 404', { retryable: false })),
      { mode: 'auto' },
    )
    await responding.outcomes(1)
    expect(responding.told).toEqual([{ kind: 'failed', error: 'the gateway answered 404' }])
    expect(await statesOf('key-1')).toEqual(['failed'])
  })

  test('touches no key that became protected after the decision, not even for a person', async () => {
    await wish('prod-core-1', 'requestRevoke')
    const gateway = recordingRevoker()
    const responding = respond(gateway, { mode: 'auto', protect: ['prod-core-*'] })
    await responding.outcomes(1)
    expect(gateway.calls).toEqual([])
    expect(responding.told).toEqual([
      { kind: 'failed', error: 'the key is protected by revoke.protect: "prod-core-*"' },
    ])
  })

  test('restores a protected key', async () => {
    await wish('prod-core-1', 'requestRestore')
    const gateway = recordingRevoker()
    const responding = respond(gateway, { protect: ['prod-core-*'] })
    await responding.outcomes(1)
    expect(gateway.calls).toMatchObject([{ act: 'restore', keyId: 'prod-core-1' }])
  })

  test.each(['off', 'dry_run', 'approve'] as const)(
    'carries out nothing that was decided in mode auto after the mode was set to %s',
    async (mode) => {
      await raise('key-1')
      await store.decideDue(() => ({ kind: 'pending', reason: 'revoke.mode is auto' }), clock.nowMs())
      const gateway = recordingRevoker()
      const responding = respond(gateway, { mode })
      await responding.outcomes(1)
      expect(gateway.calls).toEqual([])
      expect(responding.told).toEqual([
        { kind: 'failed', error: `it was decided when revoke.mode was auto, and now it is ${mode}` },
      ])
    },
  )

  test('carries out the wish of a person in every mode', async () => {
    await wish('key-1', 'requestRevoke')
    const gateway = recordingRevoker()
    await respond(gateway, { mode: 'off' }).outcomes(1)
    expect(gateway.calls).toMatchObject([{ act: 'revoke', keyId: 'key-1', alert: undefined }])
  })

  test('says so when there is nobody to call', async () => {
    await wish('key-1', 'requestRevoke')
    const responding = respond(undefined, {})
    await responding.outcomes(1)
    expect(responding.told).toEqual([
      {
        kind: 'failed',
        error:
          'the configuration has no revoke.action, so keyhound cannot call any gateway; nor has revoke.actions one for this key',
      },
    ])
  })

  test('says so when the action cannot restore', async () => {
    await wish('key-1', 'requestRestore')
    const gateway = { ...recordingRevoker(), capabilities: { ...SWITCH, restore: false } }
    const responding = respond(gateway, {})
    await responding.outcomes(1)
    expect(responding.told).toEqual([{ kind: 'failed', error: 'the revoke.action cannot restore keys' }])
  })

  test('keeps what was before from before the first call on, and undoes with it', async () => {
    await wish('key-1', 'requestRevoke')
    const gateway = recordingRevoker(new RevokerError('the gateway answered 503', { retryable: true }))
    const limits = ['500 a minute', 'what the first try made of it']
    const throttling: Revoker = {
      ...gateway,
      capabilities: { ...SWITCH, throttle: true },
      means: 'throttle',
      remember: () => Promise.resolve(limits.shift() ?? 'asked too often'),
    }
    const responding = respond(throttling, {})
    await responding.outcomes(1)
    clock.advance(1_000)
    responding.loop.wake()
    await responding.outcomes(2)
    await store.requestRestore({ keyId: 'key-1', reason: 'ours', actor: 'dana', nowMs: clock.nowMs() })
    responding.loop.wake()
    await responding.outcomes(3)
    expect(gateway.calls.map(({ act, memo, isRepeat }) => [act, memo, isRepeat])).toEqual([
      ['revoke', '500 a minute', false],
      ['revoke', '500 a minute', true],
      ['restore', '500 a minute', false],
    ])
    expect(limits).toHaveLength(1)
  })

  test('deletes nothing where the configuration does not say that it may', async () => {
    await wish('key-1', 'requestRevoke')
    const gateway = recordingRevoker()
    const responding = respond({ ...gateway, means: 'delete' }, {})
    await responding.outcomes(1)
    expect(gateway.calls).toEqual([])
    expect(responding.told).toEqual([
      {
        kind: 'failed',
        error: 'the revoke.action deletes keys for good, and does so only with irreversible: true',
      },
    ])
  })

  test('asks for the action of the key, by its attributes', async () => {
    await raise('key-1')
    await wish('key-1', 'requestRevoke')
    const asked: unknown[] = []
    const gateway = recordingRevoker()
    const responding = respond((key) => {
      asked.push(key)
      return gateway
    }, {})
    await responding.outcomes(1)
    expect(asked).toEqual([{ keyId: 'key-1', teamId: 'payments', environment: undefined }])
  })

  test('goes on deciding while a gateway does not answer', async () => {
    await raise('key-1')
    const answer = Promise.withResolvers<{ receipt: string }>()
    const gateway = { ...recordingRevoker(), revoke: () => answer.promise }
    const responding = respond(gateway, { mode: 'auto' })
    await until(() => responding.decided.length === 1)
    await raise('key-2')
    responding.loop.wake()
    await until(() => responding.decided.length === 2)
    expect(responding.told).toEqual([])
    answer.resolve({ receipt: 'at last' })
    await responding.outcomes(2)
  })

  test('calls once for each key when two share the work', async () => {
    for (let index = 0; index < 6; index += 1) await wish(`key-${index}`, 'requestRevoke')
    const gateway = recordingRevoker()
    const [one, other] = [respond(gateway, {}), respond(gateway, {})]
    await until(() => one.told.length + other.told.length === 6)
    expect(new Set(gateway.calls.map(({ keyId }) => keyId)).size).toBe(6)
    expect(gateway.calls).toHaveLength(6)
  })

  test('acts without deciding where only that is wanted', async () => {
    await raise('key-1')
    await wish('key-2', 'requestRevoke')
    const gateway = recordingRevoker()
    const acting = respond(gateway, { mode: 'auto' }, startActing)
    await acting.outcomes(1)
    expect(gateway.calls.map(({ keyId }) => keyId)).toEqual(['key-2'])
    expect(await statesOf('key-1')).toEqual([])
  })

  test('has a lease that outlives the call and the storing of its outcome', () => {
    expect(LEASE_MS).toBeGreaterThan(CALL_TIMEOUT_MS + STORE_LIMIT_MS)
  })
})

async function raise(keyId: string): Promise<void> {
  const nowMs = clock.nowMs()
  await db
    .insertInto('api_key')
    .values({
      key_id: keyId,
      team_id: 'payments',
      first_seen_at: new Date(nowMs - 30 * DAY_MS),
      last_seen_at: new Date(nowMs),
    })
    .execute()
  await raiseAlert(db, { keyId, channels: ['oncall'], nowMs })
}

async function wish(keyId: string, what: 'requestRevoke' | 'requestRestore'): Promise<void> {
  await store[what]({ keyId, reason: 'asked for', actor: 'dana', nowMs: clock.nowMs() })
}

async function statesOf(keyId: string): Promise<string[]> {
  return (await store.forKey(keyId, 10)).map(({ state }) => state)
}

function respond(
  revoker: Revoker | undefined | Responding['revoker'],
  settings: Record<string, unknown>,
  start: (parts: Responding) => PollLoop = startResponding,
) {
  const decided: Revocation[] = []
  const rounds: (readonly Revocation[])[] = []
  const told: RevocationOutcome[] = []
  const parsed = revokePolicySettings.parse({ min_history: '0s', max_share: 1, ...settings })
  const loop = start({
    revocations: store,
    revoker: typeof revoker === 'function' ? revoker : () => revoker,
    settings: () => parsed,
    clock,
    log: opened.log,
    onDecided: (revocations) => {
      rounds.push(revocations)
      decided.push(...revocations)
    },
    onOutcome: (_revocation, outcome) => void told.push(outcome),
    random: () => 0.5,
  })
  opened.loops.push(loop)
  return { loop, decided, rounds, told, outcomes: (count: number) => until(() => told.length >= count) }
}
