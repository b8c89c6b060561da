import { pino, type Logger } from 'pino'
import { ManualClock } from '../../src/clock.ts'
import type { PollLoop } from '../../src/outbound/poll-loop.ts'
import { SWITCH, type RevokerCall } from '../../src/respond/revoker.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import type { RevocationStore } from '../../src/store/revocation-store.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

/** What a test of responding begins with: an empty database, a clock that stands still, and no loop yet. */
export interface ResponseRig {
  readonly db: Database
  readonly store: RevocationStore
  readonly clock: ManualClock
  readonly log: Logger
  /** Those that the test starts; they are stopped in the end. */
  readonly loops: PollLoop[]
  close(): Promise<void>
}

export async function openResponseRig(): Promise<ResponseRig> {
  const db = openDatabase(await testDatabase())
  const loops: PollLoop[] = []
  return {
    db,
    store: createRevocationStore(db),
    clock: new ManualClock(SOME_TIME_MS),
    log: pino({ level: 'silent' }),
    loops,
    close: async () => {
      await Promise.all(loops.map((loop) => loop.stop()))
      await db.destroy()
    },
  }
}

/** A gateway that does what it is asked, after failing with the errors given, in order. */
export function recordingRevoker(...errors: Error[]) {
  const calls: (RevokerCall & { readonly act: 'revoke' | 'restore' })[] = []
  let always: Error | undefined
  const answer = async (act: 'revoke' | 'restore', call: RevokerCall): Promise<{ receipt: string }> => {
    calls.push({ ...call, act })
    const error = errors.shift() ?? always
    if (error !== undefined) throw error
    return Promise.resolve({ receipt: 'answered 200' })
  }
  return {
    calls,
    failAlways: (error: Error): void => {
      always = error
    },
    capabilities: SWITCH,
    means: 'disable' as const,
    revoke: (call: RevokerCall) => answer('revoke', call),
    restore: (call: RevokerCall) => answer('restore', call),
  }
}
