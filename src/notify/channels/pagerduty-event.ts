import { messageOf, type Message } from '../../alert/message.ts'
import { noticeMessage, type Notice } from '../../alert/notice.ts'
import type { Notification } from '../../alert/notification.ts'
import { plainText } from '../../alert/plain-text.ts'
import type { Severity } from '../../detect/finding.ts'

/** An event of Events API v2, without its routing key. */
export interface PagerDutyEvent {
  readonly event_action: 'trigger' | 'acknowledge' | 'resolve'
  readonly dedup_key: string
  readonly payload?: {
    readonly summary: string
    readonly source: string
    readonly severity: Severity
    readonly timestamp: string
    readonly component: string
    readonly group: string
    readonly class: string
    readonly custom_details: Readonly<Record<string, unknown>>
  }
  readonly links?: readonly { readonly href: string; readonly text: string }[]
  readonly client?: string
}

// PagerDuty's limits: 1,024 characters of summary, 255 of a dedup_key, 512 KB in all, which the limits of a message's
// texts keep far away.
const MAX_SUMMARY = 1_024
const MAX_DEDUP_KEY = 255
const MAX_FIELD = 256

/** The event that a message is to PagerDuty. */
export function pagerDutyEvent(
  notification: Notification,
  links: Readonly<Record<string, string>> = {},
): PagerDutyEvent {
  const { lead, key, at } = notification
  const action = actionOf(notification)
  // Not the leading alert's id: another may lead later, and what was triggered must be what is resolved.
  const event = { event_action: action, dedup_key: lead.incidentId.slice(0, MAX_DEDUP_KEY) }
  if (action !== 'trigger') return event
  const message = messageOf(notification, links)
  return {
    ...event,
    payload: {
      summary: plainText(message.title, MAX_SUMMARY),
      source: plainText(key.keyId, MAX_FIELD),
      severity: lead.severity,
      timestamp: at.toISOString(),
      component: plainText(key.teamId ?? 'unknown team', MAX_FIELD),
      group: plainText(key.environment ?? 'unknown environment', MAX_FIELD),
      class: lead.detector,
      custom_details: detailsOf(message, notification.type),
    },
    links: message.links.map(({ label, url }) => ({ href: url, text: label })),
    client: 'keyhound',
  }
}

/** What keyhound says about itself: the topic is opened and closed like an incident. A report wakes nobody. */
export function pagerDutyNotice(notice: Notice): PagerDutyEvent {
  const event = {
    event_action: notice.type === 'keyhound.recovered' ? ('resolve' as const) : ('trigger' as const),
    // Code points, of which each may count twice.
    dedup_key: plainText(`keyhound:${notice.topic}`, MAX_DEDUP_KEY / 2 - 1),
  }
  if (event.event_action === 'resolve') return event
  const message = noticeMessage(notice)
  return {
    ...event,
    payload: {
      summary: plainText(message.title, MAX_SUMMARY),
      source: 'keyhound',
      severity: notice.type === 'keyhound.report' ? 'info' : notice.severity,
      timestamp: notice.at.toISOString(),
      component: 'keyhound',
      group: 'keyhound',
      class: plainText(notice.topic, MAX_FIELD),
      custom_details: detailsOf(message, notice.type),
    },
    client: 'keyhound',
  }
}

/**
 * After a resolve, a trigger with the same key would open a new alert and page somebody: what is told of an incident
 * that is over triggers only when a revocation has failed.
 */
function actionOf({ type, lead }: Notification): PagerDutyEvent['event_action'] {
  if (type === 'alert.resolved') return 'resolve'
  if (type === 'alert.acknowledged') return 'acknowledge'
  if (type === 'key.revocation_failed') return 'trigger'
  return lead.status === 'resolved' ? 'resolve' : 'trigger'
}

function detailsOf(message: Message, type: string): Readonly<Record<string, unknown>> {
  const { summary, facts, signals, response, steps, footer } = message
  return {
    type,
    summary,
    ...Object.fromEntries(facts.map(({ label, value }) => [label, value])),
    ...(signals.length === 0 ? {} : { [message.listLabel]: signals }),
    Response: response,
    ...Object.fromEntries(steps.map(({ label, command }) => [label, command])),
    keyhound: footer,
  }
}
