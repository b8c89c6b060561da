import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LEASE_MS } from '../../src/respond/respond.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { lock } from '../../src/store/postgres/lock.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { until } from '../harness/until.ts'
import { raiseAlert } from '../notify/outbox.ts'

const SCRIPT = join(import.meta.dirname, 'responder-process.ts')

let url: string
let db: Database
let gateway: HttpSink
let children: ChildProcess[]

beforeEach(async () => {
  url = await testDatabase()
  db = openDatabase(url)
  gateway = await startHttpSink()
  children = []
})
afterEach(async () => {
  for (const child of children) await kill(child)
  await gateway.close()
  await db.destroy()
})

describe('a responder that is killed', () => {
  test(
    'while the gateway is being called repeats the call under the same id',
    { timeout: 60_000 },
    async () => {
      await raise('key-1')
      gateway.answerNext({ delayMs: 30_000 })
      const first = start(SOME_TIME_MS)
      await gateway.waitFor(1, 20_000)
      await kill(first)
      start(SOME_TIME_MS + LEASE_MS)
      await gateway.waitFor(2, 20_000)
      await until(async () => (await statesOf('key-1')).join() === 'revoked')
      expect(idsOf('key-1')).toHaveLength(2)
      expect(new Set(idsOf('key-1')).size).toBe(1)
    },
  )

  test('between the answer and its writing loses nothing', { timeout: 60_000 }, async () => {
    await raise('key-1')
    const store = createRevocationStore(db)
    await store.decideDue(() => ({ kind: 'pending', reason: 'revoke.mode is auto' }), SOME_TIME_MS)
    const answered = Promise.withResolvers<void>()
    const written = Promise.withResolvers<void>()
    // Whoever holds this lock keeps the outcome from being written.
    const holding = db.transaction().execute(async (trx) => {
      await lock(trx, 'alerting')
      answered.resolve()
      await written.promise
    })
    await answered.promise
    const first = start(SOME_TIME_MS)
    await gateway.waitFor(1, 20_000)
    await delay(200)
    await kill(first)
    written.resolve()
    await holding
    start(SOME_TIME_MS + LEASE_MS)
    await until(async () => (await statesOf('key-1')).join() === 'revoked')
    expect(new Set(idsOf('key-1')).size).toBe(1)
  })

  test(
    'at any moment, again and again, revokes every key, each under one id a round, and sees the one that is still used',
    { timeout: 120_000 },
    async () => {
      const keys = Array.from({ length: 6 }, (_, index) => `key-${index}`)
      for (const key of keys) await raise(key)
      // key-0 goes on working after its revocation, whenever that was.
      const lastMs = SOME_TIME_MS + 40 * MINUTE_MS
      let nowMs = SOME_TIME_MS
      gateway.answerAlways({ delayMs: 40 })
      // Start-up takes most of a second: the pauses end before, within and after the work.
      for (const pauseMs of [350, 500, 600, 700, 800, 900, 1_000, 1_200]) {
        const child = start(nowMs)
        await delay(pauseMs)
        await kill(child)
        nowMs += LEASE_MS
      }
      const writer = createUsageWriter(db, { nowMs: () => lastMs })
      await writer.write({
        events: [enrichedEvent({ keyId: 'key-0', timestampMs: lastMs - MINUTE_MS })],
        rejected: [],
      })
      start(nowMs)
      await until(async () => {
        const states = await Promise.all(keys.map(statesOf))
        return states.every((state) => state.join() === 'revoked')
      })
      start(lastMs)
      await until(
        async () => (await roundOf('key-0')) === 2 && (await statesOf('key-0')).join() === 'revoked',
      )
      for (const key of keys.slice(1)) expect([key, new Set(idsOf(key)).size]).toEqual([key, 1])
      const [id] = idsOf('key-0')
      expect(new Set(idsOf('key-0'))).toEqual(new Set([id, `${id}-2`]))
      const again = await db
        .selectFrom('alert')
        .select('key_id')
        .where('detector', '=', 'revoke_not_effective')
        .execute()
      expect(again).toEqual([{ key_id: 'key-0' }])
    },
  )
})

function start(nowMs: number): ChildProcess {
  const child = spawn(process.execPath, [SCRIPT, url, `${gateway.url}/revoke`, String(nowMs)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  children.push(child)
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function raise(keyId: string): Promise<void> {
  await db
    .insertInto('api_key')
    .values({
      key_id: keyId,
      first_seen_at: new Date(SOME_TIME_MS - 30 * 24 * 60 * MINUTE_MS),
      last_seen_at: new Date(SOME_TIME_MS),
    })
    .execute()
  await raiseAlert(db, { keyId, channels: ['oncall'], nowMs: SOME_TIME_MS })
}

async function statesOf(keyId: string): Promise<string[]> {
  return (await createRevocationStore(db).forKey(keyId, 10)).map(({ state }) => state)
}

async function roundOf(keyId: string): Promise<number | undefined> {
  return (await createRevocationStore(db).forKey(keyId, 1))[0]?.round
}

/** Ids under which the gateway was asked about the key. */
function idsOf(keyId: string): string[] {
  return gateway.requests
    .filter(({ body }) => body.includes(`"key_id":"${keyId}"`))
    .map(({ headers }) => String(headers['webhook-id']))
}
