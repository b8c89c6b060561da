import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** An answer other than 2xx, as RFC 9457 writes it. The detail is shown to the caller: no secrets, no stack. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    detail: string,
    options: { headers?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause })
    this.status = status
    this.headers = options.headers ?? {}
  }
}

/** Try again later; `seconds` becomes Retry-After. */
export function unavailable(detail: string, seconds: number, cause?: unknown): Problem {
  return new Problem(503, detail, { headers: { 'retry-after': String(seconds) }, cause })
}

/** What every answer carries, whatever it is; a request whose path cannot be read passes no hook. */
export function answerHeaders(request: FastifyRequest): Record<string, string> {
  return {
    'x-request-id': request.id,
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  }
}

/** Sends the problem as `application/problem+json`. `instance` names the request as the log does. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .headers({ ...answerHeaders(request), ...problem.headers })
    .header('content-type', 'application/problem+json')
    .send(
      // Bytes, because fastify adds a charset to texts, and the media type has none.
      Buffer.from(
        JSON.stringify({
          type: 'about:blank',
          title: STATUS_CODES[problem.status] ?? 'Error',
          status: problem.status,
          detail: problem.message,
          instance: `urn:uuid:${request.id}`,
        }),
      ),
    )
}
