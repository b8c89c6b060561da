import { homedir } from 'node:os'
import type { Environment } from '../config/env.ts'
import { dataDirectory } from '../embedded/data-dir.ts'
import { startEmbeddedPostgres } from '../embedded/postgres.ts'
import { openQueues, type Queues } from '../queue/queues.ts'
import { migrate } from '../store/postgres/migrate.ts'

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
  onNotice,
}: BackendsOptions): Promise<Backends> {
  const dataDir =
    given ??
    environment.dataDir ??
    dataDirectory({ env: process.env, uid: process.getuid?.(), homeDirectory: homedir() })
  const database = await openDatabaseServer(environment, dataDir, onNotice)
  try {
    await migrate(database.url)
    const queues = await openQueues({
      redisUrl: environment.redisUrl?.reveal(),
      databaseUrl: database.url,
      onError: (error) => onNotice(`queue: ${error.message}`, error),
    })
    for (const warning of queues.warnings) onNotice(`queue: ${warning}`)
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

async function openDatabaseServer(
  environment: Environment,
  dataDir: string,
  onNotice: BackendsOptions['onNotice'],
): Promise<{ readonly url: string; readonly embedded: boolean; stop(): Promise<void> }> {
  if (environment.databaseUrl !== undefined) {
    return { url: environment.databaseUrl.reveal(), embedded: false, stop: () => Promise.resolve() }
  }
  const server = await startEmbeddedPostgres({ dataDir, onNotice: (message) => onNotice(message) })
  return { url: server.url(), embedded: true, stop: () => server.stop() }
}
