/** A usage event as a gateway sends it; every field that gateways usually fill in. */
export interface SentEvent {
  readonly id: string
  readonly timestamp: string
  readonly key_id: string
  readonly model: string
  readonly provider: string
  readonly ip: string
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cached_input_tokens: number
  readonly cost_usd: number
  readonly status_code: number
  readonly latency_ms: number
  readonly team_id: string
  readonly environment: string
}

const MODELS = [
  'gpt-4o',
  'gpt-4o-mini',
  'gpt-5-mini',
  'o3',
  'claude-sonnet-4-5',
  'claude-haiku-4-5',
  'gemini-2.5-pro',
  'gemini-2.5-flash',
]
/** Public addresses in several countries. */
const NETWORKS = [
  '80.128',
  '8.8',
  '86.120',
  '130.89',
  '163.172',
  '203.0',
  '18.130',
  '52.95',
  '1.128',
  '189.6',
]

export interface TrafficOptions {
  readonly events: number
  /** Keys; the busy ones have most of the traffic: the k-th event belongs to key floor(keys x random^2). */
  readonly keys?: number
  /** How fast event time passes. */
  readonly eventsPerSecond?: number
  readonly startMs: number
}

/** The same traffic at every call. Each key has up to four addresses in up to two networks. */
export function* traffic(options: TrafficOptions): Generator<SentEvent> {
  const { events, keys = 5_000, eventsPerSecond = 2_000, startMs } = options
  const random = randomNumbers(17)
  for (let at = 0; at < events; at += 1) {
    const timestampMs = Math.floor(startMs + (at * 1_000) / eventsPerSecond)
    const key = Math.floor(keys * random() ** 2)
    const address = key * 7 + Math.floor(random() * 4)
    const input = 200 + Math.floor(random() * 4_000)
    yield {
      id: idOf(timestampMs, at),
      timestamp: new Date(timestampMs).toISOString(),
      key_id: `key-${key}`,
      model: MODELS[(key + Math.floor(random() * 2)) % MODELS.length] ?? 'gpt-4o',
      provider: 'openai',
      ip: `${NETWORKS[(key + (address % 2)) % NETWORKS.length]}.${(address >> 8) & 255}.${address & 255}`,
      input_tokens: input,
      output_tokens: 20 + Math.floor(random() * 900),
      cached_input_tokens: Math.floor(input / 4),
      cost_usd: Math.round(input * random()) / 1e6,
      status_code: random() < 0.02 ? 429 : 200,
      latency_ms: 100 + Math.floor(random() * 3_000),
      team_id: `team-${key % 40}`,
      environment: 'production',
    }
  }
}

/** As UUID version 7: in the order of time, like the ids that most gateways make today. */
function idOf(timestampMs: number, at: number): string {
  const time = timestampMs.toString(16).padStart(12, '0')
  const rest = (at * 2_654_435_761).toString(16).padStart(15, '0').slice(-15)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${rest.slice(0, 3)}-8${rest.slice(3, 6)}-${at.toString(16).padStart(12, '0')}`
}

/** Numbers from 0 to 1, the same at every run (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The events as jobs of `perJob` events each. */
export function asJobs(events: readonly SentEvent[], perJob: number): unknown[] {
  if (perJob === 1) return [...events]
  return Array.from({ length: Math.ceil(events.length / perJob) }, (_, job) => ({
    events: events.slice(job * perJob, (job + 1) * perJob),
  }))
}
