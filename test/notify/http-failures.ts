import type { HttpSink } from '../harness/http-sink.ts'
import type { Failure, Rig } from './channel-contract.ts'

/** What goes wrong between us and any HTTP server, and what every channel that speaks HTTP makes of it. */
export const HTTP_FAILURES: readonly Failure<Rig & { readonly sink: HttpSink }>[] = [
  {
    name: 'tries again when no answer comes',
    provoke: ({ sink }) => sink.answerNext({ delayMs: 5_000 }),
    retryable: true,
    says: 'no answer within',
  },
  {
    name: 'tries again when the connection is cut',
    provoke: ({ sink }) => sink.answerNext({ reset: true }),
    retryable: true,
    says: 'closed before an answer',
  },
  {
    name: 'follows no redirect',
    provoke: ({ sink }) => sink.answerNext({ status: 308, headers: { location: sink.url } }),
    retryable: false,
    says: '308',
  },
]
