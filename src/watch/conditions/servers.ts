import { elapsedInWords } from '../elapsed-in-words.ts'
import type { Condition, Judgement, Problem } from '../judgement.ts'
import type { Reach } from '../signals.ts'

export const databaseUnreachable: Condition = {
  name: 'database_unreachable',
  judge: ({ database }, settings, nowMs) => [
    judgeReach(
      'database_unreachable',
      database,
      { afterMs: settings.unreachable_after, nowMs },
      (lasted, error) => ({
        severity: 'critical',
        title: 'the database does not answer',
        text:
          `PostgreSQL has not answered for ${lasted} (${error}). Nothing is stored, judged or announced meanwhile: ` +
          'a theft would not be seen. Events wait in the queue and are not lost.',
        advice:
          'keyhound goes on by itself when it is back. Look at GET /readyz and at the server that DATABASE_URL names (disk full, connections used up, failover).',
      }),
    ),
  ],
}

export const queueUnreachable: Condition = {
  name: 'queue_unreachable',
  judge: ({ queue }, settings, nowMs) => [
    judgeReach(
      'queue_unreachable',
      queue,
      { afterMs: settings.unreachable_after, nowMs },
      (lasted, error) => ({
        severity: 'critical',
        title: 'the queue does not answer',
        text:
          `The server of the queue has not answered for ${lasted} (${error}). No usage is taken in and no detector runs ` +
          'meanwhile. Gateways keep or lose their events as they were built to.',
        advice:
          'keyhound goes on by itself when it is back. Look at GET /readyz and at the server that REDIS_URL (else DATABASE_URL) names.',
      }),
    ),
  ],
}

function judgeReach(
  topic: string,
  reach: Reach,
  { afterMs, nowMs }: { readonly afterMs: number; readonly nowMs: number },
  problem: (lasted: string, error: string) => Problem,
): Judgement {
  if (reach.kind === 'up') return { topic, state: 'good' }
  const lastedMs = nowMs - reach.sinceMs
  if (lastedMs < afterMs) return { topic, state: 'unclear' }
  return { topic, state: 'bad', problem: problem(elapsedInWords(lastedMs), reach.error) }
}
