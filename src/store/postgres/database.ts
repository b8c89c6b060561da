import { Kysely, PostgresDialect, sql, type PostgresPool, type PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { SECOND_MS } from '../../usage/duration.ts'
import { StoreUnavailableError } from '../usage-store.ts'
import { queryInto, sinkAmong } from './row-stream.ts'
import type { Tables } from './tables.ts'

/** Connections of one process: ingest writes on two, the rest are for ticks, deliveries and pages. */
const CONNECTIONS_MAX = 10
const CONNECT_TIMEOUT_MS = 5 * SECOND_MS
/** A readiness check must not wait as long as a query may. */
const PING_TIMEOUT_MS = 3 * SECOND_MS
/** No statement of keyhound takes this long; one that does waits for a lock that somebody forgot. */
const STATEMENT_TIMEOUT_MS = 60 * SECOND_MS
/** A process that stopped in the middle of a transaction loses its locks after this. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60 * SECOND_MS

export type Database = Kysely<Tables>

export interface DatabaseOptions {
  /** Told of connections that broke while nobody used them; the next query opens new ones. */
  readonly onError?: (error: Error) => void
  readonly connectionsMax?: number
  /** 0 for none. */
  readonly statementTimeoutMs?: number
}

/**
 * A pool of connections; nothing is connected until the first query. Errors that say that the database is away become
 * StoreUnavailableError, wherever they happen. Close it with `destroy()`.
 */
export function openDatabase(databaseUrl: string, options: DatabaseOptions = {}): Database {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: options.connectionsMax ?? CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    application_name: 'keyhound',
    keepAlive: true,
    types: { getTypeParser: parserFor as typeof pg.types.getTypeParser },
  })
  const onError = options.onError ?? ((): void => undefined)
  pool.on('error', onError)
  // The pool listens only to idle clients; without this, a connection that breaks while in use would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: translating(pool) }) })
}

/** int8 and numeric, once: both are counters that stay below 2^53 (see usage_rollup in sql/). */
function parserFor(oid: number, format?: 'text' | 'binary'): unknown {
  if (oid === pg.types.builtins.INT8 || oid === pg.types.builtins.NUMERIC) return Number
  return pg.types.getTypeParser(oid, format)
}

/** Resolves when the database answers; rejects with StoreUnavailableError, after PING_TIMEOUT_MS at the latest, when not. */
export async function pingDatabase(db: Database): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new StoreUnavailableError(`the database did not answer within ${PING_TIMEOUT_MS} ms`))
    }, PING_TIMEOUT_MS)
  })
  try {
    await Promise.race([sql`select 1`.execute(db), late])
  } finally {
    clearTimeout(timer)
  }
}

/** The one place where every query passes: connects and queries through the pool, and translates its errors. */
function translating(pool: pg.Pool): PostgresPool {
  return {
    options: pool.options,
    async connect(): Promise<PostgresPoolClient> {
      const client = await pool.connect().catch(rethrow)
      return {
        query: (text: string, parameters: readonly unknown[]) => {
          const name = PREPARED.exec(text)?.[1]
          const { values, sink } = sinkAmong(parameters)
          if (sink !== undefined) return queryInto(client, { text, values }, sink).catch(rethrow)
          return client.query(name === undefined ? { text, values } : { name, text, values }).catch(rethrow)
        },
        release: () => {
          client.release()
        },
      } as unknown as PostgresPoolClient // Kysely calls these two only; cursors and cancelling are not used.
    },
    end: async () => {
      await pool.end()
    },
  }
}

const PREPARED = /^\/\* prepared: (\w+) \*\//

/** Marks a statement to be parsed and planned once in each connection, under a name that no other statement has. */
export function prepared(name: string, text: string): string {
  return `/* prepared: ${name} */${text}`
}

function rethrow(error: unknown): never {
  if (isUnavailable(error)) {
    throw new StoreUnavailableError(`the database is not available: ${messageOf(error)}`, { cause: error })
  }
  throw error
}

const UNAVAILABLE_CODES = new Set(
  [
    'ECONNREFUSED ECONNRESET EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH ENOTFOUND EAI_AGAIN ENOENT',
    '57P01 57P02 57P03', // shutting down, crashed, starting up
    '53300', // too many connections
    '25006', // read only: a standby that has not been promoted yet
  ].flatMap((codes) => codes.split(' ')),
)
/** What pg says, without a code, of connections that are gone. */
const UNAVAILABLE_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed|Connection ended unexpectedly|read ECONNRESET)/

/** True when the database cannot be reached or is not ready, and nothing is wrong with what was asked of it. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof StoreUnavailableError) return true
  if (error instanceof AggregateError) return error.errors.some(isUnavailable)
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return UNAVAILABLE_CODES.has(code) || code.startsWith('08') || UNAVAILABLE_MESSAGES.test(error.message)
}

function messageOf(error: unknown): string {
  // A host with several addresses fails with one error for each, and no message of its own.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}

/** Host, port and name of a database, without user and password, for messages; undefined when it is no PostgreSQL URL. */
export function describeDatabase(databaseUrl: string): string | undefined {
  if (!/^postgres(ql)?:\/\//.test(databaseUrl)) return undefined
  try {
    const { host, port, database } = new pg.Client(databaseUrl)
    return host.startsWith('/') ? `${host}, ${database}` : `${host}:${port}/${database}`
  } catch {
    // What it throws holds the whole URL, and so the password.
    return undefined
  }
}
