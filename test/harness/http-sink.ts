import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Arrivals } from './arrivals.ts'

/** A request as it came over the wire. */
export interface RecordedRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** The body, byte for byte: what a signature is computed over. */
  readonly body: string
}

/** What to do with a request. Default: 200 and an empty body at once. */
export interface SinkAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Wait before answering; to provoke time-outs. */
  readonly delayMs?: number
  /** Cut the connection after the request was read, without an answer. */
  readonly reset?: boolean
}

/** A real HTTP server on the loopback interface that records what it gets and answers as told. */
export interface HttpSink {
  /** `http://127.0.0.1:port`, without a slash at the end. */
  readonly url: string
  readonly requests: readonly RecordedRequest[]
  /** The answers to the next requests, in order; afterwards the usual answer again. */
  answerNext(...answers: readonly SinkAnswer[]): void
  /** The answer to every request that `answerNext` has nothing for. */
  answerAlways(answer: SinkAnswer | ((request: RecordedRequest) => SinkAnswer)): void
  /** Resolves with all requests once `count` have arrived; rejects after `timeoutMs` (20 s). */
  waitFor(count: number, timeoutMs?: number): Promise<readonly RecordedRequest[]>
  close(): Promise<void>
}

export async function startHttpSink(): Promise<HttpSink> {
  const arrivals = new Arrivals<RecordedRequest>('requests')
  const next: SinkAnswer[] = []
  let always: SinkAnswer | ((request: RecordedRequest) => SinkAnswer) = {}

  const handle = async (message: IncomingMessage, response: ServerResponse) => {
    const request = await read(message)
    const answer = next.shift() ?? (typeof always === 'function' ? always(request) : always)
    arrivals.add(request)
    if (answer.delayMs) await delay(answer.delayMs, undefined, { ref: false })
    if (answer.reset) return void message.socket.resetAndDestroy()
    response.writeHead(answer.status ?? 200, answer.headers)
    response.end(answer.body ?? '')
  }
  const server = createServer((message, response) => {
    handle(message, response).catch(() => message.socket.destroy()) // the client went away
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: arrivals.all,
    answerNext: (...answers) => void next.push(...answers),
    answerAlways: (answer) => void (always = answer),
    waitFor: (count, timeoutMs) => arrivals.waitFor(count, timeoutMs),
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function read(message: IncomingMessage): Promise<RecordedRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  const { method = '', url = '', headers } = message
  return { method, path: url, headers, body: Buffer.concat(chunks).toString('utf8') }
}
