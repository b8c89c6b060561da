import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { Arrivals } from './arrivals.ts'
import { TEST_CERTIFICATE, TEST_CERTIFICATE_KEY } from './certificate.ts'

/** A mail as it came over the wire. */
export interface RecordedMail {
  readonly from: string
  readonly to: readonly string[]
  /** Headers and body, as sent (MIME). */
  readonly raw: string
  /** True when the connection was encrypted by then. */
  readonly encrypted: boolean
}

/** What to do with a mail: take it, refuse it with an SMTP code (4xx: come back, 5xx: never), or cut the connection. */
export type SmtpAnswer =
  | { readonly kind: 'accept' }
  | { readonly kind: 'reject'; readonly code: number }
  | { readonly kind: 'drop' }

export interface SmtpSink {
  readonly host: string
  readonly port: number
  /** `smtp://127.0.0.1:port`, with the user and password when the sink asks for them. */
  readonly url: string
  readonly mails: readonly RecordedMail[]
  /** The answers to the next mails, in order; afterwards they are accepted again. */
  answerNext(...answers: readonly SmtpAnswer[]): void
  /** Resolves with all accepted mails once `count` have arrived; rejects after `timeoutMs` (20 s). */
  waitFor(count: number, timeoutMs?: number): Promise<readonly RecordedMail[]>
  close(): Promise<void>
}

/** A real SMTP server on the loopback interface. With `startTls` it offers STARTTLS with `TEST_CERTIFICATE`. */
export async function startSmtpSink(
  options: { auth?: { user: string; password: string }; startTls?: boolean } = {},
): Promise<SmtpSink> {
  const arrivals = new Arrivals<RecordedMail>('mails')
  const next: SmtpAnswer[] = []
  const { auth, startTls = false } = options

  const server = new SMTPServer({
    cert: TEST_CERTIFICATE,
    key: TEST_CERTIFICATE_KEY,
    authOptional: auth === undefined,
    allowInsecureAuth: true,
    disabledCommands: [...(startTls ? [] : ['STARTTLS']), ...(auth ? [] : ['AUTH'])],
    disableReverseLookup: true,
    onAuth: ({ username, password }, _session, callback) => {
      if (username === auth?.user && password === auth?.password) callback(null, { user: username })
      else callback(smtpError(535, 'Invalid username or password'))
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const answer = next.shift() ?? { kind: 'accept' }
        if (answer.kind === 'reject')
          return callback(smtpError(answer.code, 'The sink was told to refuse this'))
        if (answer.kind === 'drop') return cutConnections(server)
        const { mailFrom, rcptTo } = session.envelope
        arrivals.add({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map((recipient) => recipient.address),
          raw: Buffer.concat(chunks).toString('utf8'),
          encrypted: session.secure,
        })
        callback()
      })
    },
  })
  server.on('error', () => {}) // a client that hangs up is no event
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo
  const login = auth ? `${encodeURIComponent(auth.user)}:${encodeURIComponent(auth.password)}@` : ''

  return {
    host: '127.0.0.1',
    port,
    url: `smtp://${login}127.0.0.1:${port}`,
    mails: arrivals.all,
    answerNext: (...answers) => void next.push(...answers),
    waitFor: (count, timeoutMs) => arrivals.waitFor(count, timeoutMs),
    close: () => {
      cutConnections(server)
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function smtpError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}

/** smtp-server keeps its connections in a Set that its types leave out. */
function cutConnections(server: SMTPServer): void {
  const { connections } = server as unknown as { connections: Set<{ _socket: { destroy(): void } }> }
  for (const connection of connections) connection._socket.destroy()
}
