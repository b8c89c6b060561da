import { alertToJson, type AlertJson } from '../../alert/alert.ts'
import type { IncidentTraffic, Notification, ResponseState, Share } from '../../alert/notification.ts'
import { plainText } from '../../alert/plain-text.ts'
import type { Evidence, JsonValue } from '../../detect/finding.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'

/** Standard Webhooks asks for less than 20 kB. */
export const MAX_BODY_BYTES = 20_000

const MAX_TRIMMED_TEXT = 200
const MAX_TRIMMED_SUMMARY = 1_000
const MAX_TRIMMED_ALERTS = 5
const MAX_ATTRIBUTE = 256

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
  const { type, at, key, response, traffic, test } = notification
  const [alert, ...others] = alerts
  return inert({
    type,
    timestamp: at.toISOString(),
    data: {
      alert,
      alerts: others,
      key: { key_id: key.keyId, team_id: attribute(key.teamId), environment: attribute(key.environment) },
      response: responseJson(response),
      traffic: trafficJson(traffic),
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

function responseJson(response: ResponseState): Record<string, string> {
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
    case 'restored':
      return { state: response.kind, revocation_id: response.revocationId, at: response.at.toISOString() }
    default:
      return response satisfies never
  }
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
