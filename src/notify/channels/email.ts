import type { SMTPTransportOptions } from 'nodemailer'
import { z } from 'zod'
import { messageOf, type Message } from '../../alert/message.ts'
import { noticeMessage } from '../../alert/notice.ts'
import { Secret } from '../../secret.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { defineChannel, DeliveryError, type Sent } from '../channel.ts'
import { judgeMailError } from './email-failure.ts'
import { emailHtml, emailText } from './email-body.ts'

const STEP_TIMEOUT_MS = 10 * SECOND_MS
const ADDRESS = /^(?:[^<>\p{Cc}]*<[^\s<>@,;]+@[^\s<>@,;]+>|[^\s<>@,;]+@[^\s<>@,;]+)$/u

const address = z
  .string()
  .regex(ADDRESS, 'expected an address such as oncall@example.com or Keyhound <keyhound@example.com>')

const schema = z.strictObject({
  type: z.literal('email'),
  smtp: z
    .string()
    .refine(isSmtpUrl, { error: 'expected smtp://[user:password@]host[:port] or smtps://…' })
    .transform((text) => new Secret(text))
    .meta({
      description:
        'The mail server: smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465.',
    }),
  from: address.meta({ description: 'The sender.' }),
  to: z.array(address).min(1).max(50).meta({ description: 'The recipients.' }),
  starttls: z.enum(['auto', 'always', 'never']).default('auto').meta({
    description:
      'For smtp://. auto: whenever the server offers it, and demanded where a password is sent to another machine.',
  }),
})

/**
 * Mail, text and HTML. The Message-ID is made of the notification's id: a retry of a message that did arrive has the
 * same one, and mail systems show it once.
 */
export const emailChannel = defineChannel({
  type: 'email',
  schema,
  open: ({ smtp, from, to, starttls }, tools) => {
    let opened: ReturnType<typeof openTransport> | undefined
    const domain = /@([^@>\s]+)>?$/.exec(from)?.[1] ?? 'keyhound.invalid'
    const mail = async (message: Message, signal: AbortSignal, letter: Letter): Promise<Sent> => {
      const transport = await (opened ??= openTransport(transportOptions(smtp, starttls)))
      const info = await transport
        .sendMail({
          from,
          to: [...to],
          subject: message.title,
          text: emailText(message),
          html: emailHtml(message),
          date: new Date(tools.nowMs()),
          messageId: `<${idPart(letter.id)}@${domain}>`,
          // One thread for each incident in the reader's mail program.
          references: [`<${idPart(letter.thread)}@${domain}>`],
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Keyhound-Type': letter.type },
          disableFileAccess: true,
          disableUrlAccess: true,
          signal,
        })
        .catch((error: unknown) => {
          const { message: told, retryable, blame } = judgeMailError(error, smtp)
          throw new DeliveryError(told, { retryable, blame })
        })
      return { receipt: receiptOf(info) }
    }
    return {
      send: (notification, signal) =>
        mail(messageOf(notification, tools.links?.(notification)), signal, {
          id: notification.id,
          thread: `incident-${notification.lead.incidentId}`,
          type: notification.type,
        }),
      tell: (notice, signal) =>
        mail(noticeMessage(notice), signal, {
          id: notice.id,
          thread: `topic-${notice.topic}`,
          type: notice.type,
        }),
      load: async () => {
        await (opened ??= openTransport(transportOptions(smtp, starttls)))
      },
      close: async () => (await opened)?.close(),
    }
  },
})

/** nodemailer is loaded by those who send mail: it takes a tenth of a second and ten megabytes. */
async function openTransport(options: SMTPTransportOptions) {
  const { createTransport } = await import('nodemailer')
  return createTransport(options)
}

/** What a mail is called in its headers. */
interface Letter {
  readonly id: string
  readonly thread: string
  readonly type: string
}

function isSmtpUrl(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    ['smtp:', 'smtps:'].includes(url.protocol) &&
    url.hostname !== '' &&
    // A stray % would make the decoding of user and password fail later.
    [url.username, url.password].every((part) => !/%(?![0-9a-f]{2})/i.test(part))
  )
}

function transportOptions(smtp: Secret, starttls: 'auto' | 'always' | 'never'): SMTPTransportOptions {
  const url = new URL(smtp.reveal())
  const secure = url.protocol === 'smtps:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isThisMachine = host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
  const auth =
    url.username === ''
      ? {}
      : { auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) } }
  return {
    host,
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    requireTLS:
      !secure && (starttls === 'always' || (starttls === 'auto' && url.username !== '' && !isThisMachine)),
    ignoreTLS: starttls === 'never',
    ...auth,
    connectionTimeout: STEP_TIMEOUT_MS,
    greetingTimeout: STEP_TIMEOUT_MS,
    socketTimeout: STEP_TIMEOUT_MS,
    dnsTimeout: STEP_TIMEOUT_MS,
    socketCloseTimeout: SECOND_MS,
  }
}

/** Ids are UUIDs; anything else must not break out of the header. */
function idPart(id: string): string {
  return id.replaceAll(/[^\w.-]/g, '_')
}

function receiptOf(info: {
  readonly accepted: readonly unknown[]
  readonly rejected: readonly unknown[]
  readonly response: string
}): string {
  const recipients = info.accepted.length + info.rejected.length
  const refused =
    info.rejected.length === 0 ? '' : `; ${info.rejected.length} of ${recipients} recipients refused`
  return `${info.response.slice(0, 200)}${refused}`
}
