import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { testDatabase } from '../harness/database.ts'
import { KeyhoundProcess } from '../e2e/keyhound-process.ts'
import { decisions, finding, planAt } from '../store/decisions.ts'

let url: string
let database: Database

beforeAll(async () => {
  url = await testDatabase()
  database = openDatabase(url)
})
afterAll(async () => database.destroy())

/** Runs a command as an operator does; standard output, standard error and the exit code. */
const keyhound = async (...args: string[]) => {
  const run = new KeyhoundProcess(args, { DATABASE_URL: url })
  const code = await run.ended()
  return { code, out: run.stdout, err: run.stderr }
}

const openAlert = async (keyId: string) => {
  const nowMs = Date.now()
  const base = finding({ keyId })
  const found = { ...base, evidence: { ...base.evidence, observed: { RO: 3 } } }
  const { opened } = await createEngineStore(database).commit({ ...decisions([found]), nowMs }, planAt(nowMs))
  return opened[0]?.id ?? ''
}

describe('complaint 13: keyhound silence', () => {
  test('adds, lists and expires', async () => {
    const id = await openAlert('batch-1')
    const why = ['--comment', 'nightly batch', '--by', 'ann']
    const added = await keyhound('silence', 'add', '--key', 'batch-*', '--for', '4h', ...why)
    expect(added.code).toBe(0)
    expect(added.out).toMatch(
      /^[\da-f-]{36} {2}active {3}until .* key_id=batch-\* {2}silences 1 now, 1 in all {2}ann: nightly batch\n$/,
    )
    const shown = await keyhound('alerts', 'show', id)
    expect(shown.out).toContain('WARNING silenced')
    expect(shown.out).toContain('by the silence of ann ("nightly batch")')
    const listed = await keyhound('silence', 'list', '--format', 'json')
    expect(JSON.parse(listed.out)).toMatchObject([
      { state: 'active', matchers: { key_id: ['batch-*'] }, created_by: 'ann', alerts_silenced_now: 1 },
    ])
    const expired = await keyhound('silence', 'expire', added.out.slice(0, 36))
    expect([expired.code, expired.out]).toEqual([0, expect.stringContaining('expired')])
  }, 60_000)

  test('says what is missing or wrong, and what matches nothing', async () => {
    const without = await keyhound('silence', 'add', '--key', 'a')
    expect([without.code, without.err]).toEqual([2, expect.stringContaining('--comment')])
    const long = await keyhound('silence', 'add', '--key', 'a', '--for', '31d', '--comment', 'x')
    expect([long.code, long.err]).toEqual([
      1,
      'keyhound: --for, --until: a silence lasts 30d at most (notify.silence_max)\n',
    ])
    const nothing = await keyhound('silence', 'add', '--key', 'nobdy-*', '--for', '1h', '--comment', 'x')
    expect([nothing.code, nothing.err]).toEqual([
      0,
      expect.stringContaining('no key that is known matches it'),
    ])
    const unknown = await keyhound('silence', 'expire', 'x')
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('no silence x')])
  }, 60_000)
})

describe('keyhound alerts', () => {
  test('complaint 10: ack takes a note and a time after which the alert fires again', async () => {
    const id = await openAlert('key-1')
    const acked = await keyhound('alerts', 'ack', id, '--for', '2h', '--note', 'on it', '--incident')
    expect([acked.code, acked.out]).toEqual([0, expect.stringContaining('WARNING acknowledged')])
    expect((await keyhound('alerts', 'show', id)).out).toMatch(/acknowledged cli:\S+: until .*: on it/)
  }, 60_000)

  test('feedback says what it did, and for a compromised key how to end it', async () => {
    const id = await openAlert('key 2')
    const safe = await keyhound('alerts', 'feedback', id, 'safe', '--safe-for', '30d')
    expect(safe.out).toMatch(/WARNING resolved .*\nsafe until \S+: country RO\n$/)
    const abuse = await keyhound('alerts', 'feedback', id, 'abuse', '--comment', 'seen on a forum')
    expect(abuse.out).toContain("To revoke it: keyhound keys revoke 'key 2'")
    const wrong = await keyhound('alerts', 'feedback', id, 'fine')
    expect([wrong.code, wrong.err]).toEqual([
      2,
      expect.stringContaining('compromised, expected, safe, abuse'),
    ])
  }, 60_000)
})
