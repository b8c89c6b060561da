import { describeAnswer, judgeStatus, readAnswer, type HttpAnswer } from '../outbound/http-answer.ts'
import type { Secret } from '../secret.ts'
import { DeliveryError, type Blame, type ChannelTools, type Sent } from './channel.ts'
import { toDeliveryError } from './to-delivery-error.ts'

/** Who is written to, and how. */
export interface Recipient {
  /** As an operator reads it: `Discord`. */
  readonly name: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Posts a body as JSON, without following redirects. Throws DeliveryError when no answer comes. */
export async function postJson(
  { name, url, headers }: Recipient,
  body: unknown,
  { tools, signal }: { readonly tools: ChannelTools; readonly signal: AbortSignal },
): Promise<HttpAnswer> {
  try {
    const response = await tools.fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'user-agent': 'keyhound',
        ...headers,
      },
      body: JSON.stringify(body),
      signal,
    })
    return await readAnswer(response, tools.nowMs())
  } catch (error) {
    throw toDeliveryError(name, error)
  }
}

/** What was refused because of the message itself; another message may be taken. */
const MESSAGE_STATUSES = [400, 406, 413, 414, 415, 422, 431]

export function blameOf(status: number): Blame {
  return MESSAGE_STATUSES.includes(status) ? 'message' : 'channel'
}

/** Any 2xx is taken, everything else thrown as DeliveryError, judged as plain HTTP has it. */
export function sentOrThrow(
  name: string,
  answer: HttpAnswer,
  {
    secrets,
    advice,
    note = '',
  }: {
    readonly secrets: readonly Secret[]
    /** What the operator can do, by status. */
    readonly advice?: Readonly<Record<number, string>>
    /** Added to the receipt. */
    readonly note?: string
  },
): Sent {
  const told = describeAnswer(answer, secrets)
  const verdict = judgeStatus(answer.status)
  if (verdict.kind === 'accepted') return { receipt: `${told}${note}` }
  const help = advice?.[answer.status]
  throw new DeliveryError(`${name} ${told}${help === undefined ? '' : ` (${help})`}`, {
    retryable: verdict.retryable,
    retryAfterMs: answer.retryAfterMs,
    blame: blameOf(answer.status),
  })
}
