import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../clock.ts'
import type { JobQueue } from '../../queue/queues.ts'
import { admitEvent, admitLine } from '../../usage/admit-event.ts'
import { type IngestJob, JOB_EVENTS_PUSHED, type RefusedItem } from '../../usage/ingest-job.ts'
import { addRoute } from '../add-route.ts'
import type { HttpMetrics } from '../metrics.ts'
import { Problem, unavailable } from '../problem.ts'
import { JsonLines } from '../read-body.ts'

export interface EventRoutesParts {
  /** The queue that ingest takes usage events from. */
  readonly events: JobQueue
  /** Jobs that may wait in it before posts are answered 429. */
  readonly backlogMax: number
  /** Key of the hash that takes the place of secrets. */
  readonly hashKey: Uint8Array
  readonly metrics: HttpMetrics
  readonly clock: Clock
}

export const EVENTS_BODY_MAX = 5 * 1024 * 1024
/** More events of the smallest kind than this do not fit into EVENTS_BODY_MAX; `{}` would fit a million times. */
const EVENTS_MAX = 120_000
const RETRY_AFTER_SECONDS = 5
const BACKLOG_KNOWN_MS = 1_000

/**
 * `POST /events`: one event, an array, `{"events": [...]}` or NDJSON. Answered 202 once the events are in the queue.
 * Refused ones are named by their place, and go to the queue as well, so that they end in the table of rejected events.
 */
export function eventRoutes(app: FastifyInstance, parts: EventRoutesParts): void {
  const ensureRoom = backlogGuard(parts)
  addRoute(
    app,
    '/events',
    {
      POST: async (request, reply) => {
        await ensureRoom()
        const items = itemsOf(request.body)
        const sorted = await sortItems(items, parts)
        await push(sorted, parts.events)
        return reply.code(202).send({
          accepted: sorted.accepted.length,
          rejected: sorted.refused.map(({ index, error }) => ({ index, error })),
        })
      },
    },
    { bodyLimit: EVENTS_BODY_MAX },
  )
}

/** One item of a post: a value, or a line of NDJSON. */
type Item = { readonly value: unknown } | { readonly line: string }

function itemsOf(body: unknown): Item[] {
  const items =
    body instanceof JsonLines
      ? body.lines.map((line) => ({ line }))
      : valuesOf(body).map((value) => ({ value }))
  if (items.length > EVENTS_MAX) throw new Problem(413, `${items.length} events are more than ${EVENTS_MAX}.`)
  if (items.length === 0) throw new Problem(400, 'There is no event in the body.')
  return items
}

function valuesOf(body: unknown): readonly unknown[] {
  if (Array.isArray(body)) return body
  if (typeof body !== 'object' || body === null) {
    throw new Problem(
      400,
      'Send one event, an array of events, {"events": [...]}, or NDJSON (application/x-ndjson).',
    )
  }
  if (!('events' in body)) return [body]
  if (!Array.isArray(body.events)) throw new Problem(400, '"events" must be an array of events.')
  return body.events
}

interface SortedItems {
  readonly accepted: readonly unknown[]
  readonly refused: readonly RefusedItem[]
}

async function sortItems(
  items: readonly Item[],
  { hashKey, metrics, clock }: EventRoutesParts,
): Promise<SortedItems> {
  const accepted: unknown[] = []
  const refused: RefusedItem[] = []
  for (const [index, item] of items.entries()) {
    // A large post must not hold up everybody else's.
    if (index > 0 && index % JOB_EVENTS_PUSHED === 0) await nextTurn()
    const how = { hashKey, nowMs: clock.nowMs() }
    const admission = 'line' in item ? admitLine(item.line, how, withId) : admitEvent(withId(item.value), how)
    if (!admission.ok) {
      refused.push({ index, error: admission.error, payload: admission.payload })
      continue
    }
    if (admission.secretsReplaced > 0) metrics.secretReplaced(admission.secretsReplaced)
    accepted.push(admission.event)
  }
  return { accepted, refused }
}

/** Who posts over HTTP need not make ids; without one a repeated post counts twice. */
function withId(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const { id } = value as { id?: unknown }
  return id === undefined || id === null ? { ...value, id: randomUUID() } : value
}

async function push({ accepted, refused }: SortedItems, queue: JobQueue): Promise<void> {
  const jobs: IngestJob[] = []
  for (let at = 0; at < Math.max(accepted.length, refused.length); at += JOB_EVENTS_PUSHED) {
    const end = at + JOB_EVENTS_PUSHED
    jobs.push({ events: accepted.slice(at, end), refused: refused.slice(at, end) })
  }
  try {
    await queue.add(jobs.map((data) => ({ name: 'events', data })))
  } catch (cause) {
    throw unavailable(
      'The queue cannot be reached, and nothing is sure to be kept. Post again.',
      RETRY_AFTER_SECONDS,
      cause,
    )
  }
}

/** Refuses posts while the queue is too long; its length is looked up once a second at the most. */
function backlogGuard({ events, backlogMax, clock }: EventRoutesParts): () => Promise<void> {
  let knownAtMs = Number.NEGATIVE_INFINITY
  let waiting = 0
  return async () => {
    const nowMs = clock.nowMs()
    if (nowMs - knownAtMs >= BACKLOG_KNOWN_MS) {
      try {
        waiting = (await events.counts()).waiting
        knownAtMs = nowMs
      } catch (cause) {
        throw unavailable('The queue cannot be reached. Post again.', RETRY_AFTER_SECONDS, cause)
      }
    }
    if (waiting >= backlogMax) {
      throw new Problem(
        429,
        `${waiting} jobs wait in the queue; at most ${backlogMax} may. Post again later.`,
        {
          headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
        },
      )
    }
  }
}
