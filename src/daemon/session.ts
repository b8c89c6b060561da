import type { Clock } from '../clock.ts'
import type { Environment } from '../config/env.ts'
import type { EarlyPostgres } from '../embedded/early-postgres.ts'
import type { OperatorStore } from '../store/operator-store.ts'
import type { RevocationStore } from '../store/revocation-store.ts'
import { openDatabase, type Database } from '../store/postgres/database.ts'
import { createOperatorStore } from '../store/postgres/operator-store.ts'
import { createRevocationStore } from '../store/postgres/revocation-store.ts'
import type { ChannelStateStore } from '../store/channel-state-store.ts'
import { createChannelStateStore } from '../store/postgres/channel-state-store.ts'
import { createSilenceStore } from '../store/postgres/silence-store.ts'
import type { SilenceStore } from '../store/silence-store.ts'
import { openBackends, type Backends } from './backends.ts'

/** The servers and the stores on them: what the daemon's parts and the operator's commands work with. */
export interface Session {
  readonly backends: Backends
  readonly database: Database
  readonly operators: OperatorStore
  readonly revocations: RevocationStore
  readonly silences: SilenceStore
  readonly channelStates: ChannelStateStore
  close(): Promise<void>
}

/** Connects to everything. Throws, within seconds, an error that names the variable and not the password. */
export async function openSession(options: {
  readonly environment: Environment
  readonly clock: Clock
  readonly dataDir?: string
  readonly early?: EarlyPostgres | undefined
  readonly onNotice: (message: string, error?: Error) => void
}): Promise<Session> {
  const backends = await openBackends(options)
  const database = openDatabase(backends.databaseUrl, {
    onError: (error) => options.onNotice(`database: ${error.message}`, error),
  })
  return {
    backends,
    database,
    operators: createOperatorStore(database),
    revocations: createRevocationStore(database),
    silences: createSilenceStore(database),
    channelStates: createChannelStateStore(database),
    close: async () => {
      await database.destroy()
      await backends.stop()
    },
  }
}
