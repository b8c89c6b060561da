import { alertToJson, type AlertJson } from '../../alert/alert.ts'
import { containmentMs, type Containment, type ContainmentStage } from '../../alert/containment.ts'
import type { IncidentTraffic, Notification, ResponseState, Share } from '../../alert/notification.ts'
import type { Notice } from '../../alert/notice.ts'
import { plainText } from '../../alert/plain-text.ts'
import type { Evidence, JsonValue } from '../../detect/finding.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'

/** Standard Webhooks asks for less than 20 kB. */
export const MAX_BODY_BYTES = 20_000

const MAX_TRIMMED_TEXT = 200
const MAX_TRIMMED_SUMMARY = 1_000
const MAX_TRIMMED_ALERTS = 5
const MAX_ATTRIBUTE = 256
const MAX_NOTICE_FACTS = 10

/**
 * The body of section 7 of the interfaces: `data.alert` leads, `data.alerts` are the others, worst first. When it would
 * be too long, evidence and then alerts are left out, and `data.trimmed` is true.
 */
export function webhookBody(
  notification: Notification,
  links: Readonly<Record<string, string>> = {},
): string {
  const lead = alertToJson(notification.lead, links)
  const others = notification.others.map((alert) => alertToJson(alert))
  const shrunk = [
    (): string => bodyOf(notification, [lead, ...others], {}),
    (): string => bodyOf(notification, [lead, ...others.map(briefly)], { trimmed: true }),
    (): string =>
      bodyOf(notification, [lead, ...others.slice(0, MAX_TRIMMED_ALERTS).map(briefly)], { trimmed: true }),
    (): string => bodyOf(notification, [briefly(lead)], { trimmed: true }),
  ]
  for (const body of shrunk) {
    const text = body()
    if (Buffer.byteLength(text) < MAX_BODY_BYTES) return text
  }
  // Every text in it is cut by now: an event's fields are at most 256 characters.
  return bodyOf(notification, [briefly({ ...lead, links: {} })], { trimmed: true })
}

function bodyOf(
  notification: Notification,
  alerts: readonly AlertJson[],
  extra: { readonly trimmed?: true },
): string {
  const { type, at, key, response, traffic, reason, insteadOf, test } = notification
  const [alert, ...others] = alerts
  return inert({
    type,
    timestamp: at.toISOString(),
    data: {
      alert,
      alerts: others,
      key: { key_id: key.keyId, team_id: attribute(key.teamId), environment: attribute(key.environment) },
      response: responseJson(response),
      action: { mode: actionMode(response) },
      traffic: trafficJson(traffic),
      ...(reason === undefined ? {} : { reason: plainText(reason, MAX_TRIMMED_SUMMARY) }),
      ...(insteadOf === undefined ? {} : { instead_of: insteadOf }),
      ...(test === true ? { test } : {}),
      ...extra,
    },
  })
}

/** JSON without a raw control character: whoever prints a body on a terminal sees text. */
function inert(body: unknown): string {
  const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(body).replaceAll(/[\u007F-\u009F\u2028\u2029]/g, escape)
}

function responseJson(response: ResponseState): Record<string, JsonValue> {
  switch (response.kind) {
    case 'none':
    case 'would_revoke':
      return { state: response.kind }
    case 'refused':
      return { state: 'refused', reason: plainText(response.reason, MAX_TRIMMED_SUMMARY) }
    case 'proposed':
    case 'pending':
      return { state: response.kind, revocation_id: response.revocationId }
    case 'failed':
      return {
        state: 'failed',
        revocation_id: response.revocationId,
        error: plainText(response.error, MAX_TRIMMED_SUMMARY),
      }
    case 'revoked':
    case 'confirmed':
      return {
        state: response.kind,
        revocation_id: response.revocationId,
        at: response.at.toISOString(),
        ...(response.containment === undefined
          ? {}
          : { seconds_after_first_abuse: secondsAfterAbuse(response.containment) }),
      }
    case 'restored':
      return { state: response.kind, revocation_id: response.revocationId, at: response.at.toISOString() }
    default:
      return response satisfies never
  }
}

/** How long after the first abusive request each step was reached; null for one that was not, or is not known. */
function secondsAfterAbuse(containment: Containment): Record<ContainmentStage, number | null> {
  const after = (stage: ContainmentStage): number | null => {
    const ms = containmentMs(containment, stage)
    return ms === undefined ? null : ms / SECOND_MS
  }
  return { alert: after('alert'), revoked: after('revoked'), confirmed: after('confirmed') }
}

/** Whether what `response` tells is real: `dry_run` means that nothing was done, `none` that nothing was decided. */
function actionMode({ kind }: ResponseState): 'none' | 'dry_run' | 'live' {
  if (kind === 'none') return 'none'
  return kind === 'would_revoke' ? 'dry_run' : 'live'
}

/** The body of what keyhound says about itself: same envelope, `data.notice` in the place of the alert. */
export function noticeBody({ type, at, topic, severity, title, text, facts, lines, advice }: Notice): string {
  const bodyWith = (
    listed: readonly string[],
    shown: NonNullable<Notice['facts']>,
    extra: { readonly trimmed?: true },
  ): string =>
    inert({
      type,
      timestamp: at.toISOString(),
      data: {
        notice: {
          topic: plainText(topic, MAX_TRIMMED_TEXT),
          severity,
          title: plainText(title, MAX_TRIMMED_TEXT),
          text: plainText(text, MAX_TRIMMED_SUMMARY),
          facts: shown.slice(0, MAX_NOTICE_FACTS).map(({ label, value }) => ({
            label: plainText(label, MAX_TRIMMED_TEXT),
            value: plainText(value, MAX_TRIMMED_TEXT),
          })),
          lines: listed.map((line) => plainText(line, MAX_TRIMMED_TEXT)),
          advice: plainText(advice, MAX_TRIMMED_SUMMARY),
        },
        ...extra,
      },
    })
  const whole = bodyWith(lines ?? [], facts ?? [], {})
  if (Buffer.byteLength(whole) < MAX_BODY_BYTES) return whole
  return bodyWith((lines ?? []).slice(0, MAX_TRIMMED_ALERTS), [], { trimmed: true })
}

/** Unknown values are null: an unknown cost is not a cost of 0. */
function trafficJson(traffic: IncidentTraffic): JsonValue {
  const usd = (nanoUsd: number | undefined): number | null =>
    nanoUsd === undefined ? null : nanoUsd / NANO_USD_PER_USD
  const top = (share: Share | undefined): JsonValue =>
    share === undefined ? null : { value: attribute(share.value), share: share.share }
  return {
    since: traffic.since.toISOString(),
    requests: traffic.requests,
    cost_usd: usd(traffic.costNanoUsd),
    cost_usd_per_hour: usd(traffic.costNanoUsdPerHour),
    top_address: top(traffic.topAddress),
    top_country: top(traffic.topCountry),
    top_model: top(traffic.topModel),
  }
}

function attribute(text: string | undefined): string | null {
  return text === undefined ? null : plainText(text, MAX_ATTRIBUTE)
}

/** The alert with what evidence must have, each text cut. */
function briefly(alert: AlertJson): AlertJson {
  const { metric, observed, expected, window, history, setting } = alert.evidence
  const evidence: Evidence = {
    metric: plainText(metric, MAX_TRIMMED_TEXT),
    observed: brief(observed),
    expected: brief(expected),
    window,
    history,
    setting: plainText(setting, MAX_TRIMMED_TEXT),
  }
  return { ...alert, summary: plainText(alert.summary, MAX_TRIMMED_SUMMARY), evidence }
}

function brief(value: JsonValue): JsonValue {
  return typeof value === 'object' && value !== null
    ? plainText(JSON.stringify(value), MAX_TRIMMED_TEXT)
    : typeof value === 'string'
      ? plainText(value, MAX_TRIMMED_TEXT)
      : value
}
