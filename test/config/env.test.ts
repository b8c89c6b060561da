import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readEnvironment } from '../../src/config/env.ts'
import { ConfigError, formatProblem } from '../../src/config/problem.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kh-env-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

function refusalOf(env: Readonly<Record<string, string>>): ConfigError {
  try {
    readEnvironment(env)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('the environment was accepted')
}

describe('the environment', () => {
  test('of nothing is the defaults', () => {
    expect(readEnvironment({})).toEqual({
      databaseUrl: undefined,
      redisUrl: undefined,
      queueName: 'usage-events',
      configFile: undefined,
      host: '127.0.0.1',
      port: 8080,
      apiTokens: undefined,
      logLevel: 'info',
      dataDir: undefined,
      warnings: [],
    })
  })

  test('is read as it is meant, and an empty variable counts as not set', () => {
    const environment = readEnvironment({
      DATABASE_URL: 'postgres://u:p%40ss@db:5432/keyhound',
      REDIS_URL: 'rediss://:secret@redis:6380',
      KEYHOUND_QUEUE: '',
      KEYHOUND_CONFIG: '/etc/keyhound/alerts.yaml',
      KEYHOUND_HOST: '::',
      KEYHOUND_PORT: '0',
      KEYHOUND_API_TOKENS: ' first-token-1234567 , second-token-123456,',
      KEYHOUND_LOG_LEVEL: 'DEBUG',
      KEYHOUND_DATA_DIR: '/srv/keyhound',
    })
    expect(environment.databaseUrl?.reveal()).toBe('postgres://u:p%40ss@db:5432/keyhound')
    expect(environment.redisUrl?.reveal()).toBe('rediss://:secret@redis:6380')
    expect(environment.apiTokens?.map((token) => token.reveal())).toEqual([
      'first-token-1234567',
      'second-token-123456',
    ])
    expect(environment).toMatchObject({
      queueName: 'usage-events',
      configFile: '/etc/keyhound/alerts.yaml',
      host: '::',
      port: 0,
      logLevel: 'debug',
      dataDir: '/srv/keyhound',
      warnings: [],
    })
  })

  test.each([
    'postgres://keyhound@/keyhound?host=%2Fvar%2Flib%2Fkeyhound',
    'postgresql:///keyhound?host=/tmp',
    'postgres://db/keyhound',
    'postgres://[::1]:5432/keyhound?sslmode=require',
  ])('takes the database URL %s', (url) => {
    expect(readEnvironment({ DATABASE_URL: url }).databaseUrl?.reveal()).toBe(url)
  })

  test.each(['redis://localhost', 'redis://u:p@localhost:6379/2'])('takes the Redis URL %s', (url) => {
    expect(readEnvironment({ REDIS_URL: url }).redisUrl?.reveal()).toBe(url)
  })

  test.each([
    [
      'DATABASE_URL',
      'mysql://u:hunter2@db/x',
      'expected a URL such as postgres://user:password@host:5432/database',
    ],
    ['DATABASE_URL', 'postgres://u:hunter2@db:port/x', 'expected a URL such as postgres://'],
    ['DATABASE_URL', 'postgres://u:hunter2/%@db', 'encode special characters of the password (@ is %40)'],
    ['REDIS_URL', 'localhost:6379,password=hunter2', 'expected redis://host:6379, or rediss://... for TLS'],
    ['REDIS_URL', 'redis://:hunter2@host:x', 'expected redis://host:6379'],
    ['KEYHOUND_QUEUE', 'a:b', 'expected up to 128 letters, digits, "_", "-" and ".", got "a:b"'],
    [
      'KEYHOUND_HOST',
      'http://0.0.0.0',
      'expected an address or host name such as 127.0.0.1 or ::, got "http://0.0.0.0"',
    ],
    ['KEYHOUND_PORT', '65536', 'expected a number from 0 to 65535, got "65536"'],
    ['KEYHOUND_PORT', '0x50', 'expected a number from 0 to 65535, got "0x50"'],
    [
      'KEYHOUND_API_TOKENS',
      'hunter2 with spaces',
      'expected tokens separated by commas, of letters, digits and . _ ~ + / - =',
    ],
    ['KEYHOUND_API_TOKENS', ' , ', 'expected tokens separated by commas'],
    [
      'KEYHOUND_LOG_LEVEL',
      'warning',
      'expected one of fatal, error, warn, info, debug, trace, silent, got "warning"; did you mean "warn"?',
    ],
  ])('refuses %s=%s, says what is allowed and shows no secret', (name, value, message) => {
    const error = refusalOf({ [name]: value })
    expect(error.message).toMatch(new RegExp(`^${name}: `))
    expect(error.message).toContain(message)
    expect(inspect(error, { depth: 9 })).not.toContain('hunter2')
  })

  test('tells all bad values at once', () => {
    const error = refusalOf({ KEYHOUND_PORT: 'x', KEYHOUND_LOG_LEVEL: 'loud', DATABASE_URL: 'x' })
    expect(error.problems.map(({ path }) => path)).toEqual([
      'DATABASE_URL',
      'KEYHOUND_PORT',
      'KEYHOUND_LOG_LEVEL',
    ])
  })

  test('takes secrets from files, without the line break at their end', async () => {
    const file = join(folder, 'database-url')
    await writeFile(file, 'postgres://u:p@db/keyhound\n')
    expect(readEnvironment({ DATABASE_URL_FILE: file }).databaseUrl?.reveal()).toBe(
      'postgres://u:p@db/keyhound',
    )
  })

  test('refuses a secret that is given twice, and a file that is empty or missing', async () => {
    const empty = join(folder, 'empty')
    await writeFile(empty, '\n')
    expect(refusalOf({ REDIS_URL: 'redis://hunter2', REDIS_URL_FILE: empty }).message).toBe(
      'REDIS_URL_FILE: REDIS_URL is set too; set one of them',
    )
    expect(refusalOf({ KEYHOUND_API_TOKENS_FILE: empty }).message).toBe(
      `KEYHOUND_API_TOKENS_FILE: the file ${empty} is empty`,
    )
    expect(refusalOf({ DATABASE_URL_FILE: join(folder, 'none') }).message).toBe(
      `DATABASE_URL_FILE: the file ${join(folder, 'none')} cannot be read: ENOENT`,
    )
  })

  test('warns of a misspelt variable and of a token that can be guessed', () => {
    const { warnings } = readEnvironment({
      KEYHOUND_PROT: '1',
      KEYHOUND_LAUNCHER: '1',
      KEYHOUND_API_TOKENS: 'hunter2',
    })
    expect(warnings.map(formatProblem)).toEqual([
      'KEYHOUND_PROT: is not read by keyhound; did you mean KEYHOUND_PORT?',
      'KEYHOUND_API_TOKENS: a token has less than 16 characters and can be guessed',
    ])
  })
})
