import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { Environment } from '../config/env.ts'
import { dataDirectory } from '../embedded/data-dir.ts'
import type { EarlyPostgres } from '../embedded/early-postgres.ts'
import { startEmbeddedPostgres } from '../embedded/postgres.ts'
import { openQueues, type Queues } from '../queue/queues.ts'
import { migrate } from '../store/postgres/migrate.ts'
import { markStart } from './start-times.ts'

/** Where the data and the queue are, connected and with the schema up to date. */
export interface Backends {
  readonly databaseUrl: string
  /** True when keyhound started (or joined) the PostgreSQL that it brings. */
  readonly embedded: boolean
  /** Where keyhound keeps its own state. */
  readonly dataDir: string
  readonly queues: Queues
  /** Closes the queues, then lets go of the embedded PostgreSQL. Close the database before. */
  stop(): Promise<void>
}

export interface BackendsOptions {
  readonly environment: Environment
  /** Overrides the data directory of the environment: the demo's is a fresh one. */
  readonly dataDir?: string
  /** The embedded PostgreSQL, when it has been started before; used when it is that of the data directory. */
  readonly early?: EarlyPostgres | undefined
  /** Told about lost connections, failed jobs, and the embedded server coming and going. */
  readonly onNotice: (message: string, error?: Error) => void
}

/**
 * Connects to the servers that the environment names, starts the embedded PostgreSQL where it names none, and brings
 * the schema up to date. Throws, within seconds, an error that names the variable and not the password.
 */
export async function openBackends({
  environment,
  dataDir: given,
  early,
  onNotice,
}: BackendsOptions): Promise<Backends> {
  const dataDir =
    given ??
    environment.dataDir ??
    dataDirectory({ env: process.env, uid: process.getuid?.(), homeDirectory: homedir() })
  const database = await openDatabaseServer({ environment, dataDir, early, onNotice })
  markStart('database')
  try {
    const queues = await openSchemaAndQueues(database.url, environment, onNotice)
    for (const warning of queues.warnings) onNotice(`queue: ${warning}`)
    markStart('schema and queue')
    return {
      databaseUrl: database.url,
      embedded: database.embedded,
      dataDir,
      queues,
      stop: async () => {
        await queues.close()
        await database.stop()
      },
    }
  } catch (error) {
    await database.stop()
    throw error
  }
}

/** Both at once: neither needs the other. */
async function openSchemaAndQueues(
  databaseUrl: string,
  environment: Environment,
  onNotice: BackendsOptions['onNotice'],
): Promise<Queues> {
  const [migrated, opened] = await Promise.allSettled([
    migrate(databaseUrl),
    openQueues({
      redisUrl: environment.redisUrl?.reveal(),
      databaseUrl,
      onError: (error) => onNotice(`queue: ${error.message}`, error),
    }),
  ])
  if (migrated.status === 'fulfilled' && opened.status === 'fulfilled') return opened.value
  if (opened.status === 'fulfilled') await opened.value.close()
  throw migrated.status === 'rejected' ? migrated.reason : (opened as PromiseRejectedResult).reason
}

async function openDatabaseServer({
  environment,
  dataDir,
  early,
  onNotice,
}: BackendsOptions & { readonly dataDir: string }): Promise<{
  readonly url: string
  readonly embedded: boolean
  stop(): Promise<void>
}> {
  if (environment.databaseUrl !== undefined) {
    return { url: environment.databaseUrl.reveal(), embedded: false, stop: () => Promise.resolve() }
  }
  const tell = (message: string): void => onNotice(message)
  const server = await (early?.dataDir === resolve(dataDir)
    ? early.take(tell)
    : startEmbeddedPostgres({ dataDir, onNotice: tell }))
  return { url: server.url(), embedded: true, stop: () => server.stop() }
}
