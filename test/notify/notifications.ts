import type { Notice } from '../../src/alert/notice.ts'
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

/** A notice of a channel that broke that differs only in what is given. */
export function noticeOf(given: Partial<Notice> = {}): Notice {
  return {
    id: '0197f000-0000-7000-8000-00000000f001',
    type: 'keyhound.problem',
    topic: 'channel:oncall',
    at: new Date('2026-03-02T03:00:05Z'),
    severity: 'critical',
    title: 'channel oncall does not work',
    text: 'Slack answered 404: no_service',
    facts: [{ label: 'Since', value: '2026-03-02 03:00 UTC' }],
    lines: ['alert.opened of key-9'],
    advice: 'make a new webhook',
    ...given,
  }
}

/** Incidents of as many keys, `many-0` and on; every fifth is critical, the others are warnings. */
export function manyIncidents(count: number): Notification[] {
  return Array.from({ length: count }, (_, index) => {
    const keyId = `many-${index}`
    const number = String(index).padStart(12, '0')
    const lead = alertOf({
      id: `0197f000-0000-7000-8000-${number}`,
      incidentId: `0197f000-0000-7000-9000-${number}`,
      keyId,
      severity: index % 5 === 0 ? 'critical' : 'warning',
      summary: `${keyId} made 352 requests in 5 minutes; 4 to 18 are usual on Monday at 03:00`,
    })
    return notificationOf({
      id: `0197f000-0000-7000-a000-${number}`,
      lead,
      key: { keyId, teamId: 'payments', environment: 'prod' },
    })
  })
}

const revocationId = '0197f000-0000-7000-8000-00000000e001'
const at = new Date('2026-03-02T03:00:04Z')

/** What the response is when a message of the type goes out. */
export const RESPONSE_OF: Readonly<Record<NotificationType, ResponseState>> = {
  'alert.opened': { kind: 'would_revoke' },
  'alert.repeated': { kind: 'none' },
  'alert.acknowledged': { kind: 'none' },
  'alert.resolved': { kind: 'none' },
  'key.revocation_proposed': { kind: 'proposed', revocationId },
  'key.revoked': { kind: 'revoked', revocationId, at },
  'key.revocation_confirmed': { kind: 'confirmed', revocationId, at },
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
