import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { ContainmentStage } from '../alert/containment.ts'
import type { DetectorName, Severity } from '../detect/finding.ts'
import type { HttpMetrics } from '../http/metrics.ts'
import type { IngestMetrics } from '../ingest/metrics.ts'
import type { RevocationState } from '../store/revocation-store.ts'
import { addGauges, addWatchGauges, type Gauges, type WatchSources } from './scrape-gauges.ts'

/** How one try to deliver a message ended. */
export type DeliveryResult = 'delivered' | 'retry' | 'failed'

/** What the scheduler, the engine and the loops count. */
export interface EngineMetrics {
  /** A tick of one shard ended well. */
  tick(seconds: number, nowMs: number): void
  tickFailed(): void
  alertOpened(detector: DetectorName, severity: Severity): void
  alertsResolved(count: number): void
  detectorFailed(detector: DetectorName): void
  delivery(channel: string, result: DeliveryResult): void
  revocation(state: RevocationState): void
  /** A revoked key was still used. */
  notEffective(): void
  /** How long after the first request of an abuse a stage of its end was reached. */
  containment(stage: ContainmentStage, seconds: number): void
}

/** Everything that keyhound measures about itself, in a registry of its own. Labels never hold key ids, models or addresses. */
export interface Metrics {
  readonly ingest: IngestMetrics
  readonly http: HttpMetrics
  readonly engine: EngineMetrics
  /** Adds the gauges of the self-watch; once. */
  watch(sources: WatchSources): void
  /** For `/metrics`. */
  text(): Promise<{ readonly contentType: string; readonly text: string }>
}

const BATCH_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const TICK_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const CONTAINMENT_SECONDS = [5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 14_400, 86_400]
const ANSWER_SECONDS = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30]

/** Makes the counters; one set a process. */
export function createMetrics(gauges: Gauges = {}): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'keyhound_' })
  addGauges(registry, gauges)
  return {
    ingest: ingestMetrics(registry),
    http: httpMetrics(registry),
    engine: engineMetrics(registry),
    watch: (sources) => addWatchGauges(registry, sources),
    text: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

function ingestMetrics(registry: Registry): IngestMetrics {
  const registers = [registry]
  const ingested = new Counter({
    name: 'keyhound_events_ingested_total',
    help: 'Usage events that were stored for the first time.',
    registers,
  })
  const duplicates = new Counter({
    name: 'keyhound_events_duplicate_total',
    help: 'Usage events that had been stored before and changed nothing.',
    registers,
  })
  const rejected = new Counter({
    name: 'keyhound_events_rejected_total',
    help: 'Usage events that were refused and kept in rejected_event, by class of reason.',
    labelNames: ['reason'],
    registers,
  })
  for (const reason of ['invalid', 'future', 'job', 'database']) rejected.inc({ reason }, 0)
  const unpriced = new Counter({
    name: 'keyhound_unpriced_events_total',
    help: 'Successful usage events without a cost whose model is not in the price list.',
    registers,
  })
  const batch = new Histogram({
    name: 'keyhound_ingest_batch_seconds',
    help: 'Time that the database took to commit one batch of usage events.',
    buckets: BATCH_SECONDS,
    registers,
  })
  const jobs = new Counter({
    name: 'keyhound_ingest_jobs_total',
    help: 'Jobs of the usage queue that were done: taken from the queue in bulk, or one by one by BullMQ.',
    labelNames: ['taken'],
    registers,
  })
  for (const taken of ['bulk', 'plain']) jobs.inc({ taken }, 0)
  const secrets = secretCounter(registry)
  return {
    ingested: (count) => ingested.inc(count),
    duplicate: (count) => duplicates.inc(count),
    rejected: (reason, count) => rejected.inc({ reason }, count),
    secretReplaced: (count) => secrets.inc(count),
    unpriced: (count) => unpriced.inc(count),
    jobsDone: (taken, count) => jobs.inc({ taken }, count),
    batchSeconds: (seconds) => batch.observe(seconds),
  }
}

function httpMetrics(registry: Registry): HttpMetrics {
  const answers = new Histogram({
    name: 'keyhound_http_request_seconds',
    help: 'Time to answer an HTTP request, by route and status.',
    labelNames: ['route', 'status'],
    buckets: ANSWER_SECONDS,
    registers: [registry],
  })
  const secrets = secretCounter(registry)
  return {
    answered: (route, status, seconds) => answers.observe({ route, status }, seconds),
    secretReplaced: (count) => secrets.inc(count),
  }
}

/** Ingest and HTTP share one: an event that came over HTTP is clean when ingest gets it. */
function secretCounter(registry: Registry): Counter {
  const name = 'keyhound_secret_key_ids_total'
  const known = registry.getSingleMetric(name)
  if (known instanceof Counter) return known
  return new Counter({
    name,
    help: 'Values in usage events (key_id and others) that looked like a secret and were replaced by a hash.',
    registers: [registry],
  })
}

function engineMetrics(registry: Registry): EngineMetrics {
  const registers = [registry]
  const ticks = new Histogram({
    name: 'keyhound_tick_seconds',
    help: 'Time that one run of the detectors over one shard took.',
    buckets: TICK_SECONDS,
    registers,
  })
  const lastTick = new Gauge({
    name: 'keyhound_tick_last_success_timestamp',
    help: 'When a run of the detectors last succeeded in this process, in seconds since 1970.',
    registers,
  })
  const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name: `keyhound_${name}`, help, labelNames, registers })
  const failedTicks = counter('tick_failures_total', 'Runs of the detectors that failed as a whole.')
  const opened = counter('alerts_opened_total', 'Alerts opened.', ['detector', 'severity'])
  const resolved = counter('alerts_resolved_total', 'Alerts that ended because nothing more was found.')
  const detectorErrors = counter('detector_errors_total', 'Detectors that threw on one key.', ['detector'])
  const deliveries = counter('deliveries_total', 'Tries to deliver a message.', ['channel', 'outcome'])
  const revocations = counter('revocations_total', 'Revocations that reached a state.', ['state'])
  const notEffective = counter(
    'revocations_not_effective_total',
    'Times that a key was still used after it had been revoked and the grace period was over.',
  )
  const contained = new Histogram({
    name: 'keyhound_containment_seconds',
    help: 'Time from the first request of an abuse to its alert, to the accepted revocation, and to its confirmation.',
    labelNames: ['stage'],
    buckets: CONTAINMENT_SECONDS,
    registers,
  })
  return {
    tick(seconds, nowMs) {
      ticks.observe(seconds)
      lastTick.set(nowMs / 1_000)
    },
    tickFailed: () => failedTicks.inc(),
    alertOpened: (detector, severity) => opened.inc({ detector, severity }),
    alertsResolved: (count) => resolved.inc(count),
    detectorFailed: (detector) => detectorErrors.inc({ detector }),
    delivery: (channel, outcome) => deliveries.inc({ channel, outcome }),
    revocation: (state) => revocations.inc({ state }),
    notEffective: () => notEffective.inc(),
    containment: (stage, seconds) => contained.observe({ stage }, seconds),
  }
}
