import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { messageOf } from '../../src/alert/message.ts'
import { emailHtml } from '../../src/notify/channels/email-body.ts'
import { judgeMailError } from '../../src/notify/channels/email-failure.ts'
import { emailChannel } from '../../src/notify/channels/email.ts'
import { Secret } from '../../src/secret.ts'
import { startSmtpSink, type SmtpSink } from '../harness/smtp-sink.ts'
import { channelContract, everythingShownOf, failureOf, openChannel, type Rig } from './channel-contract.ts'
import { notificationOf, poisonedWith } from './notifications.ts'

const USER = 'mailer'
const PASSWORD = 'pa$$ word/%'
const ADDRESSES = {
  from: 'Keyhound <keyhound@example.com>',
  to: ['oncall@example.com', 'security@example.com'],
}

interface EmailRig extends Rig {
  readonly sink: SmtpSink
}

async function start(): Promise<EmailRig> {
  const sink = await startSmtpSink({ auth: { user: USER, password: PASSWORD } })
  return {
    sink,
    channel: openChannel(emailChannel, { smtp: sink.url, ...ADDRESSES }),
    received: () => sink.mails.map(({ raw }) => ({ text: decoded(raw), id: headerOf(raw, 'Message-ID') })),
    close: () => sink.close(),
  }
}

channelContract('email', {
  start,
  secrets: ({ sink }) => [PASSWORD, encodeURIComponent(PASSWORD), sink.url],
  checkHarmless: ({ sink }) => {
    const [mail] = sink.mails
    expect(mail?.to).toEqual(ADDRESSES.to)
    const headers = (mail?.raw ?? '').split('\r\n\r\n')[0] ?? ''
    expect(headers).not.toMatch(/^bcc:/im)
    expect(headers.split('\r\n').filter((line) => /^(?:to|from|subject):/i.test(line))).toHaveLength(3)
    const html = decodedPart(mail?.raw ?? '', 'text/html')
    expect(html).not.toMatch(/<(?:script|img)/i)
    expect(html).toMatch(/<\/html>\s*$/)
  },
  failures: [
    {
      name: 'tries again when the server says to come back',
      provoke: ({ sink }) => sink.answerNext({ kind: 'reject', code: 451 }),
      retryable: true,
      says: '451',
    },
    {
      name: 'gives up when the server refuses the message',
      provoke: ({ sink }) => sink.answerNext({ kind: 'reject', code: 554 }),
      retryable: false,
      blame: 'message',
      says: 'refused the message',
    },
    {
      name: 'tries again when the connection is cut',
      provoke: ({ sink }) => sink.answerNext({ kind: 'drop' }),
      retryable: true,
      says: 'the connection to the mail server failed',
    },
    {
      name: 'tries again when nobody listens',
      provoke: ({ sink }) => sink.close(),
      retryable: true,
      says: 'the connection to the mail server failed',
    },
  ],
})

describe('the email channel', () => {
  test('sends text and HTML under an id made of the delivery, in one thread for each incident', async () => {
    const rig = await start()
    await rig.channel.send(notificationOf({ test: true }), AbortSignal.timeout(10_000))
    const [mail] = rig.sink.mails
    const raw = mail?.raw ?? ''
    expect(mail?.from).toBe('keyhound@example.com')
    expect(headerOf(raw, 'Message-ID')).toBe('<0197f000-0000-7000-8000-00000000d001@example.com>')
    expect(headerOf(raw, 'References')).toBe('<incident-0197f000-0000-7000-8000-0000000000aa@example.com>')
    expect(headerOf(raw, 'Auto-Submitted')).toBe('auto-generated')
    expect(headerOf(raw, 'Subject')).toContain('[TEST] [CRITICAL] key key-1')
    expect(decodedPart(raw, 'text/plain')).toContain('Cost: $184.20 so far, $262.00 per hour')
    expect(decodedPart(raw, 'text/html')).toContain('<code')
    await rig.close()
  })

  test('gives up when user and password are wrong', async () => {
    const sink = await startSmtpSink({ auth: { user: USER, password: 'another' } })
    const smtp = `smtp://${USER}:${encodeURIComponent(PASSWORD)}@${sink.host}:${sink.port}`
    const channel = openChannel(emailChannel, { smtp, ...ADDRESSES })
    const error = await failureOf(channel.send(notificationOf(), AbortSignal.timeout(10_000)))
    expect([error.retryable, error.message.includes('did not accept user and password')]).toEqual([
      false,
      true,
    ])
    expect(everythingShownOf(error)).not.toContain(PASSWORD)
    expect(everythingShownOf(error)).not.toContain(encodeURIComponent(PASSWORD))
    await channel.close?.()
    await sink.close()
  })

  test('does not send in the clear when STARTTLS is offered but its certificate is nobody’s', async () => {
    const sink = await startSmtpSink({ startTls: true })
    const channel = openChannel(emailChannel, { smtp: sink.url, ...ADDRESSES })
    const error = await failureOf(channel.send(notificationOf(), AbortSignal.timeout(10_000)))
    expect([error.retryable, sink.mails.length]).toEqual([true, 0])
    expect(error.message).toContain('self-signed certificate')
    await channel.close?.()
    await sink.close()
  })

  test('demands STARTTLS when told to, and leaves it when told to', async () => {
    const plain = await startSmtpSink()
    const strict = openChannel(emailChannel, { smtp: plain.url, ...ADDRESSES, starttls: 'always' })
    await failureOf(strict.send(notificationOf(), AbortSignal.timeout(10_000)))
    expect(plain.mails).toHaveLength(0)
    const offering = await startSmtpSink({ startTls: true })
    const lax = openChannel(emailChannel, { smtp: offering.url, ...ADDRESSES, starttls: 'never' })
    await lax.send(notificationOf(), AbortSignal.timeout(10_000))
    expect(offering.mails.map(({ encrypted }) => encrypted)).toEqual([false])
    await Promise.all([plain.close(), offering.close()])
  })

  test('ends when it is told to while the server is silent', async () => {
    const sockets: Socket[] = []
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const smtp = `smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const error = await failureOf(
      openChannel(emailChannel, { smtp, ...ADDRESSES }).send(notificationOf(), AbortSignal.timeout(100)),
    )
    expect([error.retryable, error.message.includes('cancelled')]).toEqual([true, true])
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  test('complaint 9: shows a dry run in a colour of its own', () => {
    const htmlOf = (kind: 'none' | 'would_revoke'): string =>
      emailHtml(messageOf(notificationOf({ response: { kind } })))
    expect(htmlOf('none')).toContain('4px solid #b91c1c')
    expect(htmlOf('would_revoke')).toContain('4px dashed #7e22ce')
  })

  test('shows HTML of an attacker as text', async () => {
    const rig = await start()
    await rig.channel.send(poisonedWith('<img src=x onerror=alert(1)>"'), AbortSignal.timeout(10_000))
    expect(decodedPart(rig.sink.mails[0]?.raw ?? '', 'text/html')).toContain(
      '&lt;img src=x onerror=alert(1)&gt;&quot;',
    )
    await rig.close()
  })

  test.each([
    [{ smtp: 'http://mail.example.com' }, 'smtp'],
    [{ smtp: 'smtp://' }, 'smtp'],
    [{ smtp: 'smtp://me:100%@mail.example.com' }, 'smtp'],
    [{ from: 'nobody' }, 'from'],
    [{ from: 'a@b.example\r\nBcc: c@d.example' }, 'from'],
    [{ to: [] }, 'to'],
    [{ to: ['a@b.example, c@d.example'] }, 'to.0'],
    [{ colour: 'red' }, ''],
  ])('refuses %j', (wrong, path) => {
    const config = { type: 'email', smtp: 'smtp://mail.example.com', ...ADDRESSES, ...wrong }
    const { error } = emailChannel.schema.safeParse(config)
    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
    expect(error?.message).not.toContain('me:100')
  })
})

describe('what a mail server answers', () => {
  const secret = new Secret('smtp://mailer:hunter2@mail.example.com')
  test.each([
    [{ code: 'EAUTH', responseCode: 535, response: '535 bad hunter2' }, false],
    [{ code: 'EAUTH', responseCode: 454, response: '454 later' }, true],
    [{ code: 'EENVELOPE', responseCode: 550, response: '550 no such user' }, false],
    [{ code: 'EENVELOPE', responseCode: 450, response: '450 greylisted' }, true],
    [{ code: 'EMESSAGE', responseCode: 552, response: '552 too big' }, false],
    [{ code: 'EMESSAGE', responseCode: 503, response: '503 bad sequence' }, true],
    [{ code: 'EPROTOCOL', responseCode: 421, response: '421 closing' }, true],
    [{ code: 'ENOAUTH' }, false],
    [{ code: 'ECONFIG' }, false],
    [{ code: 'ETLS' }, true],
    [{ code: 'EDNS' }, true],
    [{ code: 'ETIMEDOUT' }, true],
    [{ code: 'ESOCKET' }, true],
    [{ code: 'ECONNECTION' }, true],
    [{}, true],
  ])('%j is worth another try: %s', (details, retryable) => {
    const judged = judgeMailError(Object.assign(new Error('hunter2'), details), secret)
    expect(judged.retryable).toBe(retryable)
    expect(judged.message).not.toContain('hunter2')
  })
})

function headerOf(raw: string, name: string): string | undefined {
  const headers = (raw.split('\r\n\r\n')[0] ?? '').replaceAll(/\r\n[ \t]+/g, ' ')
  return new RegExp(`^${name}: (.*)$`, 'im').exec(headers)?.[1]
}

/** Subject, text and HTML as a mail program shows them. */
function decoded(raw: string): string {
  return [headerOf(raw, 'Subject') ?? '', decodedPart(raw, 'text/plain'), decodedPart(raw, 'text/html')].join(
    '\n',
  )
}

/** One part of a multipart mail, whatever its transfer encoding. */
function decodedPart(raw: string, type: string): string {
  const boundary = /boundary="([^"]+)"/.exec(raw)?.[1] ?? 'none'
  const part = raw.split(`--${boundary}`).find((text) => text.includes(`Content-Type: ${type}`)) ?? ''
  const [headers = '', ...body] = part.split('\r\n\r\n')
  const text = body.join('\r\n\r\n')
  if (/base64/i.test(headers)) return Buffer.from(text, 'base64').toString('utf8')
  if (!/quoted-printable/i.test(headers)) return text
  const bytes = text
    .replaceAll(/=\r\n/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
