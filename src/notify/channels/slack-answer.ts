import { judgeStatus, type HttpAnswer } from '../../outbound/http-answer.ts'
import { parseRetryAfter } from '../../outbound/retry-after.ts'

/** What Slack's answer means. `message_refused`: this form of the message will never do, a plainer one may. */
export type SlackVerdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'message_refused'; readonly advice?: string; readonly retryAfterMs?: undefined }
  | {
      readonly kind: 'refused'
      readonly retryable: boolean
      readonly advice?: string
      readonly retryAfterMs?: number | undefined
    }

// Plain text bodies of incoming webhooks: https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
const NEW_WEBHOOK =
  'the webhook does not work any more: make a new one in Slack and put it into the configuration'
const CHANNEL_ERRORS: Readonly<Record<string, string>> = {
  no_service: NEW_WEBHOOK,
  no_service_id: NEW_WEBHOOK,
  no_active_hooks: NEW_WEBHOOK,
  invalid_token: NEW_WEBHOOK,
  no_team: NEW_WEBHOOK,
  team_disabled: NEW_WEBHOOK,
  channel_not_found: 'the channel does not exist any more',
  channel_is_archived: 'the channel is archived: unarchive it or use another one',
  action_prohibited: 'an administrator of the workspace forbids it',
  posting_to_general_channel_denied: 'nobody may post to #general through a webhook',
  user_not_found: 'the person to write to does not exist any more',
}
export const MESSAGE_ERRORS: readonly string[] = [
  'invalid_payload',
  'invalid_blocks',
  'invalid_blocks_format',
  'no_text',
  'too_many_attachments',
  'msg_blocks_too_long',
  'msg_too_long',
]

/** Judges an answer to an incoming webhook. Success is 200 with the body `ok`; anything else with 200 is not Slack. */
export function judgeSlackAnswer({ status, text, retryAfterMs }: HttpAnswer): SlackVerdict {
  const body = text.trim()
  if (status === 200) {
    return body === 'ok'
      ? { kind: 'accepted' }
      : { kind: 'refused', retryable: true, advice: 'expected the answer ok' }
  }
  if (status === 429) {
    return { kind: 'refused', retryable: true, retryAfterMs: retryAfterMs ?? retryAfterInBody(body) }
  }
  const advice = CHANNEL_ERRORS[body]
  if (advice !== undefined) return { kind: 'refused', retryable: false, advice }
  if (status < 500 && (MESSAGE_ERRORS.includes(body) || status === 400)) {
    return { kind: 'message_refused' }
  }
  const verdict = judgeStatus(status)
  return { kind: 'refused', retryable: verdict.kind === 'accepted' || verdict.retryable, retryAfterMs }
}

/** `{"retry_after":1,"ok":false,"error":"rate_limited"}` */
export function retryAfterInBody(body: string): number | undefined {
  const match = /"retry_after"\s*:\s*(\d{1,9}(?:\.\d{1,6})?)/.exec(body)
  return match === null ? undefined : parseRetryAfter(match[1] ?? null, 0)
}
