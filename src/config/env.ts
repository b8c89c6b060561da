import { readFileSync } from 'node:fs'
import { Secret } from '../secret.ts'
import type { Env } from './expand.ts'
import { ConfigError, type Problem } from './problem.ts'
import { closestTo, didYouMean } from './suggest.ts'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What the environment says, checked. What it does not say is the default, or undefined. */
export interface Environment {
  /** Undefined: the embedded PostgreSQL. */
  readonly databaseUrl: Secret | undefined
  /** Undefined: the queue is in the database. */
  readonly redisUrl: Secret | undefined
  readonly queueName: string
  readonly configFile: string | undefined
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Undefined: one is made and kept in the data directory. */
  readonly apiTokens: readonly Secret[] | undefined
  readonly logLevel: LogLevel
  readonly dataDir: string | undefined
  /** What is allowed but probably not meant. */
  readonly warnings: readonly Problem[]
}

const DEFAULTS = { queueName: 'usage-events', host: '127.0.0.1', port: 8080, logLevel: 'info' } as const

const NAMES = [
  'DATABASE_URL',
  'REDIS_URL',
  'KEYHOUND_QUEUE',
  'KEYHOUND_CONFIG',
  'KEYHOUND_HOST',
  'KEYHOUND_PORT',
  'KEYHOUND_API_TOKENS',
  'KEYHOUND_LOG_LEVEL',
  'KEYHOUND_DATA_DIR',
] as const
type Name = (typeof NAMES)[number]

/** These may be in a file instead, named by `<NAME>_FILE`, as orchestrators mount secrets. */
const FROM_FILE = ['DATABASE_URL', 'REDIS_URL', 'KEYHOUND_API_TOKENS'] as const

/** A token that is shorter can be found by trying. */
const TOKEN_LENGTH_MIN = 16

/**
 * Reads the environment variables of keyhound. An empty variable counts as absent. Throws ConfigError that names every
 * variable with a bad value, and never shows the value of a secret one.
 */
export function readEnvironment(env: Env): Environment {
  const problems: Problem[] = []
  const report = (name: string, message: string): void => {
    problems.push(problemOf(name, message))
  }
  const text = (name: Name): string | undefined => env[name] || undefined
  const secret = (name: (typeof FROM_FILE)[number]): string | undefined => secretText(name, env, report)

  const environment = {
    databaseUrl: databaseUrl(secret('DATABASE_URL'), report),
    redisUrl: redisUrl(secret('REDIS_URL'), report),
    queueName: queueName(text('KEYHOUND_QUEUE') ?? DEFAULTS.queueName, report),
    configFile: text('KEYHOUND_CONFIG'),
    host: host(text('KEYHOUND_HOST') ?? DEFAULTS.host, report),
    port: port(text('KEYHOUND_PORT') ?? String(DEFAULTS.port), report),
    apiTokens: apiTokens(secret('KEYHOUND_API_TOKENS'), report),
    logLevel: logLevel(text('KEYHOUND_LOG_LEVEL') ?? DEFAULTS.logLevel, report),
    dataDir: text('KEYHOUND_DATA_DIR'),
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return { ...environment, warnings: [...misspelt(env), ...guessable(environment.apiTokens)] }
}

type Report = (name: string, message: string) => void

function secretText(name: (typeof FROM_FILE)[number], env: Env, report: Report): string | undefined {
  const value = env[name] || undefined
  const file = env[`${name}_FILE`] || undefined
  if (file === undefined) return value
  if (value !== undefined) {
    report(`${name}_FILE`, `${name} is set too; set one of them`)
    return undefined
  }
  try {
    // Files that were written with an editor or echo end in a line break.
    const content = readFileSync(file, 'utf8').trim()
    if (content === '') report(`${name}_FILE`, `the file ${file} is empty`)
    return content || undefined
  } catch (error) {
    report(
      `${name}_FILE`,
      `the file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
    )
    return undefined
  }
}

function databaseUrl(value: string | undefined, report: Report): Secret | undefined {
  if (value === undefined) return undefined
  // A socket directory in ?host= stands instead of a host, which URL does not know.
  const withHost = value.replace(/^(postgres(?:ql)?:\/\/(?:[^@/?#]*@)?)(?=\/|\?|$)/, '$1localhost')
  if (!/^postgres(ql)?:\/\//.test(value) || !URL.canParse(withHost)) {
    report(
      'DATABASE_URL',
      'expected a URL such as postgres://user:password@host:5432/database; encode special characters of the password (@ is %40)',
    )
  }
  return new Secret(value)
}

function redisUrl(value: string | undefined, report: Report): Secret | undefined {
  if (value === undefined) return undefined
  if (!/^rediss?:\/\/./.test(value) || !URL.canParse(value)) {
    report(
      'REDIS_URL',
      'expected redis://host:6379, or rediss://... for TLS; encode special characters of the password (@ is %40)',
    )
  }
  return new Secret(value)
}

function queueName(value: string, report: Report): string {
  // BullMQ builds keys with colons.
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(value)) {
    report(
      'KEYHOUND_QUEUE',
      `expected up to 128 letters, digits, "_", "-" and ".", got ${JSON.stringify(value)}`,
    )
  }
  return value
}

function host(value: string, report: Report): string {
  if (!/^[A-Za-z0-9_.:%-]{1,255}$/.test(value)) {
    report(
      'KEYHOUND_HOST',
      `expected an address or host name such as 127.0.0.1 or ::, got ${JSON.stringify(value)}`,
    )
  }
  return value
}

function port(value: string, report: Report): number {
  const number = Number(value)
  if (!/^\d{1,5}$/.test(value) || number > 65_535) {
    report('KEYHOUND_PORT', `expected a number from 0 to 65535, got ${JSON.stringify(value)}`)
  }
  return number
}

function apiTokens(value: string | undefined, report: Report): readonly Secret[] | undefined {
  if (value === undefined) return undefined
  const tokens = value
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '')
  // What a header can carry after "Bearer " (RFC 6750).
  if (tokens.length === 0 || tokens.some((token) => !/^[A-Za-z0-9._~+/-]+=*$/.test(token))) {
    report('KEYHOUND_API_TOKENS', 'expected tokens separated by commas, of letters, digits and . _ ~ + / - =')
  }
  return tokens.map((token) => new Secret(token))
}

function logLevel(value: string, report: Report): LogLevel {
  const level = LOG_LEVELS.find((known) => known === value.toLowerCase())
  if (level === undefined) {
    const close = didYouMean(value, LOG_LEVELS)
    report(
      'KEYHOUND_LOG_LEVEL',
      `expected one of ${LOG_LEVELS.join(', ')}, got ${JSON.stringify(value)}${close}`,
    )
  }
  return level ?? DEFAULTS.logLevel
}

/** Variables that nobody reads but that look like ours. */
function misspelt(env: Env): Problem[] {
  const known: readonly string[] = [...NAMES, ...FROM_FILE.map((name) => `${name}_FILE`)]
  return Object.keys(env)
    .filter((name) => name.startsWith('KEYHOUND_') && !known.includes(name))
    .flatMap((name) => {
      const meant = closestTo(
        name.slice('KEYHOUND_'.length),
        known.map((other) => other.replace('KEYHOUND_', '')),
      )
      const full = known.find((other) => other.replace('KEYHOUND_', '') === meant)
      return full === undefined ? [] : [problemOf(name, `is not read by keyhound; did you mean ${full}?`)]
    })
}

function guessable(tokens: readonly Secret[] | undefined): Problem[] {
  if (tokens?.some((token) => token.reveal().length < TOKEN_LENGTH_MIN) !== true) return []
  return [
    problemOf(
      'KEYHOUND_API_TOKENS',
      `a token has less than ${TOKEN_LENGTH_MIN} characters and can be guessed`,
    ),
  ]
}

function problemOf(path: string, message: string): Problem {
  return { file: undefined, line: 1, column: 1, path, message }
}
