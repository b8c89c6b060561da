import { describe, expect, test } from 'vitest'
import type { Alert } from '../../src/alert/alert.ts'
import { withAnnouncement, type Incident } from '../../src/alert/announce.ts'
import { planAnnouncement } from '../../src/alert/plan-announcement.ts'
import type { Route } from '../../src/alert/route.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { alertOf } from './alerts.ts'

const start = Date.parse('2026-03-02T03:00:00Z')
const settings = {
  groupWaitMs: 5_000,
  repeatIntervalMs: 4 * HOUR_MS,
  repeatBackoff: 2,
  repeatMaxMs: DAY_MS,
}
const routes: readonly Route[] = [
  {
    match: { severity: ['critical'] },
    channels: ['pager'],
    escalate: { afterMs: 15 * MINUTE_MS, channels: ['manager'] },
    continue: true,
  },
  { channels: ['chat'], escalate: { afterMs: HOUR_MS, channels: ['lead'] } },
]
const fresh: Incident = {
  id: '0197f000-0000-7000-8000-0000000000aa',
  groupKey: 'key-1',
  openedAt: new Date(start),
  closedAt: undefined,
  announcedSeverity: undefined,
  lastAnnouncedAt: undefined,
  announcements: 0,
}
const critical = alertOf({ severity: 'critical' })

/** Asks every minute for as long as it is told, as ticks do, and tells what was announced: minute, cause and channels. */
function follow(alerts: (minute: number) => readonly Alert[], minutes: number): string[] {
  let incident = fresh
  const told: string[] = []
  for (let minute = 0; minute <= minutes; minute += 1) {
    const nowMs = start + minute * MINUTE_MS
    const { announcement, channels } = planAnnouncement(incident, alerts(minute), {
      keys: new Map(),
      routes,
      settings,
      nowMs,
    })
    if (announcement === undefined) continue
    incident = withAnnouncement(incident, announcement)
    told.push(`${minute} ${announcement.cause} ${channels.join('+')}`)
  }
  return told
}

describe('an incident that nobody acknowledges', () => {
  test('is told further when the time of each route has passed, once, and goes on to all of them', () => {
    expect(follow(() => [critical], 5 * 60)).toEqual([
      '0 opened pager+chat',
      // The first message waits a few seconds for its group; ticks of a minute see the time a minute later.
      '16 unanswered manager',
      '61 unanswered lead',
      '241 repeat pager+chat+manager+lead',
    ])
  })

  test('is repeated at growing intervals, up to the longest', () => {
    const hours = follow(() => [alertOf()], 80 * 60)
      .filter((line) => line.includes('repeat'))
      .map((line) => Math.round(Number(line.split(' ')[0]) / 60))
    expect(hours).toEqual([4, 12, 28, 52, 76])
  })

  test('becomes worse, and the worse routes get their whole time to answer', () => {
    expect(follow((minute) => [minute < 10 ? alertOf() : critical], 90)).toEqual([
      '0 opened chat',
      '10 worse pager+chat',
      '25 unanswered manager',
      '70 unanswered lead',
    ])
  })
})

describe('an incident that somebody acknowledged', () => {
  const acknowledged = alertOf({ severity: 'critical', status: 'acknowledged' })

  test('complaint 10: is neither told further nor repeated', () => {
    expect(follow((minute) => [minute < 5 ? critical : acknowledged], 50 * 60)).toEqual([
      '0 opened pager+chat',
    ])
  })

  test('complaint 10: is told again, with the reason, when the acknowledgement ends, and awaits an answer again', () => {
    const again = alertOf({
      severity: 'critical',
      releasedAt: new Date(start + 100 * MINUTE_MS),
      releaseReason: 'it was acknowledged until 04:40 and is still open',
    })
    expect(follow((minute) => [minute < 5 ? critical : minute < 100 ? acknowledged : again], 120)).toEqual([
      '0 opened pager+chat',
      '100 released pager+chat',
      '115 unanswered manager',
    ])
  })

  test('does not hide that a worse alert joined it', () => {
    const mild = alertOf({ status: 'acknowledged' })
    const worse = alertOf({ id: 'worse', severity: 'critical' })
    expect(follow((minute) => (minute < 20 ? [mild] : [mild, worse]), 30)).toEqual(['20 opened chat+pager'])
  })
})

describe('a silenced incident', () => {
  const silenced = alertOf({ severity: 'critical', status: 'silenced', silencedBy: 'silence:1' })
  const released = alertOf({
    severity: 'critical',
    releasedAt: new Date(start + 30 * MINUTE_MS),
    releaseReason: 'the silence of ann ("batch") does not cover it any more, and it is still open',
  })

  test('is not told while it is silenced, and at once when it is not, saying why', () => {
    expect(follow((minute) => [minute < 30 ? silenced : released], 40)).toEqual(['30 released pager+chat'])
    const plan = planAnnouncement(fresh, [released], {
      keys: new Map(),
      routes,
      settings,
      nowMs: start + 30 * MINUTE_MS,
    })
    expect(plan.announcement).toMatchObject({
      type: 'alert.opened',
      dueAt: new Date(start + 30 * MINUTE_MS),
      reason: released.releaseReason,
    })
  })

  test('complaint 12: is not told to be over when nobody was told of it', () => {
    const over = alertOf({ ...silenced, status: 'resolved' })
    expect(follow((minute) => [minute < 30 ? silenced : over], 40)).toEqual([])
  })

  test('keeps the routes of what it hides, for the messages about its key', () => {
    const plan = planAnnouncement(fresh, [silenced], { keys: new Map(), routes, settings, nowMs: start })
    expect([plan.announcement, plan.channels, plan.routed]).toEqual([undefined, [], ['pager', 'chat']])
  })

  test('does not lend its severity to what can be heard beside it', () => {
    const odd = alertOf({ id: 'odd' })
    expect(follow(() => [silenced, odd], 5)).toEqual(['0 opened chat'])
  })
})

test('a message that it is over is led by an alert that was told', () => {
  const quiet = alertOf({ id: 'quiet', severity: 'critical', status: 'resolved' })
  const told = alertOf({ id: 'told', status: 'resolved', announcedAt: new Date(start) })
  const plan = planAnnouncement(
    { ...fresh, announcedSeverity: 'warning', lastAnnouncedAt: new Date(start), announcements: 1 },
    [quiet, told],
    { keys: new Map(), routes, settings, nowMs: start },
  )
  expect(plan.announcement).toMatchObject({ cause: 'resolved', lead: { id: 'told' } })
})
