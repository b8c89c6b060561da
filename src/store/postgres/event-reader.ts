import type { Selectable } from 'kysely'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../usage/duration.ts'
import type { EventReader, StoredEvent } from '../event-reader.ts'
import type { Database } from './database.ts'
import type { UsageEventTable } from './usage-tables.ts'

/** Rows held at a time; a slice of time that has more is halved. */
const ROWS_MAX = 20_000
const SLICE_MIN_MS = SECOND_MS

/**
 * Reads events back slice by slice of time, each in one short query: no cursor is held open, which would hold up new
 * partitions and, behind them, ingest. A slice grows and shrinks with the traffic.
 */
export function createEventReader(db: Database): EventReader {
  return {
    async *streamEvents(range) {
      const { fromMs, toMs } = await extent(db, range)
      let sliceMs = HOUR_MS
      for (let atMs = fromMs; atMs < toMs;) {
        const endMs = Math.min(atMs + sliceMs, toMs)
        const rows = await readSlice(db, {
          fromMs: atMs,
          toMs: endMs,
          keyId: range.keyId,
          limit: sliceMs > SLICE_MIN_MS ? ROWS_MAX : undefined,
        })
        if (rows.length === ROWS_MAX && sliceMs > SLICE_MIN_MS) {
          sliceMs = Math.max(SLICE_MIN_MS, Math.floor(sliceMs / 2))
          continue
        }
        yield* rows.map(toEvent)
        atMs = endMs
        if (rows.length < ROWS_MAX / 4) sliceMs = Math.min(sliceMs * 2, DAY_MS)
      }
    },
  }
}

/** The part of the range that has events: a range that is years too wide, or open, costs nothing. */
async function extent(db: Database, range: Span): Promise<Omit<Span, 'keyId'>> {
  const { first, last } = await db
    .selectFrom('usage_event')
    .select((select) => [select.fn.min('ts').as('first'), select.fn.max('ts').as('last')])
    .where('ts', '>=', instant(range.fromMs))
    .where('ts', '<', instant(range.toMs))
    .$if(range.keyId !== undefined, (query) => query.where('key_id', '=', range.keyId ?? ''))
    .executeTakeFirstOrThrow()
  if ((first as Date | null) === null) return { fromMs: 0, toMs: 0 }
  return { fromMs: first.getTime(), toMs: last.getTime() + 1 }
}

interface Span {
  readonly fromMs: number
  readonly toMs: number
  readonly keyId?: string | undefined
}

async function readSlice(
  db: Database,
  { fromMs, toMs, keyId, limit }: Span & { readonly limit: number | undefined },
): Promise<Selectable<UsageEventTable>[]> {
  const query = db
    .selectFrom('usage_event')
    .selectAll()
    .where('ts', '>=', instant(fromMs))
    .where('ts', '<', instant(toMs))
    .$if(keyId !== undefined, (some) => some.where('key_id', '=', keyId ?? ''))
    .orderBy('ts')
    .orderBy('event_id')
    .orderBy('key_id')
  return limit === undefined ? query.execute() : query.limit(limit).execute()
}

/** The range may be open: -Infinity and Infinity are kept within what a Date can say. */
function instant(ms: number): Date {
  return new Date(Math.min(Math.max(ms, 0), Date.UTC(9999, 0)))
}

function toEvent(row: Selectable<UsageEventTable>): StoredEvent {
  return {
    id: row.event_id,
    timestampMs: row.ts.getTime(),
    keyId: row.key_id,
    model: row.model,
    provider: row.provider ?? undefined,
    ip: row.ip ?? undefined,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cachedInputTokens: row.cached_input_tokens,
    costNanoUsd: row.cost_nano_usd ?? undefined,
    costEstimated: row.cost_estimated,
    statusCode: row.status_code,
    latencyMs: row.latency_ms ?? undefined,
    teamId: row.team_id ?? undefined,
    userId: row.user_id ?? undefined,
    environment: row.environment ?? undefined,
    metadata: row.metadata ?? undefined,
  }
}
