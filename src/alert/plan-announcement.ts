import { MINUTE_MS } from '../usage/duration.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { Alert } from './alert.ts'
import {
  announce,
  repeatDueMs,
  withAnnouncement,
  type Announcement,
  type AnnounceSettings,
  type Incident,
} from './announce.ts'
import { escalate, escalationDueMs } from './escalate.ts'
import { routesFor, type Route } from './route.ts'

/** What is to be told about an incident now, where its messages go, and when to ask again. */
export interface AnnouncementPlan {
  readonly announcement: Announcement | undefined
  /** Where `announcement` goes. */
  readonly channels: readonly string[]
  /** Where the routes send the incident's open alerts, silenced or not; undefined when none is open. */
  readonly routed?: readonly string[] | undefined
  /** When a repeat or an escalation falls due if nothing changes before. */
  readonly lookAt?: Date | undefined
}

/**
 * A configuration may be reloaded with shorter times: no incident is left alone for longer than this. At round times, so
 * that a plan that is made anew at every tick is mostly the same.
 */
const LOOK_AGAIN_MS = 10 * MINUTE_MS

/** Decides what is told about an incident, and to whom: the routes of what can be heard, and those it was escalated to. */
export function planAnnouncement(
  incident: Incident,
  alerts: readonly Alert[],
  {
    keys,
    routes,
    settings,
    nowMs,
  }: {
    readonly keys: ReadonlyMap<string, KeyAttributes>
    readonly routes: readonly Route[]
    readonly settings: AnnounceSettings
    readonly nowMs: number
  },
): AnnouncementPlan {
  const routesOf = (some: readonly Alert[]): Route[] =>
    some.flatMap((alert) =>
      routesFor(routes, {
        ...alert,
        key: keys.get(alert.keyId) ?? { keyId: alert.keyId, teamId: undefined, environment: undefined },
      }),
    )
  const open = alerts.filter(({ status }) => status !== 'resolved')
  const heard = open.filter(({ status }) => status !== 'silenced')
  const steps = routesOf(heard.filter(({ status }) => status === 'firing')).flatMap(({ escalate: step }) =>
    step === undefined ? [] : [step],
  )
  const announcement = announce(incident, alerts, { settings, nowMs })
  const escalation = announcement === undefined ? escalate(incident, alerts, { steps, nowMs }) : undefined
  const told = announcement ?? escalation?.announcement
  const after = told === undefined ? incident : withAnnouncement(incident, told)
  const reached = steps.filter(({ afterMs }) => afterMs <= (after.escalatedMs ?? 0))
  const routed = routesOf(announcement?.cause === 'resolved' ? alerts : heard)
  return {
    announcement: told,
    channels: unique(escalation?.channels ?? [...routed, ...reached].flatMap(({ channels }) => channels)),
    routed: open.length === 0 ? undefined : unique(routesOf(open).flatMap(({ channels }) => channels)),
    lookAt: lookAt(
      heard.some(({ status }) => status === 'firing')
        ? [
            repeatDueMs(after, settings),
            escalationDueMs(after, alerts, steps),
            (Math.floor(nowMs / LOOK_AGAIN_MS) + 1) * LOOK_AGAIN_MS,
          ]
        : [],
    ),
  }
}

function lookAt(dueMs: readonly number[]): Date | undefined {
  const firstMs = Math.min(Infinity, ...dueMs)
  return Number.isFinite(firstMs) ? new Date(firstMs) : undefined
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)]
}
