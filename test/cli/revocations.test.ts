import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { KeyhoundProcess } from '../e2e/keyhound-process.ts'
import { testDatabase } from '../harness/database.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { decisions, finding, planAt } from '../store/decisions.ts'

let url: string
let database: Database
let gateway: HttpSink
let configFile: string

beforeAll(async () => {
  url = await testDatabase()
  database = openDatabase(url)
  gateway = await startHttpSink()
  configFile = join(await mkdtemp(join(tmpdir(), 'kh-test-')), 'alerts.yaml')
  await writeFile(
    configFile,
    `version: 1
revoke:
  mode: approve
  actions:
    - match: { key_id: "set-*" }
      action: { type: litellm, url: "${gateway.url}", admin_key: sk-master-0123456789 }
  action: { type: webhook, url: "${gateway.url}/revoke", secret: a-secret-of-the-right-length }
`,
  )
})
afterAll(async () => {
  await gateway.close()
  await database.destroy()
})

const keyhound = async (...args: string[]) => {
  const run = new KeyhoundProcess(args, { DATABASE_URL: url, KEYHOUND_CONFIG: configFile })
  const code = await run.ended()
  return { code, out: run.stdout, err: run.stderr }
}

async function decided(keyId: string, kind: 'dry_run' | 'refused' | 'proposed'): Promise<string> {
  const nowMs = Date.now()
  const found = finding({ keyId, severity: 'critical' })
  await createEngineStore(database).commit({ ...decisions([found]), nowMs }, planAt(nowMs))
  const store = createRevocationStore(database)
  const [revocation] = await store.decideDue(() => ({ kind, reason: `because of ${keyId}` }), nowMs)
  return revocation?.id ?? ''
}

describe('keyhound revocations', () => {
  test('--dry-run shows what auto would have done and what the verdicts said', async () => {
    await decided('thief\u001B[31m', 'dry_run')
    await decided('core', 'refused')
    await database
      .updateTable('alert')
      .set({ verdict: 'compromised' })
      .where('key_id', 'like', 'thief%')
      .execute()
    const { code, out } = await keyhound('revocations', '--dry-run', '--since', '7d')
    expect(code).toBe(0)
    expect(out).toMatch(/held back {5}no verdict {3}core {2}unusual_geo: because of core\n/)
    expect(out).toMatch(/would revoke {2}compromised {2}thief/)
    expect(out).toContain(
      'In 7d auto would have revoked 1 key: 1 judged compromised, 0 expected or safe, 0 without a verdict.\n',
    )
    expect(out).not.toContain('\u001B')
    const json = await keyhound('revocations', '--dry-run', '--format', 'json')
    expect(JSON.parse(json.out)).toMatchObject({ summary: { acted: 1, heldBack: 1 } })
  }, 60_000)

  test('approve carries out one proposal at once; list shows it', async () => {
    const id = await decided('key-1', 'proposed')
    const approved = await keyhound('revocations', 'approve', id)
    expect([approved.code, approved.out]).toEqual([0, expect.stringContaining('revoked')])
    expect(gateway.requests.at(-1)?.headers['webhook-id']).toBe(id)
    const again = await keyhound('revocations', 'approve', id)
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('does not wait for an approval')])
    const listed = await keyhound('revocations', 'list', '--state', 'revoked', '--format', 'json')
    expect(JSON.parse(listed.out)).toMatchObject({ halts: [], revocations: [{ id, key_id: 'key-1' }] })
  }, 60_000)

  test('halt and resume', async () => {
    const halted = await keyhound('revocations', 'halt', '--reason', 'we are migrating')
    expect([halted.code, halted.out]).toEqual([
      0,
      expect.stringMatching(/^HALTED since .*: we are migrating\n$/),
    ])
    expect((await keyhound('revocations')).err).toContain('HALTED')
    expect((await keyhound('revocations', 'resume')).out).toMatch(/^ended: HALTED/)
    expect((await keyhound('revocations', 'halt')).code).toBe(2)
    expect((await keyhound('revocations', '--since', 'long')).code).toBe(2)
  }, 60_000)
})

describe('keyhound keys revoke', () => {
  test('uses the action that the key matches', async () => {
    const { code, err, out } = await keyhound('keys', 'revoke', 'set-1')
    // The key id is no hash: LiteLLM is not even asked.
    expect([code, err]).toEqual([1, ''])
    expect(out).toContain('set-1: failed: the other side')
  }, 60_000)

  test('may be for a time', async () => {
    const { code, out } = await keyhound('keys', 'revoke', 'key-7', '--restore-after', '2h')
    expect([code, out]).toEqual([0, 'key-7: revoked\n'])
    const [row] = await createRevocationStore(database).forKey('key-7', 1)
    expect(row?.restoreAt?.getTime()).toBeGreaterThan(Date.now() + 7_000_000)
    const shown = await keyhound('keys', 'show', 'key-7')
    expect(shown.out).toContain('restored by itself at')
  }, 60_000)
})
