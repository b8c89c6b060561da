import { plainText } from '../alert/plain-text.ts'
import type { Secret } from '../secret.ts'
import { parseRetryAfter } from './retry-after.ts'

/** What the other side answered, read once. */
export interface HttpAnswer {
  readonly status: number
  readonly text: string
  readonly retryAfterMs: number | undefined
}

/** What an answer means for the message. `retryable` false: no later try of the same request can succeed. */
export type Verdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly retryable: boolean }

export async function readAnswer(response: Response, nowMs: number): Promise<HttpAnswer> {
  return {
    status: response.status,
    text: await response.text(),
    retryAfterMs: parseRetryAfter(response.headers.get('retry-after'), nowMs),
  }
}

/**
 * Judges a status as Standard Webhooks and plain HTTP have it: 2xx accepted; 408, 425, 429 and 5xx may get better, and
 * so may a redirect that is not for good (maintenance pages); 301, 308, 410 and every other 4xx do not.
 */
export function judgeStatus(status: number): Verdict {
  if (status >= 200 && status <= 299) return { kind: 'accepted' }
  if ([408, 425, 429].includes(status) || status >= 500) return { kind: 'refused', retryable: true }
  return { kind: 'refused', retryable: [302, 303, 307].includes(status) }
}

const SHOWN_ANSWER = 200

/** `answered 404: no_service`: the answer as one short line for logs and operators, with our secrets cut out of it. */
export function describeAnswer({ status, text }: HttpAnswer, secrets: readonly Secret[]): string {
  const shown = plainText(withoutSecrets(text, secrets), SHOWN_ANSWER)
  return shown === '' ? `answered ${status}` : `answered ${status}: ${shown}`
}

/** Servers like to quote the request in their error pages; a token in our address must not come back that way. */
function withoutSecrets(text: string, secrets: readonly Secret[]): string {
  const parts = secrets.flatMap((secret) => tellingParts(secret.reveal())).sort((a, b) => b.length - a.length)
  return parts.reduce((rest, part) => rest.replaceAll(part, '[secret]'), text)
}

/** The secret itself and, of an address, the pieces long enough to be one. */
function tellingParts(secret: string): string[] {
  const url = URL.parse(secret)
  if (url === null) return [secret]
  const pieces = [...url.pathname.split('/'), ...url.searchParams.values()].filter(
    (piece) => piece.length >= 8,
  )
  return [secret, url.href, ...pieces, ...pieces.map(decoded)]
}

function decoded(piece: string): string {
  try {
    return decodeURIComponent(piece)
  } catch {
    return piece
  }
}
