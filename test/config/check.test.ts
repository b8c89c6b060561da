import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { check } from '../../src/cli/check.ts'
import { DETECTOR_NAMES } from '../../src/detect/finding.ts'

const ROOT = join(import.meta.dirname, '../..')
let folder: string
let good: string
let bad: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kh-check-'))
  good = join(folder, 'good.yaml')
  bad = join(folder, 'bad.yaml')
  await writeFile(
    good,
    `version: 1
channels:
  oncall: { type: slack, url: "\${SLACK_URL}" }
  spare: { type: webhook, url: "https://example.com/", secret: "0123456789abcdef01234567" }
routes: [{ channels: [oncall] }]
detectors: { unusual_hour: { enabled: false } }
`,
  )
  await writeFile(bad, 'version: 1\nnotify: { group_wait: 5min }\nrevoke: { mode: auto }\n')
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

const env = { SLACK_URL: 'https://hooks.slack.com/services/T0/B0/hunter2' }

/** unusual_hour is off in the file, key_age by default. */
const on: readonly string[] = DETECTOR_NAMES.filter((name) => name !== 'unusual_hour' && name !== 'key_age')

describe('keyhound check', () => {
  test('sums up a good file on standard output, with its warnings on standard error, and ends with 0', async () => {
    expect(await check(good, env, 'text')).toEqual({
      stdout: `ok: ${good}
  channels:      oncall (slack), spare (webhook)
  routes:        1
  detectors on:  ${on.join(', ')}
  detectors off: unusual_hour, key_age
  overrides:     0
  revoke:        dry_run
`,
      stderr: `warning: ${good}:4:3: channels.spare: no route uses this channel\n`,
      exitCode: 0,
    })
  })

  test('prints every error of a bad file on a line of its own and ends with 2', async () => {
    expect(await check(bad, {}, 'text')).toEqual({
      stdout: '',
      stderr: `${bad}:2:23: notify.group_wait: expected a duration such as 30s, 5m, 4h or 7d, got "5min"; did you mean "5m"?
${bad}:3:17: revoke.mode: mode auto needs revoke.action, which says how a key is revoked; or set mode: dry_run
`,
      exitCode: 2,
    })
  })

  test('tells a bad environment together with a bad file', async () => {
    const { stderr, exitCode } = await check(bad, { KEYHOUND_PORT: 'http' }, 'text')
    expect(stderr).toMatch(/^KEYHOUND_PORT: expected a number from 0 to 65535, got "http"\n/)
    expect(stderr.trim().split('\n')).toHaveLength(3)
    expect(exitCode).toBe(2)
  })

  test('as JSON puts all of it on standard output', async () => {
    const fine = await check(good, env, 'json')
    expect(JSON.parse(fine.stdout)).toEqual({
      ok: true,
      file: good,
      channels: [
        { name: 'oncall', type: 'slack' },
        { name: 'spare', type: 'webhook' },
      ],
      routes: 1,
      detectors: {
        ...Object.fromEntries(on.map((name) => [name, 'on'])),
        unusual_hour: 'off',
        key_age: 'off',
      },
      overrides: 0,
      revoke: { mode: 'dry_run', action: null },
      errors: [],
      warnings: [
        { file: good, line: 4, column: 3, path: 'channels.spare', message: 'no route uses this channel' },
      ],
    })
    const refused = await check(bad, { KEYHOUND_PORT: 'http' }, 'json')
    expect(refused).toMatchObject({ stderr: '', exitCode: 2 })
    expect(JSON.parse(refused.stdout)).toMatchObject({
      ok: false,
      errors: [
        { file: null, line: null, column: null, path: 'KEYHOUND_PORT' },
        { file: bad, line: 2, column: 23, path: 'notify.group_wait' },
        { file: bad, line: 3, column: 17, path: 'revoke.mode' },
      ],
    })
  })

  test('without any file says that the defaults apply', async () => {
    const { stdout, stderr, exitCode } = await check(undefined, { KEYHOUND_CONFIG: '' }, 'text')
    expect(stdout).toMatch(/^ok: built-in defaults\n/)
    expect(stderr).toMatch(/^warning: no configuration file: the defaults apply/)
    expect(exitCode).toBe(0)
  })

  test(
    'ends with the right code as a command, and --help shows its options',
    { timeout: 60_000 },
    async () => {
      const none = join(folder, 'none.yaml')
      const [fine, refused, missing, help] = await Promise.all([
        run(['check', '--config', good]),
        run(['check', '--config', bad]),
        run(['check', '--config', none]),
        run(['check', '--help']),
      ])
      expect(fine.code).toBe(0)
      expect(fine.stdout).toMatch(/^ok: /)
      expect(refused).toMatchObject({ code: 2, stdout: '' })
      expect(missing).toMatchObject({
        code: 2,
        stderr: `${none}:1:1: the configuration cannot be read: there is no such file; check --config or KEYHOUND_CONFIG\n`,
      })
      expect(help.code).toBe(0)
      expect(help.stdout).toContain('--config <file>')
    },
  )
})

function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number; stdout: string; stderr: string }>()
  const options = { cwd: folder, env: { PATH: process.env['PATH'], ...env } }
  execFile(process.execPath, [join(ROOT, 'bin/keyhound.cjs'), ...args], options, (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
  })
  return promise
}
