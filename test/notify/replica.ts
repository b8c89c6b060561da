import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { announce } from '../../src/alert/announce.ts'
import type { Notice } from '../../src/alert/notice.ts'
import type { Notification } from '../../src/alert/notification.ts'
import { ManualClock } from '../../src/clock.ts'
import type { Channel } from '../../src/notify/channel.ts'
import { startDelivering, type DeliveryReport } from '../../src/notify/deliver.ts'
import { startWatchingChannels, type ChannelWatching } from '../../src/notify/watch-channels.ts'
import { createChannelStateStore } from '../../src/store/postgres/channel-state-store.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createDeliveryStore } from '../../src/store/postgres/delivery-store.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { raiseAlert } from './outbox.ts'

/** One database and one clock, which stands still unless it is moved. */
export interface World {
  readonly db: Database
  readonly clock: ManualClock
  /** Alerts of these keys are raised, judged and due. */
  raise(keyIds: readonly string[], channels: readonly string[]): Promise<void>
  /** The alerts of these keys end. */
  resolve(keyIds: readonly string[], channels: readonly string[]): Promise<void>
  /** A keyhound process with the role `notify`. */
  replica(channels: Readonly<Record<string, Channel>>, given?: Partial<ChannelWatching>): Replica
}

export interface Replica {
  readonly reports: readonly DeliveryReport[]
  readonly logged: readonly { readonly level: number; readonly msg: string }[]
  /** Both loops look again now. */
  wake(): void
  stop(): Promise<void>
}

export async function startWorld(): Promise<World> {
  const url = await testDatabase()
  const db = openDatabase(url)
  const clock = new ManualClock(SOME_TIME_MS)
  onTestFinished(async () => db.destroy())
  const judge = async (): Promise<unknown> =>
    createRevocationStore(db).decideDue(() => ({ kind: 'none' }), clock.nowMs())
  return {
    db,
    clock,
    async raise(keyIds, channels) {
      for (const keyId of keyIds) {
        await raiseAlert(db, { keyId, channels: [...channels], nowMs: clock.nowMs() })
      }
      await judge()
    },
    async resolve(keyIds, channels) {
      const alerts = await db
        .selectFrom('alert')
        .select('id')
        .where('key_id', 'in', [...keyIds])
        .where('status', '<>', 'resolved')
        .execute()
      const nowMs = clock.nowMs()
      await createEngineStore(db).commit(
        { nowMs, findings: [], resolved: alerts.map(({ id }) => id) },
        (incident, all) => {
          const settings = { groupWaitMs: 0, repeatIntervalMs: 3_600_000 }
          const announcement = announce(incident, all, { settings, nowMs })
          return announcement && { announcement, channels: [...channels] }
        },
      )
    },
    replica: (channels, given = {}) => startReplica({ db: openDatabase(url), clock, channels, given }),
  }
}

function startReplica({
  db,
  clock,
  channels,
  given,
}: {
  db: Database
  clock: ManualClock
  channels: Readonly<Record<string, Channel>>
  given: Partial<ChannelWatching>
}): Replica {
  const reports: DeliveryReport[] = []
  const logged: { level: number; msg: string }[] = []
  const named = new Map(Object.entries(channels))
  const shared = {
    deliveries: createDeliveryStore(db),
    states: createChannelStateStore(db),
    channels: () => named,
    clock,
    log: pino(
      {},
      { write: (line: string) => void logged.push(JSON.parse(line) as { level: number; msg: string }) },
    ),
  }
  const delivering = startDelivering({
    ...shared,
    random: () => 0.5,
    onOutcome: (report) => void reports.push(report),
    onTrouble: () => watching.wake(),
  })
  const watching = startWatchingChannels({
    ...shared,
    fallbacksFor: () => [],
    fallbacksOf: () => [],
    onHandedOver: () => delivering.wake(),
    ...given,
  })
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await watching.stop()
    await delivering.stop()
    await db.destroy()
  }
  const stopOnce = async (): Promise<void> => (stopped ??= stop())
  onTestFinished(stopOnce)
  return {
    reports,
    logged,
    wake: () => {
      watching.wake()
      delivering.wake()
    },
    stop: stopOnce,
  }
}

/** A channel that remembers what it was given, and fails with what `fails` holds while it holds something. */
export class FakeChannel implements Channel {
  readonly sent: Notification[] = []
  readonly notices: Notice[] = []
  fails: Error | undefined

  async send(notification: Notification): Promise<{ receipt: string }> {
    if (this.fails !== undefined) throw this.fails
    this.sent.push(notification)
    return Promise.resolve({ receipt: 'taken' })
  }

  async tell(notice: Notice): Promise<{ receipt: string }> {
    if (this.fails !== undefined) throw this.fails
    this.notices.push(notice)
    return Promise.resolve({ receipt: 'taken' })
  }

  get keys(): string[] {
    return this.sent.map(({ key }) => key.keyId)
  }
}

/** Everything that is in the outbox, one line for each message: `channel type state`, with the stand-in's reason. */
export async function messages(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('delivery')
    .select(['channel', 'type', 'state', 'instead_of'])
    .orderBy('channel')
    .orderBy('created_at')
    .orderBy('number')
    .execute()
  return rows.map(
    ({ channel, type, state, instead_of: from }) =>
      `${channel} ${type} ${state}${from === null ? '' : ` instead of ${from}`}`,
  )
}
