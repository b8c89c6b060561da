import { plainText } from '../../alert/plain-text.ts'
import type { Secret } from '../../secret.ts'
import type { Blame } from '../channel.ts'

// Neither the network nor an answer of the server: our own settings or message are at fault.
const OUR_FAULT = ['ECONFIG', 'ENOAUTH', 'EFILEACCESS', 'EURLACCESS', 'EMAXRECIPIENTS']

/**
 * What a failed mail means. Replies of class 5 are for good, but for 503 (RFC 5321: the session, not the message, was
 * wrong); class 4, network, TLS and time-outs may get better. The message has no secret and names the step.
 */
export function judgeMailError(
  error: unknown,
  smtp: Secret,
): { readonly message: string; readonly retryable: boolean; readonly blame: Blame } {
  const { code, responseCode, response } = detailsOf(error)
  const step = stepOf(code ?? '')
  if (responseCode !== undefined) {
    const permanent = responseCode >= 500 && responseCode !== 503
    return {
      message: `${step}: the mail server answered ${shown(response ?? String(responseCode), smtp)}`,
      retryable: !permanent,
      // Refused after DATA: the content, not the way. User, sender and recipients are the same for every mail.
      blame: code === 'EMESSAGE' ? 'message' : 'channel',
    }
  }
  // Node's and nodemailer's own words: `self-signed certificate`, `connect ECONNREFUSED 10.0.0.1:25`.
  const detail = error instanceof Error ? shown(error.message, smtp) : ''
  return {
    message: [step, detail].filter((part) => part !== '').join(': '),
    retryable: !OUR_FAULT.includes(code ?? ''),
    blame: 'channel',
  }
}

function stepOf(code: string): string {
  switch (code) {
    case 'EAUTH':
    case 'ENOAUTH':
      return 'the mail server did not accept user and password'
    case 'EENVELOPE':
      return 'the mail server refused the sender or every recipient'
    case 'EMESSAGE':
    case 'ESTREAM':
      return 'the mail server refused the message'
    case 'ETLS':
      return 'no secure connection to the mail server could be made'
    case 'EDNS':
      return "the mail server's name could not be looked up"
    case 'ETIMEDOUT':
      return 'the mail server did not answer in time'
    case 'EABORT':
    case 'ABORT_ERR':
      return 'sending the mail was cancelled'
    case 'ECONNECTION':
    case 'ESOCKET':
      return 'the connection to the mail server failed'
    default:
      return 'the mail could not be sent'
  }
}

function shown(response: string, smtp: Secret): string {
  const password = URL.parse(smtp.reveal())?.password ?? ''
  const clean = [password, decodeURIComponent(password)]
    .filter((part) => part !== '')
    .reduce((rest, part) => rest.replaceAll(part, '[secret]'), response)
  return plainText(clean, 200)
}

function detailsOf(error: unknown): { code?: string; responseCode?: number; response?: string } {
  if (!(error instanceof Error)) return {}
  const { code, responseCode, response } = error as {
    code?: unknown
    responseCode?: unknown
    response?: unknown
  }
  return {
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof responseCode === 'number' ? { responseCode } : {}),
    ...(typeof response === 'string' ? { response } : {}),
  }
}
