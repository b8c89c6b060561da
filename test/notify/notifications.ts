import type { Notification, NotificationType, ResponseState } from '../../src/alert/notification.ts'
import { alertOf } from '../alert/alerts.ts'

/** A notification of an ordinary volume spike that differs only in what is given. */
export function notificationOf(given: Partial<Notification> = {}): Notification {
  return {
    id: '0197f000-0000-7000-8000-00000000d001',
    type: 'alert.opened',
    at: new Date('2026-03-02T03:00:05Z'),
    lead: alertOf({ severity: 'critical' }),
    others: [],
    key: { keyId: 'key-1', teamId: 'payments', environment: 'prod' },
    traffic: {
      since: new Date('2026-03-02T02:50:00Z'),
      requests: 1_234,
      costNanoUsd: 184_200_000_000,
      costNanoUsdPerHour: 262_000_000_000,
      topAddress: { value: '203.0.113.7', share: 0.981 },
      topCountry: { value: 'ID', share: 0.97 },
      topModel: { value: 'gpt-5', share: 0.5 },
    },
    response: { kind: 'none' },
    ...given,
  }
}

const revocationId = '0197f000-0000-7000-8000-00000000e001'
const at = new Date('2026-03-02T03:00:04Z')

/** What the response is when a message of the type goes out. */
export const RESPONSE_OF: Readonly<Record<NotificationType, ResponseState>> = {
  'alert.opened': { kind: 'would_revoke' },
  'alert.repeated': { kind: 'none' },
  'alert.resolved': { kind: 'none' },
  'key.revocation_proposed': { kind: 'proposed', revocationId },
  'key.revoked': { kind: 'revoked', revocationId, at },
  'key.revocation_failed': { kind: 'failed', revocationId, error: 'the gateway answered 500' },
  'key.restored': { kind: 'restored', revocationId, at },
}

/** Texts that would do harm where they are not treated as text. */
export const INJECTIONS = [
  '<!channel> <@U123|boss>',
  '<http://evil.example|ok>',
  'x\r\nBcc: thief@evil.example\r\n\r\nbody',
  '`code` ```fence``` *bold* _it_ ~no~',
  '\u202Egnp.exe \u2066hidden\u2069 \u200Bzero\uFEFF',
  '\u001B[2J\u001B]0;title\u0007\u009B31m red',
  'm'.repeat(300),
  '🏳️‍🌈'.repeat(80),
  '<script>alert(1)</script>"\'><img src=x onerror=alert(1)>',
  '\uD800 broken \uDC00',
  '&amp; &lt; & <',
]

/** The notification with one text in every place that an attacker may choose. */
export function poisonedWith(text: string): Notification {
  const lead = alertOf({
    severity: 'critical',
    keyId: text,
    summary: `${text} was used with ${text}`,
    evidence: {
      metric: 'model',
      observed: text,
      expected: [text, { [text]: text }],
      window: { start: '2026-03-02T02:55:00.000Z', end: '2026-03-02T03:00:00.000Z' },
      history: { days: 28, events: 12_000 },
      setting: `detectors.unfamiliar_model: ${text}`,
      detail: text,
    },
  })
  const share = { value: text, share: 0.5 }
  return notificationOf({
    lead,
    others: Array.from({ length: 7 }, () => ({ ...lead, severity: 'warning' as const })),
    key: { keyId: text, teamId: text, environment: text },
    traffic: { ...notificationOf().traffic, topAddress: share, topCountry: share, topModel: share },
    response: { kind: 'refused', reason: text },
  })
}
