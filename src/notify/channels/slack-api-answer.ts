import { judgeStatus, type HttpAnswer } from '../../outbound/http-answer.ts'
import { MESSAGE_ERRORS, retryAfterInBody } from './slack-answer.ts'

/** What an answer of Slack's Web API means. `message_gone`: there is no message any more that could be changed. */
export type SlackApiVerdict =
  | { readonly kind: 'accepted'; readonly channel: string | undefined; readonly ts: string | undefined }
  | { readonly kind: 'message_refused' }
  | { readonly kind: 'message_gone' }
  | {
      readonly kind: 'refused'
      readonly retryable: boolean
      readonly advice?: string | undefined
      readonly retryAfterMs?: number | undefined
    }

const NEW_TOKEN =
  'the token does not work any more: install the app again and put its new bot token into the configuration'
const INVITE = 'invite the bot into the channel: /invite @name'
// https://api.slack.com/methods/chat.postMessage#errors
const CHANNEL_ERRORS: Readonly<Record<string, string>> = {
  invalid_auth: NEW_TOKEN,
  not_authed: NEW_TOKEN,
  account_inactive: NEW_TOKEN,
  token_expired: NEW_TOKEN,
  token_revoked: NEW_TOKEN,
  not_allowed_token_type: 'a bot token is needed, which starts with xoxb-',
  missing_scope: 'the bot needs the scope chat:write',
  no_permission: 'the bot needs the scope chat:write',
  channel_not_found: `the channel does not exist, or is private: ${INVITE}`,
  not_in_channel: INVITE,
  is_archived: 'the channel is archived: unarchive it or use another one',
  restricted_action: 'an administrator of the workspace forbids it',
  restricted_action_read_only_channel: 'the channel is read-only',
  org_login_required: 'the workspace is being moved to an organisation',
  team_access_not_granted: 'the app is not installed in the workspace of the channel',
  access_denied: 'the app may not use the channel',
  ekm_access_denied: 'an administrator of the workspace forbids it',
}
const GONE = ['message_not_found', 'cant_update_message', 'edit_window_closed', 'thread_not_found']

/** Judges an answer of chat.postMessage or chat.update: Slack says 200 and `ok: false` where others use a status. */
export function judgeSlackApiAnswer({ status, text, retryAfterMs }: HttpAnswer): SlackApiVerdict {
  const body = parsed(text)
  const error = typeof body['error'] === 'string' ? body['error'] : ''
  if (status === 429 || error === 'ratelimited' || error === 'rate_limited') {
    return { kind: 'refused', retryable: true, retryAfterMs: retryAfterMs ?? retryAfterInBody(text) }
  }
  if (status === 200 && body['ok'] === true) {
    return { kind: 'accepted', channel: textOf(body['channel']), ts: textOf(body['ts']) }
  }
  if (MESSAGE_ERRORS.includes(error) || error === 'invalid_arguments') return { kind: 'message_refused' }
  if (GONE.includes(error)) return { kind: 'message_gone' }
  const advice = CHANNEL_ERRORS[error]
  if (advice !== undefined) return { kind: 'refused', retryable: false, advice }
  if (status === 200) {
    return error === ''
      ? { kind: 'refused', retryable: true, advice: 'expected {"ok":true}' }
      : { kind: 'refused', retryable: true }
  }
  const verdict = judgeStatus(status)
  return { kind: 'refused', retryable: verdict.kind === 'accepted' || verdict.retryable, retryAfterMs }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
