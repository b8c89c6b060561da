/** Most events that one job may carry. */
export const JOB_EVENTS_MAX = 1_000
/** Events in a job that keyhound itself pushes: large enough to be cheap, small enough that a repeat costs little. */
export const JOB_EVENTS_PUSHED = 500

/** What one queue job holds. */
export type JobContent =
  | {
      readonly ok: true
      /** As they came, not checked yet. */
      readonly events: readonly unknown[]
      readonly refused: readonly RefusedItem[]
    }
  | { readonly ok: false; readonly reason: string }

/** An event that keyhound's own HTTP endpoint or command line refused: the job carries it to the table of rejected events. */
export interface RefusedItem {
  /** Its place in the request or file. */
  readonly index: number
  readonly error: string
  /** Safe to keep: secrets replaced, size limited. */
  readonly payload: unknown
}

/** The job data that keyhound's own producers push: section 2 of the interfaces, and `refused`, which is keyhound's own. */
export interface IngestJob {
  readonly events: readonly unknown[]
  readonly refused?: readonly RefusedItem[]
}

/** Reads the data of a queue job: one event, or `{"events": [...]}` with 1 to 1,000 of them. */
export function readJob(data: unknown): JobContent {
  if (!isObject(data)) return { ok: false, reason: 'job: is neither an event nor {"events": [...]}' }
  if (!('events' in data)) return { ok: true, events: [data], refused: [] }
  const { events } = data
  const refused = readRefused(data['refused'])
  if (!Array.isArray(events)) return { ok: false, reason: 'job: "events" is not an array' }
  if (events.length === 0 && refused.length === 0) return { ok: false, reason: 'job: "events" is empty' }
  if (events.length > JOB_EVENTS_MAX) {
    return { ok: false, reason: `job: ${events.length} events are more than ${JOB_EVENTS_MAX}` }
  }
  return { ok: true, events, refused }
}

function readRefused(value: unknown): RefusedItem[] {
  if (!Array.isArray(value)) return []
  return value
    .slice(0, JOB_EVENTS_MAX)
    .filter((item): item is RefusedItem => {
      return isObject(item) && Number.isSafeInteger(item['index']) && typeof item['error'] === 'string'
    })
    .map(({ index, error, payload }) => ({ index, error, payload }))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
