import type { EventReader } from '../store/event-reader.ts'
import type { UsageEvent } from '../usage/event.ts'
import { parseUsageEvent } from '../usage/parse-event.ts'
import { hashEventSecrets } from '../usage/secret-key-id.ts'
import { readNdjson, type NdjsonLine } from './ndjson.ts'

/** A line that holds no event, and why. */
export interface RejectedLine {
  readonly line: number
  readonly error: string
}

// Not the key of any installation: it only keeps secrets out of what is printed, the same way in every run.
export const HASH_KEY = Buffer.from('keyhound backtest')
const STORED_BATCH = 1_000

/**
 * The events of an NDJSON file (`-` is standard input) in its order, in batches. Lines that hold no event go to
 * `onRejected`; secrets are hashed as ingest hashes them.
 */
export async function* fileEvents(
  file: string,
  {
    onRejected,
    onProgress,
  }: { readonly onRejected: (line: RejectedLine) => void; readonly onProgress: (bytes: number) => void },
): AsyncGenerator<UsageEvent[]> {
  for await (const lines of readNdjson(file)) {
    const events: UsageEvent[] = []
    for (const line of lines) {
      const read = readEvent(line)
      if (typeof read === 'string') onRejected({ line: line.line, error: read })
      else events.push(read)
    }
    yield events
    onProgress(lines.at(-1)?.endByte ?? 0)
  }
}

/** The stored events of a span of time, in batches. Their secrets were hashed when they came in. */
export async function* storedEvents(
  reader: EventReader,
  range: { readonly fromMs: number; readonly toMs: number; readonly keyId?: string | undefined },
): AsyncGenerator<UsageEvent[]> {
  let batch: UsageEvent[] = []
  for await (const event of reader.streamEvents(range)) {
    batch.push(event)
    if (batch.length < STORED_BATCH) continue
    yield batch
    batch = []
  }
  yield batch
}

function readEvent(line: NdjsonLine): UsageEvent | string {
  if (!line.ok) return line.error
  const parsed = parseUsageEvent(line.value, line.text)
  return parsed.ok ? hashEventSecrets(parsed.event, HASH_KEY).event : parsed.error
}
