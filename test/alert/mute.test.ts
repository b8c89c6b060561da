import { describe, expect, test } from 'vitest'
import { maintenanceAt, type MaintenanceWindow } from '../../src/alert/maintenance.ts'
import { moveOf, muteOf, type Mute } from '../../src/alert/mute.ts'
import { alertOf } from './alerts.ts'

const nowMs = Date.parse('2026-03-02T03:00:00Z')
const key = { keyId: 'batch-1', teamId: 'data', environment: 'prod' }
const batch: Mute = { id: 'silence:1', label: 'the silence of ann ("batch")', match: { key_id: ['batch-*'] } }
const other: Mute = {
  id: 'silence:2',
  label: 'the silence of bob ("prod")',
  match: { environment: ['prod'] },
}
const labelOf = (id: string) => (id === batch.id ? batch.label : id)
const move = (given: Parameters<typeof alertOf>[0], mutes: readonly Mute[]) =>
  moveOf(alertOf({ keyId: key.keyId, ...given }), key, { mutes, nowMs, labelOf })

describe('an alert under silences', () => {
  test('falls silent when one matches, and stays so while it does', () => {
    expect(move({}, [batch])).toEqual({ kind: 'silence', mute: batch })
    expect(move({ status: 'silenced', silencedBy: batch.id }, [batch, other])).toBeUndefined()
    expect(move({}, [])).toBeUndefined()
  })

  test('goes over to another silence that matches when its own ends, and is heard when none is left', () => {
    const silenced = { status: 'silenced', silencedBy: batch.id } as const
    expect(move(silenced, [other])).toEqual({ kind: 'hand_over', mute: other })
    expect(move(silenced, [])).toEqual({
      kind: 'release',
      reason: 'the silence of ann ("batch") does not cover it any more, and it is still open',
    })
  })

  test('is heard when it became worse than its silence covers', () => {
    const mild: Mute = { ...batch, match: { severity: ['info', 'warning'] } }
    const silenced = { status: 'silenced', silencedBy: mild.id } as const
    expect(move({ ...silenced, severity: 'warning' }, [mild])).toBeUndefined()
    expect(move({ ...silenced, severity: 'critical' }, [mild])).toMatchObject({ kind: 'release' })
  })

  test('that somebody acknowledged is left alone until that ends', () => {
    const acknowledged = { status: 'acknowledged' } as const
    expect(move(acknowledged, [batch])).toBeUndefined()
    const until = (ms: number) => ({ ...acknowledged, acknowledgedUntil: new Date(nowMs + ms) })
    expect(move(until(1), [])).toBeUndefined()
    expect(move(until(0), [])).toMatchObject({
      kind: 'release',
      reason: 'it was acknowledged until 2026-03-02T03:00:00.000Z and is still open',
    })
    expect(move(until(0), [batch])).toMatchObject({ kind: 'silence' })
  })

  test('that is resolved stays as it is', () => {
    expect(move({ status: 'resolved' }, [batch])).toBeUndefined()
  })

  test('complaint 11: containment is never silenced', () => {
    const everything: Mute = { id: 'silence:3', label: '', match: { key_id: ['*'] } }
    expect(move({ detector: 'revoke_not_effective' }, [everything])).toBeUndefined()
    expect(move({}, [everything])).toMatchObject({ kind: 'silence' })
  })

  test.each([
    [{ detector: ['unusual_*'] }, false],
    [{ detector: ['volume_*'] }, true],
    [{ severity: ['*'] }, true],
    [{ severity: ['critical'] }, false],
    [{ team_id: ['data', 'red'], environment: ['prod'] }, true],
    [{ team_id: ['data'], environment: ['staging'] }, false],
  ])('complaint 13: %j matches: %s', (match, matches) => {
    const found = muteOf(alertOf({ keyId: key.keyId }), key, [{ ...batch, match }])
    expect(found !== undefined).toBe(matches)
  })

  test('a silence of one alert matches no other, whatever it is of', () => {
    const one: Mute = { ...batch, match: {}, alertId: alertOf().id }
    expect(move({}, [one])).toMatchObject({ kind: 'silence' })
    expect(move({ id: 'another' }, [one])).toBeUndefined()
  })
})

describe('a maintenance window', () => {
  const at = (text: string) => Date.parse(text)
  const names = (window: Partial<MaintenanceWindow>, text: string) =>
    maintenanceAt([{ name: 'nightly', match: {}, ...window }], at(text)).map(({ id }) => id)

  test('that comes once is open from its start to just before its end', () => {
    const fixed = { startsMs: at('2026-03-02T22:00:00Z'), endsMs: at('2026-03-03T04:00:00Z') }
    expect(names({ fixed }, '2026-03-02T21:59:59Z')).toEqual([])
    expect(names({ fixed }, '2026-03-02T22:00:00Z')).toEqual(['maintenance:nightly'])
    expect(names({ fixed }, '2026-03-03T03:59:59Z')).toEqual(['maintenance:nightly'])
    expect(names({ fixed }, '2026-03-03T04:00:00Z')).toEqual([])
  })

  const nights = { days: ['mon', 'tue'], fromMinute: 22 * 60, toMinute: 2 * 60, timeZone: 'UTC' } as const
  test.each([
    // 2026-03-02 is a Monday.
    ['2026-03-02T21:59:00Z', false],
    ['2026-03-02T22:00:00Z', true],
    ['2026-03-03T01:59:59Z', true],
    ['2026-03-03T02:00:00Z', false],
    ['2026-03-04T01:00:00Z', true],
    ['2026-03-04T23:00:00Z', false],
    ['2026-03-02T01:00:00Z', false],
  ])('from Monday and Tuesday 22:00 to 02:00 is open at %s: %s', (text, isOpen) => {
    expect(names({ weekly: nights }, text)).toHaveLength(isOpen ? 1 : 0)
  })

  test('keeps to the wall clock of its zone when that changes', () => {
    const weekly = {
      days: ['sat', 'sun'],
      fromMinute: 60,
      toMinute: 5 * 60,
      timeZone: 'Europe/Berlin',
    } as const
    // In the night to 2026-03-29 Berlin goes from UTC+1 to UTC+2.
    expect(names({ weekly }, '2026-03-28T00:00:00Z')).toHaveLength(1)
    expect(names({ weekly }, '2026-03-28T03:59:00Z')).toHaveLength(1)
    expect(names({ weekly }, '2026-03-28T04:00:00Z')).toHaveLength(0)
    expect(names({ weekly }, '2026-03-29T02:59:00Z')).toHaveLength(1)
    expect(names({ weekly }, '2026-03-29T03:00:00Z')).toHaveLength(0)
  })
})
