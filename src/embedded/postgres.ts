import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import { postgresAccount } from './postgres-account.ts'
import { postgresBinaries, usedBinaries, type PostgresBinaries } from './postgres-binaries.ts'
import { createCluster, hasCluster, prepareDataDirectory, SUPERUSER } from './postgres-cluster.ts'
import { PORT, PostgresServer, SOCKET_NAME, type Durability } from './postgres-server.ts'

/** A PostgreSQL server of our own, reachable over a Unix socket in its data directory and nowhere else. */
export interface EmbeddedPostgres {
  /** A URL for pg, kysely and BullMQ; it stays the same over restarts of the server. */
  url(database?: string): string
  /** True when the server was running already: another keyhound with the same data directory had started it. */
  readonly reused: boolean
  /** Process id of the server that serves now. */
  readonly pid: number
  /**
   * Lets go of the server. The last keyhound that does so stops it: politely at first, then by cutting off whoever is
   * still connected. Safe to call twice.
   */
  stop(): Promise<void>
}

export interface EmbeddedPostgresOptions {
  /** keyhound's data directory; the cluster is `postgres` in it. */
  readonly dataDir: string
  /** `full`: what is committed survives a power failure. `none`: for throw-away data, several times as fast. */
  readonly durability?: Durability
  /** Told when the server went away although nobody asked it to, and when it is back. */
  readonly onNotice?: (message: string) => void
}

/** How a running instance shows the others that it needs the server: it holds a connection of this name. */
const LEASE_NAME = 'keyhound-instance'
const DEFAULT_DATABASE = 'keyhound'
const SOCKET_PATH_LIMIT_BYTES = 107 // sun_path of Linux is 108 with its final NUL; macOS has 104 and reports that itself
const FIRST_BACKOFF_MS = 100
const LONGEST_BACKOFF_MS = 5_000

/**
 * Starts PostgreSQL in the data directory, or joins the one that runs there.
 *
 * Any number of keyhound processes can share one data directory. The server is a child of the one that started it, and
 * on Linux ends with it (kill -9 included). Every instance, starter or not, watches the server and, when it goes away,
 * brings it back under the same URL: so when the starter dies, another instance takes over within about a second, and
 * its pools see one broken connection, as with any database restart. A starter that stops while others are connected
 * leaves the server running for as long as its own process lives.
 *
 * Call it on the main thread: Linux ends the server together with the thread that started it.
 *
 * @throws with what to do, when PostgreSQL cannot run here.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  const clusterDir = join(dataDir, 'postgres')
  checkSocketPath(clusterDir)
  const { server, reused } = await acquireServer(dataDir, clusterDir, options.durability ?? 'full')
  const lease = new Lease(clusterDir, server, options.onNotice ?? (() => {}))
  await lease.open()
  try {
    await createDatabase(lease)
  } catch (error) {
    await lease.close()
    throw error
  }

  return {
    url: (database = DEFAULT_DATABASE) => socketUrl(clusterDir, database),
    reused,
    get pid() {
      return server.pid
    },
    stop: () => lease.close(),
  }
}

/**
 * A cluster that is there was started before, with what is installed and as the user it belongs to: it is tried without
 * looking first whether that is still possible. The looking costs a dozen processes; it is done when the try fails.
 */
async function acquireServer(
  dataDir: string,
  clusterDir: string,
  durability: Durability,
): Promise<{ readonly server: PostgresServer; readonly reused: boolean }> {
  const account = postgresAccount(clusterDir)
  const serverOf = (binaries: PostgresBinaries): PostgresServer =>
    new PostgresServer({ clusterDir, account, binaries, durability, probe: () => probe(clusterDir) })
  const binaries = hasCluster(clusterDir) ? usedBinaries(dataDir) : undefined
  if (binaries !== undefined) {
    const server = serverOf(binaries)
    try {
      return { server, reused: await server.acquire() }
    } catch (error) {
      if (server.isServing()) throw error // it runs and does not answer: that is not for want of programs or rights
    }
  }
  prepareDataDirectory(dataDir, account)
  const checked = postgresBinaries(account, dataDir)
  await createCluster({ clusterDir, account, binaries: checked, sync: durability === 'full' })
  const server = serverOf(checked)
  return { server, reused: await server.acquire() }
}

/** The connection that keeps the server for us, and whose end tells that the server went away. */
class Lease {
  readonly #clusterDir: string
  readonly #server: PostgresServer
  readonly #onNotice: (message: string) => void
  #client: Client | undefined
  #recovering: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(clusterDir: string, server: PostgresServer, onNotice: (message: string) => void) {
    this.#clusterDir = clusterDir
    this.#server = server
    this.#onNotice = onNotice
  }

  async open(): Promise<void> {
    const client = await newClient(this.#clusterDir, { application_name: LEASE_NAME })
    await client.connect()
    client.once('end', () => this.#lost(client))
    withReference(client).unref() // holding the lease is no reason for a process to stay alive
    this.#client = client
  }

  /** Runs a statement over the connection, which is idle otherwise. */
  async query(text: string, values: readonly string[] = []): Promise<{ readonly rowCount: number | null }> {
    if (this.#client === undefined) throw new Error('the embedded PostgreSQL is not connected')
    const client = withReference(this.#client)
    client.ref()
    try {
      return await client.query(text, [...values])
    } finally {
      client.unref()
    }
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#release())
  }

  async #release(): Promise<void> {
    await this.#recovering
    const client = this.#client
    this.#client = undefined
    if (client) withReference(client).ref()
    const others = client ? await countOthers(client) : 0
    await client?.end().catch(() => {})
    if (others === 0) await this.#server.stop()
  }

  #lost(client: Client): void {
    if (this.#client !== client || this.#closed) return
    this.#client = undefined
    this.#onNotice('the embedded PostgreSQL went away; bringing it back')
    this.#recovering = this.#recover().finally(() => (this.#recovering = undefined))
  }

  async #recover(): Promise<void> {
    let backoffMs = FIRST_BACKOFF_MS
    await delay(backoffMs)
    while (!this.#closed) {
      try {
        const reused = await this.#server.acquire()
        await this.open()
        this.#onNotice(`the embedded PostgreSQL ${reused ? 'is back' : 'was started again'}`)
        return
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        this.#onNotice(`the embedded PostgreSQL is still away: ${reason}`)
      }
      backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS)
      await delay(backoffMs)
    }
  }
}

/** pg has these two methods (client.js); its types lack them. */
function withReference(client: Client) {
  return client as Client & { ref(): void; unref(): void }
}

/** Not connected yet. pg is loaded here, while the server starts, and not before it is asked to. */
async function newClient(
  clusterDir: string,
  options: { readonly application_name?: string; readonly connectionTimeoutMillis?: number },
): Promise<Client> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    host: clusterDir,
    port: PORT,
    user: SUPERUSER,
    database: 'postgres',
    password: '',
    ssl: false,
    ...options,
  })
  client.on('error', () => {}) // 'end' follows
  return client
}

async function countOthers(client: Client): Promise<number> {
  try {
    const { rows } = await client.query<{ others: number }>(
      'select count(*)::int as others from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid()',
      [LEASE_NAME],
    )
    return rows[0]?.others ?? 0
  } catch {
    return 0 // the server is going down already; stop() then only waits for it
  }
}

/** Whether a server answers on the socket: `yes`, `wait` (it is starting, recovering or ending), or `no`. */
async function probe(clusterDir: string): Promise<'yes' | 'wait' | 'no'> {
  const client = await newClient(clusterDir, { connectionTimeoutMillis: 2_000 })
  try {
    await client.connect()
    return 'yes'
  } catch (error) {
    const CANNOT_CONNECT_NOW = '57P03'
    return (error as { code?: string }).code === CANNOT_CONNECT_NOW ? 'wait' : 'no'
  } finally {
    await client.end().catch(() => {})
  }
}

async function createDatabase(lease: Lease): Promise<void> {
  try {
    const { rowCount } = await lease.query('select from pg_database where datname = $1', [DEFAULT_DATABASE])
    if (rowCount === 0) await lease.query(`create database ${DEFAULT_DATABASE}`)
  } catch (error) {
    const MADE_MEANWHILE = ['42P04', '23505'] // two instances that start at the same time
    if (!MADE_MEANWHILE.includes(String((error as { code?: string }).code))) throw error
  }
}

function socketUrl(clusterDir: string, database: string): string {
  // `localhost` only makes it a URL for every parser; the parameter `host` wins (libpq, pg, kysely, BullMQ).
  const name = encodeURIComponent(database)
  const socket = `host=${encodeURIComponent(clusterDir)}&port=${PORT}&sslmode=disable`
  return `postgres://${SUPERUSER}@localhost/${name}?${socket}`
}

function checkSocketPath(clusterDir: string): void {
  const path = join(clusterDir, SOCKET_NAME)
  const bytes = Buffer.byteLength(path)
  if (bytes <= SOCKET_PATH_LIMIT_BYTES) return
  throw new Error(
    `The data directory's path is too long for a Unix socket: ${path} has ${bytes} bytes, and ` +
      `${SOCKET_PATH_LIMIT_BYTES} are allowed. Set KEYHOUND_DATA_DIR to a shorter path.`,
  )
}
