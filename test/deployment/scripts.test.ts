import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const ROOT = new URL('../../', import.meta.url)
const path = (name: string) => fileURLToPath(new URL(name, ROOT))

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), `kh-test-${process.pid}-`))
  cpSync(path('scripts'), join(directory, 'scripts'), { recursive: true })
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('the check of the lock file', () => {
  const check = (packages: object) => {
    writeFileSync(join(directory, 'package-lock.json'), JSON.stringify({ packages }))
    const { status, stderr } = spawnSync(process.execPath, [join(directory, 'scripts', 'check-lock.mjs')], {
      encoding: 'utf8',
    })
    return { status, stderr }
  }

  test('passes when every optional package is there, nested or hoisted', () => {
    const nested = {
      'node_modules/a': { optionalDependencies: { b: '1' } },
      'node_modules/a/node_modules/b': {},
    }
    const hoisted = {
      '': { optionalDependencies: { c: '1' } },
      'node_modules/a/node_modules/d': { optionalDependencies: { c: '1' } },
    }
    expect(check({ ...nested, ...hoisted, 'node_modules/c': {} })).toEqual({ status: 0, stderr: '' })
  })

  test('names every optional package that the lock lacks, and who wants it', () => {
    const { status, stderr } = check({
      '': { optionalDependencies: { c: '1' } },
      'node_modules/a': { optionalDependencies: { b: '1' } },
    })
    expect(status).toBe(1)
    expect(stderr).toBe(
      'package-lock.json lacks:\nc (of keyhound)\nb (of node_modules/a)\nUse a version that is published for every platform.\n',
    )
  })
})

describe('scripts/test', () => {
  const REAL = { sh: '/bin/sh', cat: '/bin/cat', chmod: '/bin/chmod', dirname: '/usr/bin/dirname' }
  const REDIS = { 'redis-server': '' }
  /** apt-get as on a machine without package lists: it can install only after an update. */
  const APT_GET = `case "$1" in
    update) : > updated ;;
    install) [ -f updated ] && : > bin/redis-server && chmod +x bin/redis-server ;;
  esac`
  const SUDO = '[ "$1" = -n ] && shift && "$@"'

  beforeEach(() => {
    writeFileSync(join(directory, 'package-lock.json'), '{}')
    mkdirSync(join(directory, 'node_modules'))
    writeFileSync(join(directory, 'node_modules', '.package-lock.json'), '{}')
  })

  /** Runs the script where there are only these programs, each a line of shell, and tells which were called. */
  const run = (programs: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) => {
    const bin = join(directory, 'bin')
    mkdirSync(bin)
    for (const [name, target] of Object.entries(REAL)) symlinkSync(target, join(bin, name))
    for (const [name, body] of Object.entries({ npm: '', id: 'echo 1000', ...programs })) {
      const note = name === 'id' ? '' : `echo "${name} $*" >> "${directory}/calls"`
      writeFileSync(join(bin, name), `#!/bin/sh\n${note}\n${body}\n`, { mode: 0o755 })
    }
    const options = { cwd: directory, encoding: 'utf8', env: { ...env, PATH: bin } } as const
    const { status, stderr } = spawnSync('/bin/sh', ['scripts/test', 'test/queue'], options)
    const calls = existsSync(join(directory, 'calls')) ? readFileSync(join(directory, 'calls'), 'utf8') : ''
    return { status, stderr, calls: calls.split('\n').filter((line) => /^(npm|apt-get)/.test(line)) }
  }
  const INSTALL = 'apt-get install -y -qq --no-install-recommends redis-server'
  const TESTS = 'npm test --silent -- test/queue'

  test('runs the tests at once where packages and Redis are there', () => {
    expect(run(REDIS)).toEqual({ status: 0, stderr: '', calls: [TESTS] })
  })

  test('installs the packages in a fresh clone', () => {
    rmSync(join(directory, 'node_modules'), { recursive: true })
    expect(run(REDIS).calls).toEqual(['npm ci', TESTS])
  })

  test('installs the packages again when the lock file is newer', () => {
    utimesSync(join(directory, 'node_modules', '.package-lock.json'), 1, 1)
    expect(run(REDIS).calls).toEqual(['npm ci', TESTS])
  })

  test('as root, installs Redis, after an update of the package lists where they are missing', () => {
    const { status, calls } = run({ id: 'echo 0', 'apt-get': APT_GET })
    expect({ status, calls }).toEqual({ status: 0, calls: [INSTALL, 'apt-get update -qq', INSTALL, TESTS] })
  })

  test('as a user whose sudo asks for no password, installs Redis as well', () => {
    const { status, calls } = run({ sudo: SUDO, 'apt-get': APT_GET })
    expect({ status, calls }).toEqual({ status: 0, calls: [INSTALL, 'apt-get update -qq', INSTALL, TESTS] })
  })

  test.each([
    ['as a user who may not install', { 'apt-get': APT_GET }],
    ['as a user whose sudo asks for a password', { sudo: 'exit 1', 'apt-get': APT_GET }],
    ['where there is no apt-get', { id: 'echo 0' }],
    ['where apt-get fails', { id: 'echo 0', 'apt-get': 'exit 100' }],
  ])('%s and Redis is missing, says which command installs it, and runs nothing', (_, programs) => {
    const { status, stderr, calls } = run(programs)
    expect(status).toBe(1)
    expect(stderr).toContain('sudo apt-get install redis-server')
    expect(calls).not.toContain(TESTS)
  })

  test('installs no Redis when it is told of one', () => {
    const { status, calls } = run(
      { id: 'echo 0', 'apt-get': APT_GET },
      { KEYHOUND_TEST_REDIS_URL: 'redis://elsewhere' },
    )
    expect({ status, calls }).toEqual({ status: 0, calls: [TESTS] })
  })

  test('fails when the tests fail', () => {
    expect(run({ ...REDIS, npm: 'exit 3' }).status).toBe(3)
  })
})
