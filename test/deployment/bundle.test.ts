import { isAscii } from 'node:buffer'
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { KeyhoundProcess } from '../e2e/keyhound-process.ts'
import { testDatabase } from '../harness/database.ts'

const ROOT = new URL('../../', import.meta.url)
const path = (name: string) => fileURLToPath(new URL(name, ROOT))

let checkout: string
let bundle: string
let launcher: string

beforeAll(() => {
  checkout = mkdtempSync(join(tmpdir(), `kh-test-${process.pid}-`))
  for (const name of ['bin', 'scripts', 'sql', 'src', 'package.json']) {
    cpSync(path(name), join(checkout, name), { recursive: true })
  }
  symlinkSync(path('node_modules'), join(checkout, 'node_modules'))
  bundle = join(checkout, 'dist', 'bundle')
  launcher = join(checkout, 'bin', 'keyhound.cjs')
  const made = spawnSync(process.execPath, [join(checkout, 'scripts', 'bundle.mjs')], { encoding: 'utf8' })
  expect(made.stderr).toBe('')
  // So that a run shows what it ran.
  appendFileSync(join(bundle, 'main.js'), "process.stderr.write('from the bundle')\n")
})
afterAll(() => rmSync(checkout, { recursive: true, force: true }))

const ran = (): 'bundle' | 'sources' => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, '--version'], {
    encoding: 'utf8',
  })
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)])
  return stderr === 'from the bundle' ? 'bundle' : 'sources'
}

describe('a checkout', () => {
  const source = () => join(checkout, 'src', 'cli', 'main.ts')

  test('runs the bundle while it was made from these sources', () => {
    expect(ran()).toBe('bundle')
  })

  test('runs its sources once one of them was edited, and the bundle again when that was undone', () => {
    const text = readFileSync(source(), 'utf8')
    writeFileSync(source(), `${text}// edited\n`)
    expect(ran()).toBe('sources')
    writeFileSync(source(), text.replace('#!/usr/bin/env node', '#!/usr/bin/env nodf'))
    expect(ran()).toBe('sources') // as long as before
    writeFileSync(source(), text)
    utimesSync(source(), new Date(0), new Date(0)) // as after a copy: another time, the same text
    expect(ran()).toBe('bundle')
  })

  test('runs its sources when there is no whole bundle', () => {
    const list = join(bundle, 'made-from.json')
    const text = readFileSync(list, 'utf8')
    onTestFinished(() => writeFileSync(list, text))
    writeFileSync(list, text.slice(0, 1_000))
    expect(ran()).toBe('sources')
    rmSync(list)
    expect(ran()).toBe('sources')
  })
})

test('the bundle is ASCII, which takes half the memory, and shows the characters that the sources show', () => {
  const files = readdirSync(bundle).filter((name) => name.endsWith('.js'))
  expect(files.length).toBeGreaterThan(10)
  for (const name of files) expect(isAscii(readFileSync(join(bundle, name))), name).toBe(true)
  const config = join(checkout, 'mistaken.yaml')
  writeFileSync(
    config,
    'version: 1\nchannels: { mail: { type: email, smtp: "x", from: a@example.com, to: [] } }\n',
  )
  const check = (program: string) =>
    spawnSync(process.execPath, [program, 'check', '--config', config], { encoding: 'utf8' }).stderr
  const shown = check(join(bundle, 'main.js'))
  expect(shown).toContain('smtps://…')
  expect(shown.replace('from the bundle', '')).toBe(check(join(checkout, 'src', 'cli', 'main.ts')))
})

test('the bundle brings the licences of what is in it', () => {
  const text = readFileSync(join(bundle, 'licenses.txt'), 'utf8')
  for (const name of ['bullmq', 'fastify', 'kysely', 'nodemailer', 'zod'])
    expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'))
})

describe('keyhound starts', { timeout: 60_000 }, () => {
  let daemon: KeyhoundProcess | undefined
  afterEach(async () => {
    await daemon?.stop('SIGKILL')
    daemon = undefined
  })

  test.each(['bundle', 'sources'])('from the %s, and stores what it is sent', async (program) => {
    const list = join(bundle, 'made-from.json')
    const text = readFileSync(list, 'utf8')
    onTestFinished(() => writeFileSync(list, text))
    if (program === 'sources') rmSync(list)
    const token = 'a-token-of-this-test'
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
    const env = { DATABASE_URL: await testDatabase(), KEYHOUND_API_TOKENS: token }
    daemon = new KeyhoundProcess(['start'], env, launcher)
    const url = await daemon.ready()
    const command = readFileSync(`/proc/${daemon.pid}/cmdline`, 'utf8').split('\0')
    expect(command).toContain('--max-semi-space-size=8')
    expect(command).toContain(
      program === 'bundle' ? join(bundle, 'main.js') : join(checkout, 'src/cli/main.ts'),
    )
    const event = {
      timestamp: Date.now(),
      key_id: 'key-of-this-test',
      model: 'gpt-4o',
      ip: '8.8.8.8',
      input_tokens: 10,
    }
    const pushed = await fetch(`${url}/api/v1/events`, {
      method: 'POST',
      headers,
      body: JSON.stringify(event),
    })
    expect(pushed.status).toBe(202)
    await expect
      .poll(async () => (await fetch(`${url}/api/v1/keys/key-of-this-test`, { headers })).status, {
        timeout: 20_000,
      })
      .toBe(200)
    expect(await daemon.stop()).toBe(0)
  })

  test('only when the library of each channel can be loaded, and not with the first alert', async () => {
    const config = join(checkout, 'alerts.yaml')
    writeFileSync(
      config,
      'version: 1\nchannels:\n  mail: { type: email, smtp: "smtp://127.0.0.1:1", from: a@example.com, to: [b@example.com] }\nroutes:\n  - channels: [mail]\n',
    )
    const [chunk = ''] = readdirSync(bundle).filter((name) => name.startsWith('nodemailer-'))
    const text = readFileSync(join(bundle, chunk), 'utf8')
    onTestFinished(() => writeFileSync(join(bundle, chunk), text))
    rmSync(join(bundle, chunk))
    const env = { DATABASE_URL: await testDatabase() }
    daemon = new KeyhoundProcess(['start', '--config', config], env, launcher)
    expect(await daemon.ended()).toBe(1)
    expect(daemon.stderr).toContain('nodemailer-')
    daemon = new KeyhoundProcess(['start'], env, launcher) // no channel, no mail
    await daemon.ready()
  })

  test('in place when it was forked, whose channel would not survive a new start', async () => {
    const child = fork(launcher, ['start', '--help'], { stdio: ['ignore', 'pipe', 'ignore', 'ipc'] })
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})
