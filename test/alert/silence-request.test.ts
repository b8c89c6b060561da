import { describe, expect, test } from 'vitest'
import { silenceRequest } from '../../src/alert/silence-request.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'

const nowMs = Date.parse('2026-03-02T03:00:00Z')
const schema = silenceRequest({ nowMs, maxMs: 30 * DAY_MS })
const inHours = (hours: number) => new Date(nowMs + hours * HOUR_MS).toISOString()
const good = {
  matchers: { key_id: 'batch-*', severity: ['info', 'warning'] },
  ends_at: inHours(4),
  created_by: ' ann ',
  comment: 'nightly batch',
}

describe('a request for a silence', () => {
  test('begins now when it does not say, and takes one pattern or a list', () => {
    expect(schema.parse(good)).toEqual({
      matchers: { key_id: ['batch-*'], severity: ['info', 'warning'] },
      alertId: undefined,
      startsAt: new Date(nowMs),
      endsAt: new Date(nowMs + 4 * HOUR_MS),
      createdBy: 'ann',
      comment: 'nightly batch',
    })
  })

  test('may write its matchers as tools for Alertmanager do', () => {
    const matchers = [
      { name: 'key_id', value: 'a', isRegex: false },
      { name: 'key_id', value: 'b' },
      { name: 'detector', value: 'unusual_*', isEqual: true },
    ]
    expect(schema.parse({ ...good, matchers }).matchers).toEqual({
      key_id: ['a', 'b'],
      detector: ['unusual_*'],
    })
  })

  test('begins now when it asks for the past: it hides nothing that was told', () => {
    expect(schema.parse({ ...good, starts_at: inHours(-5) }).startsAt).toEqual(new Date(nowMs))
  })

  test('of one alert needs no end: it lasts until that is resolved, or for the longest time', () => {
    const alert_id = '0197F000-0000-7000-8000-000000000001'
    const { alertId, endsAt, matchers } = schema.parse({
      ...good,
      matchers: undefined,
      ends_at: undefined,
      alert_id,
    })
    expect([alertId, endsAt, matchers]).toEqual([alert_id.toLowerCase(), new Date(nowMs + 30 * DAY_MS), {}])
  })

  test.each([
    ['complaint 11: without a comment', { comment: undefined }, 'comment'],
    ['complaint 11: with a blank comment', { comment: ' \n' }, 'comment'],
    ['complaint 11: that does not say whose it is', { created_by: '' }, 'created_by'],
    ['complaint 11: without an end', { ends_at: undefined }, 'ends_at'],
    ['complaint 11: longer than allowed', { ends_at: inHours(30 * 24 + 1) }, 'ends_at'],
    [
      'complaint 11: longer than allowed, counted from its start',
      { starts_at: inHours(5), ends_at: inHours(30 * 24 + 6) },
      'ends_at',
    ],
    ['that is over', { ends_at: inHours(-1) }, 'ends_at'],
    ['that ends before it begins', { starts_at: inHours(5) }, 'ends_at'],
    ['that names nothing', { matchers: {} }, 'matchers'],
    ['with an empty list of matchers', { matchers: [] }, 'matchers'],
    ['with a field misspelt', { matchers: { keyid: 'a' } }, 'matchers'],
    ['of a detector that does not exist', { matchers: { detector: 'unusual_gео' } }, 'matchers'],
    [
      'of a detector that does not exist, as a list',
      { matchers: [{ name: 'detector', value: 'x' }] },
      'matchers',
    ],
    ['with a regular expression', { matchers: [{ name: 'key_id', value: '.*', isRegex: true }] }, 'matchers'],
    ['of everything but', { matchers: [{ name: 'key_id', value: 'a', isEqual: false }] }, 'matchers'],
    ['of an alert and of patterns', { alert_id: '0197f000-0000-7000-8000-000000000001' }, 'matchers'],
    ['of what is no alert', { matchers: undefined, alert_id: 'x' }, 'alert_id'],
    ['with a time without a zone', { ends_at: '2026-03-02T08:00:00' }, 'ends_at'],
    ['with text that cannot be stored', { comment: 'a\0b' }, 'comment'],
  ])('%s is refused', (_name, change, field) => {
    const result = schema.safeParse({ ...good, ...change })
    expect(result.error?.issues.map(({ path }) => path[0])).toContain(field)
  })
})
