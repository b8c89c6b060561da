import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { advance, CLOSE_AFTER_MS, STALE_AFTER_MS } from '../../src/watch/advance.ts'
import type { Judgement } from '../../src/watch/judgement.ts'
import type { SelfAlert } from '../../src/store/self-alert-store.ts'
import fc from '../harness/fast-check.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { bad, selfAlert } from './signals.ts'

const good = (topic: string): Judgement => ({ topic, state: 'good' })
const unclear = (topic: string): Judgement => ({ topic, state: 'unclear' })

let ids = 0
function moves(open: readonly SelfAlert[], judgements: readonly Judgement[], nowMs = SOME_TIME_MS) {
  return advance(open, judgements, { nowMs, repeatMs: 6 * HOUR_MS, newId: () => `notice-${(ids += 1)}` })
}

describe('a self-alert', () => {
  test('opens when something is bad, once', () => {
    const first = moves([], [bad('ticks_late')])
    expect(first.opened.map(({ alert, notice }) => [alert.topic, notice.type, notice.topic])).toEqual([
      ['ticks_late', 'keyhound.problem', 'ticks_late'],
    ])
    const second = moves([selfAlert('ticks_late')], [bad('ticks_late')])
    expect(second).toMatchObject({ opened: [], repeated: [], closed: [], goingOn: ['ticks_late'] })
  })

  test('does not open for what is unclear', () => {
    expect(moves([], [unclear('ticks_late')])).toMatchObject({ opened: [], goingOn: [] })
  })

  test('goes on while it is unclear whether it is over', () => {
    const open = [selfAlert('ingest_silent', { quietMs: HOUR_MS })]
    expect(moves(open, [unclear('ingest_silent')])).toMatchObject({ closed: [], goingOn: ['ingest_silent'] })
  })

  test('is over once all has been well for a while, and says how long it lasted', () => {
    const open = [selfAlert('ticks_late', { minutesAgo: 32, quietMs: CLOSE_AFTER_MS })]
    const { closed } = moves(open, [good('ticks_late')])
    expect(closed.map(({ notice }) => [notice.type, notice.topic])).toEqual([
      ['keyhound.recovered', 'ticks_late'],
    ])
    expect(closed[0]?.notice.text).toContain('30 min')
    const tooSoon = [selfAlert('ticks_late', { quietMs: CLOSE_AFTER_MS - 1 })]
    expect(moves(tooSoon, [good('ticks_late')]).closed).toEqual([])
  })

  test('that no process speaks of any more is over after a quarter of an hour', () => {
    const open = [selfAlert('detector_failing:unusual_geo', { minutesAgo: 60, quietMs: STALE_AFTER_MS })]
    expect(moves(open, []).closed).toHaveLength(1)
    expect(moves([selfAlert('a', { quietMs: STALE_AFTER_MS - 1 })], []).closed).toEqual([])
  })

  test('that is urgent is told again every six hours, another one every week', () => {
    const open = [selfAlert('ticks_late', { minutesAgo: 360 })]
    const [repeated] = moves(open, [bad('ticks_late')]).repeated
    expect(repeated?.notice.title).toContain('(since 2026-03-04 06:00 UTC)')
    expect(moves(open, [bad('ticks_late', { severity: 'warning' })]).repeated).toEqual([])
    const old = [selfAlert('ticks_late', { minutesAgo: (7 * DAY_MS) / MINUTE_MS })]
    expect(moves(old, [bad('ticks_late', { severity: 'warning' })]).repeated).toHaveLength(1)
  })

  test('a replica that is well does not end what another finds bad', () => {
    // The other one found it bad ten seconds ago.
    const open = [selfAlert('detector_failing:unusual_geo', { quietMs: 10 * SECOND_MS })]
    expect(moves(open, [good('detector_failing:unusual_geo')]).closed).toEqual([])
  })
})

test('complaint 4: however a measure swings, there are no more messages than one opening and one end per 90 quiet seconds', () => {
  const step = fc.constantFrom<'bad' | 'unclear' | 'good'>('bad', 'unclear', 'good')
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 200 }), (states) => {
      let open: SelfAlert[] = []
      const told: { readonly type: string; readonly atMs: number }[] = []
      for (const [index, state] of states.entries()) {
        const nowMs = SOME_TIME_MS + index * 10 * SECOND_MS
        const judgement = state === 'bad' ? bad('ticks_late') : { topic: 'ticks_late', state }
        const moved = moves(open, [judgement], nowMs)
        open = [
          ...open
            .filter(({ topic }) => !moved.closed.some((each) => each.topic === topic))
            .map((alert) =>
              moved.goingOn.includes(alert.topic) ? { ...alert, lastBadAt: new Date(nowMs) } : alert,
            ),
          ...moved.opened.map(({ alert }) => alert),
        ]
        for (const { notice } of [...moved.opened, ...moved.closed])
          told.push({ type: notice.type, atMs: nowMs })
      }
      const types = told.map(({ type }) => type)
      expect(types).toEqual(
        types.map((_, index) => (index % 2 === 0 ? 'keyhound.problem' : 'keyhound.recovered')),
      )
      const ends = told.filter(({ type }) => type === 'keyhound.recovered').map(({ atMs }) => atMs)
      const lastSeconds = (states.length - 1) * 10
      expect(ends.length).toBeLessThanOrEqual(Math.floor(lastSeconds / (CLOSE_AFTER_MS / SECOND_MS)))
    }),
  )
})
