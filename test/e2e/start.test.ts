import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { startRedisServer } from '../harness/redis-server.ts'
import { testDatabase } from '../harness/database.ts'
import { eventually, KeyhoundProcess, runKeyhound } from './keyhound-process.ts'

let daemon: KeyhoundProcess | undefined
afterEach(async () => {
  await daemon?.stop('SIGKILL')
  daemon = undefined
})

/** A directory that goes away with its test. */
async function freshDir(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kh-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

describe('start', () => {
  test('with a dead database ends with 1 and names the variable, without the password', async () => {
    const env = { DATABASE_URL: 'postgres://keyhound:hunter2@127.0.0.1:1/keyhound' }
    const { code, stderr } = await runKeyhound(['start'], env)
    expect(code).toBe(1)
    expect(stderr).toContain('DATABASE_URL')
    expect(stderr).not.toContain('hunter2')
  })

  test('with a dead Redis ends with 1 and names the variable, without the password', async () => {
    const env = { DATABASE_URL: await testDatabase(), REDIS_URL: 'redis://:hunter2@127.0.0.1:1' }
    const { code, stderr } = await runKeyhound(['start'], env)
    expect(code).toBe(1)
    expect(stderr).toContain('REDIS_URL')
    expect(stderr).not.toContain('hunter2')
  })

  test('with a bad configuration ends with 2 and lists every error with its place', async () => {
    const file = join(await freshDir(), 'alerts.yaml')
    await writeFile(file, 'version: 1\nnotfy: {}\nchannels:\n  a: { type: slack, url: "${NOT_SET}" }\n')
    const { code, stderr } = await runKeyhound(['start', '--config', file])
    expect(code).toBe(2)
    expect(stderr).toContain(`${file}:2:1: notfy: unknown setting "notfy"; did you mean "notify"?`)
    expect(stderr).toContain(`${file}:4:27: channels.a.url: the environment variable NOT_SET is not set`)
  })

  test('with an unknown role ends with 2 and says which there are', async () => {
    const { code, stderr } = await runKeyhound(['start', '--role', 'ingest,observe'])
    expect(code).toBe(2)
    expect(stderr).toContain('allowed: ingest, detect, notify, api')
  })

  test('a port that is taken is an error that names the variable', async () => {
    const databaseUrl = await testDatabase()
    daemon = new KeyhoundProcess(['start'], { DATABASE_URL: databaseUrl })
    const { port } = new URL(await daemon.ready())
    const { code, stderr } = await runKeyhound(['start'], { DATABASE_URL: databaseUrl, KEYHOUND_PORT: port })
    expect(code).toBe(1)
    expect(stderr).toContain('KEYHOUND_PORT')
  })
})

describe('a running keyhound', () => {
  test(
    'is not ready while its queue is away, and goes on by itself when it is back',
    { timeout: 60_000 },
    async () => {
      const redis = await startRedisServer()
      daemon = new KeyhoundProcess(['start'], { DATABASE_URL: await testDatabase(), REDIS_URL: redis.url })
      const url = await daemon.ready()
      await redis.kill()
      const sick = await eventually('it is not ready', async () => {
        const answer = await fetch(`${url}/readyz`)
        return (
          answer.status === 503 && ((await answer.json()) as { checks: Record<string, { status: string }> })
        )
      })
      expect(sick.checks['queue']?.status).toBe('error')
      expect(sick.checks['database']?.status).toBe('ok')
      expect((await fetch(`${url}/healthz`)).status).toBe(200)

      const back = await startRedisServer({ port: redis.port })
      try {
        await eventually('it is ready again', async () => (await fetch(`${url}/readyz`)).status === 200)
      } finally {
        await daemon.stop('SIGKILL')
        await back.kill()
      }
    },
  )

  test(
    'puts a changed configuration to use, and keeps the old one when the new one is bad',
    { timeout: 60_000 },
    async () => {
      const file = join(await freshDir(), 'alerts.yaml')
      const replace = async (text: string): Promise<void> => {
        await writeFile(`${file}.new`, text)
        await rename(`${file}.new`, file)
      }
      await writeFile(file, 'version: 1\n')
      daemon = new KeyhoundProcess(['start', '--config', file], { DATABASE_URL: await testDatabase() })
      await daemon.ready()

      const logged = (message: string) => () => daemon?.log.find((line) => line['msg'] === message)
      await replace('version: 1\nnotify: { group_wait: 9 }\n')
      const refused = await eventually(
        'the bad one is refused',
        logged('configuration refused; the old one stays in use'),
      )
      expect(JSON.stringify(refused['problems'])).toContain(':2:23')
      await replace('version: 1\nnotify: { group_wait: 9s }\n')
      await eventually('the good one is in use', logged('configuration reloaded'))
      expect(await readFile(file, 'utf8')).toContain('9s')
    },
  )

  test(
    'ends with 0 within seconds on SIGTERM, and its data are there at the next start',
    { timeout: 90_000 },
    async () => {
      const dataDir = await freshDir()
      const env = { KEYHOUND_DATA_DIR: dataDir, KEYHOUND_API_TOKENS: 'a-token-of-this-test' }
      daemon = new KeyhoundProcess(['start'], env)
      const url = await daemon.ready()
      const headers = { Authorization: 'Bearer a-token-of-this-test', 'Content-Type': 'application/json' }
      const event = { id: 'e1', timestamp: Date.now(), key_id: 'key-of-the-first-run', model: 'gpt-5-mini' }
      const pushed = await fetch(`${url}/api/v1/events`, {
        method: 'POST',
        headers,
        body: JSON.stringify(event),
      })
      expect(pushed.status).toBe(202)
      expect(await daemon.stop('SIGTERM')).toBe(0)

      daemon = new KeyhoundProcess(['start'], env)
      const again = await daemon.ready()
      const key = await eventually('the key is known', async () => {
        const answer = await fetch(`${again}/api/v1/keys/key-of-the-first-run`, { headers })
        return answer.status === 200 && ((await answer.json()) as { key_id: string })
      })
      expect(key.key_id).toBe('key-of-the-first-run')
      expect(await daemon.stop('SIGTERM')).toBe(0)

      // Its database starts before the configuration is read, and must not outlive that.
      const file = join(dataDir, 'alerts.yaml')
      await writeFile(file, 'version: 1\nnotfy: {}\n')
      expect((await runKeyhound(['start', '--config', file], env)).code).toBe(2)
      expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false)
    },
  )
})
