import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Clock } from '../clock.ts'
import type { Daemon } from '../daemon/daemon.ts'
import type { DemoFleet, WireEvent } from './fleet.ts'

const EVENTS_PER_JOB = 500
const LIVE_STEP_MS = 500

/** Pushes the fleet's events into the queue, as a gateway would. */
export class Traffic {
  readonly #daemon: Daemon
  readonly #fleet: DemoFleet
  readonly #clock: Clock
  #pushed = 0

  constructor(daemon: Daemon, fleet: DemoFleet, clock: Clock) {
    this.#daemon = daemon
    this.#fleet = fleet
    this.#clock = clock
  }

  get pushed(): number {
    return this.#pushed
  }

  get fleet(): DemoFleet {
    return this.#fleet
  }

  async push(events: readonly WireEvent[]): Promise<void> {
    if (events.length === 0) return
    const { queues } = this.#daemon.session.backends
    const jobs = []
    for (let at = 0; at < events.length; at += EVENTS_PER_JOB) {
      jobs.push({ name: 'usage', data: { events: events.slice(at, at + EVENTS_PER_JOB) } })
    }
    await queues.queue(this.#daemon.queueName).add(jobs)
    this.#pushed += events.length
  }

  /** How many events the database holds. */
  async stored(): Promise<number> {
    const { rows } = await sql<{ count: number }>`select count(*) from usage_event`.execute(
      this.#daemon.session.database,
    )
    return rows[0]?.count ?? 0
  }

  /** Live traffic for `forMs`, or until there is no more need. */
  async run(
    forMs: number,
    { theft = false, until = () => false }: { theft?: boolean; until?: () => boolean } = {},
  ): Promise<void> {
    const endMs = this.#clock.nowMs() + forMs
    let fromMs = this.#clock.nowMs()
    while (this.#clock.nowMs() < endMs && !until()) {
      await delay(LIVE_STEP_MS)
      const untilMs = this.#clock.nowMs()
      const stolen = theft ? this.#fleet.theft(fromMs, untilMs) : []
      await this.push([...this.#fleet.live(fromMs, untilMs), ...stolen])
      fromMs = untilMs
    }
  }
}
