import { describe, expect, test } from 'vitest'
import { announce, worstOf, type Incident } from '../../src/alert/announce.ts'
import { alertOf } from './alerts.ts'

const nowMs = Date.parse('2026-03-02T03:00:00Z')
const settings = { groupWaitMs: 5_000, repeatIntervalMs: 4 * 3_600_000 }
const fresh: Incident = {
  id: '0197f000-0000-7000-8000-0000000000aa',
  groupKey: 'key-1',
  openedAt: new Date(nowMs),
  closedAt: undefined,
  announcedSeverity: undefined,
  lastAnnouncedAt: undefined,
  announcements: 0,
}
const announced: Incident = {
  ...fresh,
  announcedSeverity: 'warning',
  lastAnnouncedAt: new Date(nowMs - 60_000),
  announcements: 1,
}

describe('an incident is announced', () => {
  test('when it opens, after the time in which its other alerts may join the message', () => {
    const announcement = announce(fresh, [alertOf()], { settings, nowMs })
    expect(announcement).toMatchObject({ number: 1, type: 'alert.opened', dueAt: new Date(nowMs + 5_000) })
  })

  test('not again while nothing gets worse', () => {
    const alerts = [alertOf(), alertOf({ id: 'other', detector: 'unusual_geo' })]
    expect(announce(announced, alerts, { settings, nowMs })).toBeUndefined()
  })

  test('at once when it becomes worse than what was told', () => {
    const alerts = [alertOf(), alertOf({ id: 'other', severity: 'critical' })]
    expect(announce(announced, alerts, { settings, nowMs })).toMatchObject({
      number: 2,
      type: 'alert.opened',
      lead: { id: 'other' },
      dueAt: new Date(nowMs),
    })
  })

  test('in the message that still waits for its group, when it becomes worse in that time', () => {
    const waiting = { ...announced, lastAnnouncedAt: new Date(nowMs + 3_000) }
    expect(announce(waiting, [alertOf({ severity: 'critical' })], { settings, nowMs })).toMatchObject({
      number: 1,
      dueAt: waiting.lastAnnouncedAt,
    })
  })

  test('again after the repeat interval while it is firing', () => {
    const old = { ...announced, lastAnnouncedAt: new Date(nowMs - settings.repeatIntervalMs) }
    expect(announce(old, [alertOf()], { settings, nowMs })).toMatchObject({
      number: 2,
      type: 'alert.repeated',
    })
  })

  test('not again when everybody who is firing has been acknowledged', () => {
    const old = { ...announced, lastAnnouncedAt: new Date(nowMs - settings.repeatIntervalMs) }
    expect(announce(old, [alertOf({ status: 'acknowledged' })], { settings, nowMs })).toBeUndefined()
  })

  test('as resolved when its last alert is resolved', () => {
    const alerts = [alertOf({ status: 'resolved' }), alertOf({ id: 'other', status: 'resolved' })]
    expect(announce(announced, alerts, { settings, nowMs })).toMatchObject({
      number: 2,
      type: 'alert.resolved',
    })
    expect(announce(announced, [alertOf(), ...alerts], { settings, nowMs })).toBeUndefined()
  })

  test('not as resolved when nobody was ever told of it', () => {
    expect(announce(fresh, [alertOf({ status: 'resolved' })], { settings, nowMs })).toBeUndefined()
  })
})

test('the alert that leads is open, then the worst, then the oldest', () => {
  const resolved = alertOf({ id: 'resolved', status: 'resolved', severity: 'critical' })
  const young = alertOf({ id: 'young', severity: 'critical', openedAt: new Date(nowMs + 1) })
  const old = alertOf({ id: 'old', severity: 'critical' })
  const mild = alertOf({ id: 'mild', severity: 'info', openedAt: new Date(nowMs - 9) })
  expect(worstOf([resolved, mild, young, old])?.id).toBe('old')
  expect(worstOf([])).toBeUndefined()
})
