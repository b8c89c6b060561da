import { describeAnswer, judgeStatus, readAnswer, type HttpAnswer } from '../outbound/http-answer.ts'
import { OutboundError } from '../outbound/outbound-error.ts'
import type { Secret } from '../secret.ts'
import { RevokerError, type RevokerTools } from './revoker.ts'

export interface ApiRequest {
  /** The other side's name, for messages: `LiteLLM`. */
  readonly who: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Where the API is, with or without a slash at the end; kept secret, as it may hold a token. */
  readonly base: Secret
  /** Begins with a slash; parts that come from outside are encoded. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Cut out of whatever is shown. */
  readonly secrets: readonly Secret[]
  /** Statuses that the caller judges itself although they say no. */
  readonly accept?: readonly number[]
}

export interface ApiAnswer {
  readonly status: number
  /** `answered 200: {"blocked":true}`: one line, without secrets. */
  readonly told: string
  /** The body; undefined when it is no JSON object. */
  readonly json: Readonly<Record<string, unknown>> | undefined
}

/**
 * One call of a management API. Resolves with an answer that was accepted; every other one, and silence, is a
 * RevokerError: 408, 425, 429, 5xx and network errors may get better, other refusals and redirects for good do not.
 */
export async function callApi(
  request: ApiRequest,
  { fetch, nowMs }: RevokerTools,
  signal: AbortSignal,
): Promise<ApiAnswer> {
  const { who, method, base, path, headers, body, secrets, accept = [] } = request
  const response = await fetch(`${base.reveal().replace(/\/+$/, '')}${path}`, {
    method,
    headers: {
      accept: 'application/json',
      'user-agent': 'keyhound',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal,
  }).catch((error: unknown) => {
    throw notReached(who, error)
  })
  const answer = await readAnswer(response, nowMs())
  const told = describeAnswer(answer, [base, ...secrets])
  const verdict = judgeStatus(answer.status)
  if (verdict.kind === 'accepted' || accept.includes(answer.status)) {
    return { status: answer.status, told, json: objectOf(answer) }
  }
  throw new RevokerError(`${who} ${told}`, {
    retryable: verdict.retryable,
    retryAfterMs: answer.retryAfterMs,
  })
}

/** No answer came: as a RevokerError that says so. */
export function notReached(who: string, error: unknown): unknown {
  if (!(error instanceof OutboundError)) return error
  return new RevokerError(`${who} was not reached: ${error.message}`, {
    retryable: error.retryable,
    cause: error,
  })
}

function objectOf({ text }: HttpAnswer): ApiAnswer['json'] {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
