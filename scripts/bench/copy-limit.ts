import pg from 'pg'
import type { EnrichedEvent } from '../../src/usage/event.ts'

const ROWS_PER_COPY = 1_000
const COLUMNS = `key_id, event_id, ts, model, provider, ip, country, latitude, longitude, input_tokens, output_tokens,
  cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, user_id, environment, metadata`

/**
 * The limit: the rows of these events, checked and enriched already, into the table of raw events by COPY. Nothing is
 * read from a queue, no repeat is found, no rollup is made. Returns the seconds it took.
 */
export async function copyEvents(databaseUrl: string, events: readonly EnrichedEvent[]): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const startedAt = performance.now()
    for (let at = 0; at < events.length; at += ROWS_PER_COPY) {
      const text = events
        .slice(at, at + ROWS_PER_COPY)
        .map(rowOf)
        .join('')
      await new Promise<void>((resolve, reject) => {
        client.query(new CopyIn(`copy usage_event (${COLUMNS}) from stdin`, text, resolve, reject) as never)
      })
    }
    return (performance.now() - startedAt) / 1_000
  } finally {
    await client.end()
  }
}

function rowOf(event: EnrichedEvent): string {
  const { place } = event
  const values = [
    event.keyId,
    event.id,
    new Date(event.timestampMs).toISOString(),
    event.model,
    event.provider,
    event.ip,
    place?.country,
    place?.latitude,
    place?.longitude,
    event.inputTokens,
    event.outputTokens,
    event.cachedInputTokens,
    event.costNanoUsd,
    event.costEstimated,
    event.statusCode,
    event.latencyMs,
    event.teamId,
    event.userId,
    event.environment,
    undefined,
  ]
  return `${values.map((value) => value ?? String.raw`\N`).join('\t')}\n`
}

interface CopyConnection {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/** What pg calls while it runs a COPY; it brings no class for it. */
class CopyIn {
  readonly #text: string
  readonly #rows: string
  readonly #done: () => void
  readonly #failed: (error: Error) => void
  #error: Error | undefined

  constructor(text: string, rows: string, done: () => void, failed: (error: Error) => void) {
    this.#text = text
    this.#rows = rows
    this.#done = done
    this.#failed = failed
  }

  submit(connection: CopyConnection): void {
    connection.query(this.#text)
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(Buffer.from(this.#rows))
    connection.endCopyFrom()
  }

  handleError(error: Error): void {
    this.#error = error
    this.#failed(error)
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    if (this.#error === undefined) this.#done()
  }
}
