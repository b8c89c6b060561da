import { messageOf, type Message } from '../../alert/message.ts'
import { noticeMessage } from '../../alert/notice.ts'
import type { Notification } from '../../alert/notification.ts'
import { togetherMessage } from '../../alert/together.ts'
import { describeAnswer, type HttpAnswer } from '../../outbound/http-answer.ts'
import type { Secret } from '../../secret.ts'
import { DeliveryError, type Channel, type ChannelTools, type Sent } from '../channel.ts'
import { postJson } from '../post-json.ts'
import { judgeSlackApiAnswer, type SlackApiVerdict } from './slack-api-answer.ts'
import { slackBlocks, slackFallback, slackLine, type SlackPayload } from './slack-payload.ts'

export interface SlackBotSettings {
  readonly token: Secret
  /** `C0123456789` or `#name`. */
  readonly channel: string
  readonly apiUrl: string
}

/**
 * Posts as a bot: an incident is one message that is changed in place, its history stands in the thread. Where the
 * message is (channel id and `ts`) is the `ref` that the outbox keeps, so that any replica can change it.
 */
export function slackBot(
  settings: SlackBotSettings,
  tools: ChannelTools,
): Required<Pick<Channel, 'send' | 'sendTogether' | 'tell'>> {
  const bot = { ...settings, tools }
  return {
    async send(notification, signal, ref) {
      const message = messageOf(notification, tools.links?.(notification))
      const place = ref === undefined ? undefined : parseRef(ref)
      if (place === undefined) return post(bot, wholeOf(message), signal)
      return follow(bot, { message, place, isLoud: isLoud(notification), signal })
    },
    async sendTogether(notifications, signal) {
      const sent = await post(bot, togetherMessage(notifications, tools.links), signal)
      // Many incidents share the message: what follows about one of them must not take its place.
      return notifications.length === 1 ? sent : { ...sent, ref: `${sent.ref ?? ''}:shared` }
    },
    async tell(notice, signal) {
      const { receipt } = await post(bot, noticeMessage(notice), signal)
      return { receipt }
    },
  }
}

type Bot = SlackBotSettings & { readonly tools: ChannelTools }

interface Place {
  readonly channel: string
  readonly ts: string
  readonly isShared: boolean
}

function parseRef(ref: string): Place | undefined {
  const [, channel, ts, shared] = /^([A-Z0-9]+):(\d+\.\d+)(:shared)?$/.exec(ref) ?? []
  return channel === undefined || ts === undefined
    ? undefined
    : { channel, ts, isShared: shared !== undefined }
}

/** A change of the message alone makes no sound: what somebody must notice also goes to the channel. */
function isLoud({ type }: Notification): boolean {
  return ['alert.opened', 'alert.repeated', 'key.revocation_proposed', 'key.revocation_failed'].includes(type)
}

/** There is room for all of it: the message is the incident's only one. */
function wholeOf(message: Message): Message {
  return { ...message, brief: undefined }
}

/** Changes the message and adds a line to its thread. The change comes first: made twice, it does no harm. */
async function follow(
  bot: Bot,
  {
    message,
    place,
    isLoud: loud,
    signal,
  }: {
    readonly message: Message
    readonly place: Place
    readonly isLoud: boolean
    readonly signal: AbortSignal
  },
): Promise<Sent> {
  const { channel, ts, isShared } = place
  if (!isShared) {
    const changed = await callInAnyForm(bot, 'chat.update', wholeOf(message), { to: { channel, ts }, signal })
    if (changed.verdict.kind === 'message_gone') return post(bot, wholeOf(message), signal)
    if (changed.verdict.kind !== 'accepted') throw failure(changed)
  }
  const payload = slackLine(message)
  const line = await call(bot, 'chat.postMessage', {
    body: { channel, thread_ts: ts, ...(loud ? { reply_broadcast: true } : {}), ...payload },
    signal,
  })
  if (line.verdict.kind === 'message_gone') return post(bot, wholeOf(message), signal)
  if (line.verdict.kind !== 'accepted') throw failure(line)
  return {
    receipt: isShared ? line.receipt : `changed the message, then ${line.receipt}`,
    ref: `${channel}:${ts}${isShared ? ':shared' : ''}`,
  }
}

async function post(bot: Bot, message: Message, signal: AbortSignal): Promise<Sent> {
  const called = await callInAnyForm(bot, 'chat.postMessage', message, {
    to: { channel: bot.channel },
    signal,
  })
  if (called.verdict.kind !== 'accepted') throw failure(called)
  const { channel, ts } = called.verdict
  return {
    receipt: called.receipt,
    ...(channel === undefined || ts === undefined ? {} : { ref: `${channel}:${ts}` }),
  }
}

interface Called {
  readonly verdict: SlackApiVerdict
  readonly receipt: string
}

/** In blocks; as plain text when Slack refuses the form. */
async function callInAnyForm(
  bot: Bot,
  method: string,
  message: Message,
  {
    to,
    signal,
  }: { readonly to: { readonly channel: string; readonly ts?: string }; readonly signal: AbortSignal },
): Promise<Called> {
  const first = await call(bot, method, { body: { ...to, ...slackBlocks(message) }, signal })
  if (first.verdict.kind !== 'message_refused') return first
  const plain = await call(bot, method, { body: { ...to, ...slackFallback(message), blocks: [] }, signal })
  return { ...plain, receipt: `${first.receipt}, then to plain text ${plain.receipt}` }
}

async function call(
  { token, apiUrl, tools }: Bot,
  method: string,
  {
    body,
    signal,
  }: {
    readonly body: SlackPayload & {
      readonly channel: string
      readonly thread_ts?: string
      readonly reply_broadcast?: boolean
    }
    readonly signal: AbortSignal
  },
): Promise<Called> {
  const answer: HttpAnswer = await postJson(
    {
      name: 'Slack',
      url: `${apiUrl.replace(/\/$/, '')}/${method}`,
      headers: { authorization: `Bearer ${token.reveal()}` },
    },
    body,
    { tools, signal },
  )
  const verdict = judgeSlackApiAnswer(answer)
  return {
    verdict,
    receipt:
      verdict.kind === 'accepted'
        ? `answered ${answer.status}: ok, message ${verdict.ts ?? 'without ts'}`
        : describeAnswer(answer, [token]),
  }
}

function failure({ verdict, receipt }: Called): DeliveryError {
  const advice = verdict.kind === 'refused' && verdict.advice !== undefined ? ` (${verdict.advice})` : ''
  return new DeliveryError(`Slack ${receipt}${advice}`, {
    retryable: verdict.kind === 'refused' && verdict.retryable,
    retryAfterMs: verdict.kind === 'refused' ? verdict.retryAfterMs : undefined,
    blame: verdict.kind === 'refused' ? 'channel' : 'message',
  })
}
