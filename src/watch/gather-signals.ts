import type { Clock } from '../clock.ts'
import type { JobCounts } from '../queue/queues.ts'
import type { HealthFacts } from '../store/postgres/self-signals.ts'
import { MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import { SILENCE_MIN_MS } from './is-blind.ts'
import type { JobsSignal, PricingSignal, Reach, Signals, TicksSignal, UsageSignal } from './signals.ts'

/** Whom to ask. Each question may fail, and none is waited for longer than ASK_TIMEOUT_MS. */
export interface SignalSources {
  readonly pingDatabase: () => Promise<void>
  readonly pingQueue: () => Promise<void>
  readonly jobCounts: () => Promise<JobCounts>
  readonly healthFacts: (nowMs: number) => Promise<HealthFacts>
  readonly usualRequests: (span: {
    readonly fromMs: number
    readonly nowMs: number
    readonly oldestMs: number
  }) => Promise<number>
  readonly ticks: () => Promise<TicksSignal>
  readonly pricing: (nowMs: number) => Promise<PricingSignal>
  /** Undefined in a process that looks no places up. */
  readonly geoDataMs?: (() => Promise<number | undefined>) | undefined
  readonly detectors: () => Signals['detectors']
  readonly heartbeat: () => Signals['heartbeat']
  /** False in modes `off` and `dry_run`: a policy that acts on nothing is not missed while it is halted. */
  readonly policyActs: () => boolean
  readonly clock: Clock
}

const ASK_TIMEOUT_MS = 5 * SECOND_MS
/** What is dear to find out and slow to change. */
const SELDOM_MS = 5 * MINUTE_MS
/** What is usual at this time of the week does not change while a silence lasts. */
const USUAL_MS = MINUTE_MS
const FAILED_WITHIN_MS = 15 * MINUTE_MS

/** Gathers what is known of keyhound, again and again: what needs a memory (since when, how many more) is kept here. */
export class SignalGatherer {
  readonly #sources: SignalSources
  readonly #downSinceMs = new Map<'database' | 'queue', number>()
  readonly #failedJobs: { readonly atMs: number; readonly failed: number }[] = []
  readonly #pricing = new Remembered<PricingSignal>(SELDOM_MS)
  readonly #geo = new Remembered<number | undefined>(SELDOM_MS)
  readonly #usual = new Remembered<number>(USUAL_MS)

  constructor(sources: SignalSources) {
    this.#sources = sources
  }

  /** Never throws, and takes some seconds at the most. */
  async gather(): Promise<Signals> {
    const { clock, detectors, heartbeat } = this.#sources
    const [database, queue] = await Promise.all([
      this.#reach('database', this.#sources.pingDatabase),
      this.#reach('queue', this.#sources.pingQueue),
    ])
    const nowMs = clock.nowMs()
    const stored = database.kind === 'up' ? await this.#stored(nowMs) : {}
    return {
      database,
      queue,
      ...stored,
      jobs: queue.kind === 'up' ? await this.#jobs(nowMs) : undefined,
      geo: await this.#geoData(nowMs),
      detectors: detectors(),
      heartbeat: heartbeat(),
    }
  }

  async #reach(which: 'database' | 'queue', ping: () => Promise<void>): Promise<Reach> {
    try {
      await inTime(ping())
      this.#downSinceMs.delete(which)
      return { kind: 'up' }
    } catch (error) {
      const sinceMs = this.#downSinceMs.get(which) ?? this.#sources.clock.nowMs()
      this.#downSinceMs.set(which, sinceMs)
      return { kind: 'down', sinceMs, error: codeOf(error) }
    }
  }

  async #stored(
    nowMs: number,
  ): Promise<Pick<Signals, 'usage' | 'deliveries' | 'rejected' | 'revocations' | 'ticks' | 'pricing'>> {
    const [facts, ticks, pricing] = await Promise.all([
      known(this.#sources.healthFacts(nowMs)),
      known(this.#sources.ticks()),
      this.#pricing.at(nowMs, () => known(this.#sources.pricing(nowMs))),
    ])
    if (facts === undefined) return { ticks, pricing }
    return {
      usage: await this.#usage(facts, nowMs),
      deliveries: { overdue: facts.overdue, oldestDueMs: facts.oldestDueMs },
      rejected: { count: facts.rejected, commonest: facts.commonestReason },
      revocations: {
        failedKeys: facts.failedRevocations,
        halts: this.#sources.policyActs() ? facts.halts : [],
      },
      ticks,
      pricing,
    }
  }

  async #usage({ newestUsageMs, oldestUsageMs }: HealthFacts, nowMs: number): Promise<UsageSignal> {
    if (newestUsageMs === undefined || oldestUsageMs === undefined) {
      return { newestMs: undefined, expected: undefined }
    }
    if (nowMs - newestUsageMs < SILENCE_MIN_MS) {
      this.#usual.forget()
      return { newestMs: newestUsageMs, expected: undefined }
    }
    const span = { fromMs: newestUsageMs, nowMs, oldestMs: oldestUsageMs }
    const expected = await this.#usual.at(nowMs, () => known(this.#sources.usualRequests(span)))
    return { newestMs: newestUsageMs, expected }
  }

  async #jobs(nowMs: number): Promise<JobsSignal | undefined> {
    const counts = await known(this.#sources.jobCounts())
    if (counts === undefined) return undefined
    this.#failedJobs.push({ atMs: nowMs, failed: counts.failed })
    while ((this.#failedJobs[0]?.atMs ?? nowMs) < nowMs - FAILED_WITHIN_MS) this.#failedJobs.shift()
    // The queue forgets old failures, so the count can fall: what matters is how far it has risen.
    const least = Math.min(...this.#failedJobs.map(({ failed }) => failed))
    return { waiting: counts.waiting + counts.delayed, failed: counts.failed - least }
  }

  async #geoData(nowMs: number): Promise<Signals['geo']> {
    const { geoDataMs } = this.#sources
    if (geoDataMs === undefined) return undefined
    const dataMs = await this.#geo.at(nowMs, () => known(geoDataMs()))
    return dataMs === undefined ? undefined : { dataMs }
  }
}

/** An answer that is good for a while; one that could not be had is asked for again at once. */
class Remembered<Answer> {
  readonly #forMs: number
  #answer: Answer | undefined
  #atMs = 0

  constructor(forMs: number) {
    this.#forMs = forMs
  }

  async at(nowMs: number, ask: () => Promise<Answer | undefined>): Promise<Answer | undefined> {
    if (this.#answer === undefined || nowMs - this.#atMs >= this.#forMs) {
      this.#answer = await ask()
      this.#atMs = nowMs
    }
    return this.#answer
  }

  forget(): void {
    this.#answer = undefined
  }
}

/** Undefined when nobody can tell, or not in time. */
async function known<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await inTime(asked)
  } catch {
    return undefined
  }
}

async function inTime<Answer>(asked: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new LateError('no answer in time')), ASK_TIMEOUT_MS)
  })
  try {
    return await Promise.race([asked, late])
  } finally {
    clearTimeout(timer)
  }
}

class LateError extends Error {
  readonly code = 'no answer in time'
}

/** The code of an error (ECONNREFUSED, 57P03), which gives nothing away; messages may name hosts and users. */
function codeOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as { code?: unknown }
    if (typeof code === 'string') return code.slice(0, 40)
    if (cause instanceof AggregateError) return codeOf(cause.errors[0])
  }
  return 'no answer'
}
