import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readEnvironment } from '../../src/config/env.ts'
import {
  type ComposeFile,
  composeProblems,
  type ComposeService,
  unguardedVariables,
} from './compose-problems.ts'

const ROOT = new URL('../../', import.meta.url)
const path = (name: string) => fileURLToPath(new URL(name, ROOT))
const text = readFileSync(path('docker-compose.yml'), 'utf8')
const file = parse(text, { merge: true }) as ComposeFile
const services = Object.entries(file.services)
const ours = services.filter(([, { image }]) => image?.startsWith('keyhound:'))

describe('docker-compose.yml', () => {
  test('follows the schema of compose files and dclint’s rules', () => {
    const lint = spawnSync(
      process.execPath,
      [path('node_modules/dclint/bin/dclint.cjs'), '--max-warnings', '0', 'docker-compose.yml'],
      {
        cwd: path('.'),
        encoding: 'utf8',
      },
    )
    expect({ status: lint.status, output: lint.stdout }).toEqual({
      status: 0,
      output: expect.any(String) as string,
    })
  })

  test('names only what exists, and leaves nothing open', () => {
    expect(services.map(([name]) => name)).toEqual(['postgres', 'redis', 'migrate', 'keyhound'])
    expect(composeProblems(file)).toEqual([])
  })

  test('has for every variable a default or a message for when it is missing', () => {
    expect(text).toContain('${POSTGRES_PASSWORD:?')
    expect(unguardedVariables(text)).toEqual([])
  })

  test('asks for secrets that the README or the documents name', () => {
    const documents = ['README.md', 'docs/deployment.md']
      .map((name) => readFileSync(path(name), 'utf8'))
      .join('\n')
    const required = [...text.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name)
    expect(required.length).toBeGreaterThan(0)
    expect(required.filter((name) => !documents.includes(String(name)))).toEqual([])
  })

  test('keeps no job from being stored: Redis writes to disk and throws nothing away', () => {
    expect(file.services['redis']?.command).toEqual([
      'redis-server',
      '--appendonly',
      'yes',
      '--maxmemory-policy',
      'noeviction',
    ])
  })

  test.each(ours)('%s runs a command of keyhound', (_, { command = [] }) => {
    const help = spawnSync(process.execPath, [path('bin/keyhound.cjs'), ...command, '--help'], {
      encoding: 'utf8',
    })
    expect(help.stdout).toContain(`Usage: keyhound ${command[0]} `)
  })

  test.each(ours)(
    '%s gets environment variables that keyhound knows and accepts',
    (_, { environment = {} }) => {
      const value = (raw: string | number) =>
        String(raw).replace(/\$\{(\w+):([-?])([^}]*)\}/g, (_all, _name, kind: string, rest: string) =>
          kind === '-' ? rest : 'a1b2c3d4'.repeat(6),
        )
      const env = Object.fromEntries(Object.entries(environment).map(([name, raw]) => [name, value(raw)]))
      const read = readEnvironment(env)
      expect(read.warnings).toEqual([])
      expect([read.databaseUrl, read.redisUrl, read.apiTokens].includes(undefined)).toBe(false)
      expect([read.host, read.port]).toEqual(['0.0.0.0', 8080])
    },
  )

  test('checks the health of keyhound as its image does', () => {
    const inImage = /HEALTHCHECK [^[]*(\[.*\])/s
      .exec(readFileSync(path('Dockerfile'), 'utf8'))?.[1]
      ?.split('\n')[0]
    const [, ...inCompose] = file.services['keyhound']?.healthcheck?.test ?? []
    expect(inCompose).toEqual(JSON.parse(inImage ?? ''))
  })
})

describe('the checks of the compose file find', () => {
  const sound: ComposeService = {
    image: 'x:1',
    user: '10001:10001',
    read_only: true,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    healthcheck: { test: ['CMD', 'true'] },
  }
  const problems = (app: ComposeService, other: ComposeService = sound) =>
    composeProblems({ services: { app: { ...sound, ...app }, other }, volumes: { data: null } })

  test.each<[string, ComposeService, string]>([
    [
      'an unknown service',
      { depends_on: { nobody: { condition: 'service_started' } } },
      'app: depends on the unknown service nobody',
    ],
    [
      'an unknown condition',
      { depends_on: { other: { condition: 'service_fine' } } },
      'app: the condition service_fine does not exist',
    ],
    ['an unknown volume', { volumes: ['date:/data'] }, 'app: mounts the unknown volume date'],
    [
      'the old place of PostgreSQL’s data',
      { image: 'postgres:18', volumes: ['data:/var/lib/postgresql/data'] },
      'app: mounts /var/lib/postgresql/data',
    ],
    ['an unknown network', { networks: ['front'] }, 'app: joins the unknown network front'],
    ['an open port', { ports: ['8080:8080'] }, 'app: publishes 8080:8080 to every network'],
    ['root', { user: '0:0' }, 'app: runs as root'],
    ['a writable image', { read_only: false }, 'app: may write into its image'],
    ['capabilities', { cap_drop: [] }, 'app: keeps capabilities'],
    ['privileges to gain', { security_opt: [] }, 'app: may gain privileges'],
    [
      'a missing health check',
      { restart: 'unless-stopped', healthcheck: { disable: true } },
      'app: has no health check',
    ],
  ])('%s', (_, app, problem) => {
    expect(problems(app)).toEqual([problem])
  })

  test('waiting for the health of what has no check, and for the end of what never ends', () => {
    const healthy = { depends_on: { other: { condition: 'service_healthy' } } }
    expect(problems(healthy, { ...sound, healthcheck: { disable: true } })).toEqual([
      'app: waits for other, which has no health check',
    ])
    const ended = { depends_on: { other: { condition: 'service_completed_successfully' } } }
    expect(problems(ended, { ...sound, restart: 'always' })).toEqual([
      'app: waits for the end of other, which restarts for ever',
    ])
  })

  test('a variable without a default or a message', () => {
    expect(unguardedVariables('a: ${A} ${B:-b} ${C:?set C} ${D:?}\n# ${E}\n')).toEqual(['A', 'D'])
  })
})
