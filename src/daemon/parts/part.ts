import type { LoopStart } from '../../outbound/poll-loop.ts'
import type { DaemonOptions } from '../daemon.ts'
import type { LiveConfig } from '../live-config.ts'
import type { Metrics } from '../metrics.ts'
import type { Session } from '../session.ts'
import type { Watch } from './watch.ts'

/** A role that runs. */
export interface Part {
  /** Where it listens, for the one that does. */
  readonly url?: string
  /** Ends what is under way and takes nothing new. */
  stop(): Promise<void>
}

/** What the parts share. */
export interface PartContext extends DaemonOptions, LoopStart {
  readonly session: Session
  readonly live: LiveConfig
  readonly metrics: Metrics
  /** How keyhound itself fares. */
  readonly watch: Watch
  /** Registers a loop that looks at the outbox or at open alerts: woken at once instead of at its next turn. */
  readonly onAlertsChanged: (wake: () => void) => void
  readonly alertsChanged: () => void
}
