import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { dataDirectory } from './data-dir.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './postgres.ts'
import { hasCluster } from './postgres-cluster.ts'

/** An embedded PostgreSQL that starts while the rest of the program is still being loaded. */
export interface EarlyPostgres {
  /** Resolved. The server runs in this data directory and in no other. */
  readonly dataDir: string
  /** Hands the server over: who takes it stops it. Rejects with the reason when it did not start. */
  take(onNotice: (message: string) => void): Promise<EmbeddedPostgres>
  /** Stops it, unless somebody took it. */
  drop(): Promise<void>
}

/**
 * Starts the embedded PostgreSQL before anything else is looked at. Undefined when the environment names a database, and
 * when there is no cluster yet: what then goes wrong with the configuration must leave nothing behind.
 */
export function startPostgresEarly(
  env: Readonly<Record<string, string | undefined>>,
): EarlyPostgres | undefined {
  if (env['DATABASE_URL'] || env['DATABASE_URL_FILE']) return undefined
  const dataDir = resolve(dataDirectory({ env, uid: process.getuid?.(), homeDirectory: homedir() }))
  if (!hasCluster(join(dataDir, 'postgres'))) return undefined
  let tell: (message: string) => void = () => undefined
  let taken = false
  const server = startEmbeddedPostgres({ dataDir, onNotice: (message) => tell(message) })
  server.catch(() => undefined) // who takes it hears of it
  return {
    dataDir,
    take: (onNotice) => {
      taken = true
      tell = onNotice
      return server
    },
    drop: async () => {
      if (taken) return
      const started = await server.catch(() => undefined)
      await started?.stop()
    },
  }
}
