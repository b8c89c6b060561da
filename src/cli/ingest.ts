import { stat } from 'node:fs/promises'
import { Command } from 'commander'
import { type NdjsonLine, readNdjson } from '../backtest/ndjson.ts'
import { systemClock } from '../clock.ts'
import { readEnvironment } from '../config/env.ts'
import type { JobQueue } from '../queue/queues.ts'
import { keyHashSecret } from '../store/postgres/key-hash-secret.ts'
import { admitEvent } from '../usage/admit-event.ts'
import { type IngestJob, JOB_EVENTS_PUSHED, type RefusedItem } from '../usage/ingest-job.ts'
import { type Progress, startProgress } from './progress.ts'
import { withSession } from './with-session.ts'

/** Lines that are wrong and told one by one; the rest is in the table of rejected events. */
const ERRORS_SHOWN = 20
/** Jobs that go to the queue in one call. */
const JOBS_AT_ONCE = 10

/** `keyhound ingest FILE`: pushes an NDJSON file of usage events into the queue. */
export function ingestCommand(): Command {
  return new Command('ingest')
    .description('push an NDJSON file of usage events into the queue; prints a JSON summary')
    .argument('<file>', 'the file, or - for standard input')
    .option('--strict', 'exit with 1 when a line was refused, though the others are pushed')
    .action(async (file: string, { strict }: { strict?: boolean }) => {
      const bytes = await sizeOf(file)
      const { queueName } = readEnvironment(process.env)
      const summary = await withSession(async ({ backends, database }) =>
        pushFile({
          lines: readNdjson(file),
          queue: backends.queues.queue(queueName),
          hashKey: await keyHashSecret(database),
          progress: startProgress(bytes > 0 ? 'Pushing' : 'Pushing (bytes)', bytes),
          tell: (message) => console.error(message),
        }),
      )
      console.log(JSON.stringify(summary))
      if (strict === true && summary.rejected > 0) process.exitCode = 1
    })
}

export interface IngestSummary {
  /** Lines with something on them. */
  readonly lines: number
  /** Events that are in the queue. */
  readonly accepted: number
  /** Lines that were refused; ingest keeps them, with the reason, in rejected_event. */
  readonly rejected: number
}

/** Pushes the events of the lines in jobs of JOB_EVENTS_PUSHED, and what is refused with its reason. Resolves once all is in the queue. */
export async function pushFile({
  lines,
  queue,
  hashKey,
  progress,
  tell,
}: {
  readonly lines: AsyncIterable<readonly NdjsonLine[]>
  readonly queue: JobQueue
  readonly hashKey: Uint8Array
  readonly progress: Progress
  /** One line for the person who waits. */
  readonly tell: (message: string) => void
}): Promise<IngestSummary> {
  let accepted = 0
  let rejected = 0
  let events: unknown[] = []
  let refused: RefusedItem[] = []
  let jobs: IngestJob[] = []
  const endJob = (): void => {
    if (events.length + refused.length > 0) jobs.push({ events, refused })
    events = []
    refused = []
  }
  const push = async (): Promise<void> => {
    await queue.add(jobs.map((data) => ({ name: 'events', data })))
    jobs = []
  }
  for await (const chunk of lines) {
    for (const line of chunk) {
      const item = admit(line, hashKey)
      if ('refused' in item) {
        rejected += 1
        if (rejected <= ERRORS_SHOWN) tell(`line ${line.line}: ${item.refused.error}`)
        refused.push(item.refused)
      } else {
        accepted += 1
        events.push(item.event)
      }
      if (events.length + refused.length >= JOB_EVENTS_PUSHED) endJob()
    }
    if (jobs.length >= JOBS_AT_ONCE) await push()
    progress.update(chunk.at(-1)?.endByte ?? 0)
  }
  endJob()
  if (jobs.length > 0) await push()
  progress.end()
  if (rejected > ERRORS_SHOWN) tell(`${rejected - ERRORS_SHOWN} more lines were refused`)
  return { lines: accepted + rejected, accepted, rejected }
}

function admit(
  line: NdjsonLine,
  hashKey: Uint8Array,
): { readonly event: unknown } | { readonly refused: RefusedItem } {
  const index = line.line
  if (!line.ok) return { refused: { index, error: `event: ${line.error}`, payload: undefined } }
  const admission = admitEvent(line.value, { hashKey, nowMs: systemClock.nowMs() })
  if (admission.ok) return { event: admission.event }
  return { refused: { index, error: admission.error, payload: admission.payload } }
}

/** For the progress bar; 0 when nobody knows. Throws when the file cannot be read, before anything is started. */
async function sizeOf(file: string): Promise<number> {
  if (file === '-') return 0
  try {
    const found = await stat(file)
    if (found.isDirectory()) throw new Error('it is a directory')
    return found.size
  } catch (cause) {
    throw new Error(`${file} cannot be read: ${(cause as Error).message}`, { cause })
  }
}
