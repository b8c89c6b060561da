import { describe, expect, test } from 'vitest'
import { messageLines, messageOf } from '../../src/alert/message.ts'
import { shellWord } from '../../src/alert/message-response.ts'
import { NOTIFICATION_TYPES, type Notification } from '../../src/alert/notification.ts'
import { plainText } from '../../src/alert/plain-text.ts'
import { previewMessage } from '../../src/alert/preview.ts'
import { INJECTIONS, notificationOf, poisonedWith, RESPONSE_OF } from '../notify/notifications.ts'
import fc from '../harness/fast-check.ts'
import { alertOf } from './alerts.ts'

const titleOf = (given: Partial<Notification>): string => messageOf(notificationOf(given)).title
const factOf = (notification: Notification, label: string): string | undefined =>
  messageOf(notification).facts.find((fact) => fact.label === label)?.value

describe('the title of a message', () => {
  test.each(NOTIFICATION_TYPES.map((type) => ({ type })))(
    'of $type says what happened to which key',
    ({ type }) => {
      const headline = 'made 352 requests in 5 minutes; 4 to 18 are usual on Monday at 03:00'
      expect(titleOf({ type, response: RESPONSE_OF[type] })).toBe(
        {
          'alert.opened': `[CRITICAL] [DRY RUN] would revoke key key-1: ${headline}`,
          'alert.repeated': `[CRITICAL] still firing: key key-1: ${headline}`,
          'alert.acknowledged': `[ACKNOWLEDGED] key key-1: ${headline}`,
          'alert.resolved': `[RESOLVED] key key-1: ${headline}`,
          'key.revocation_proposed': `[APPROVAL NEEDED] revoke key key-1? ${headline}`,
          'key.revoked': `[REVOKED] key key-1: ${headline}`,
          'key.revocation_confirmed': `[REVOKED, CONFIRMED] key key-1: ${headline}`,
          'key.revocation_failed': `[REVOCATION FAILED] key key-1 may still work: ${headline}`,
          'key.restored': `[RESTORED] key key-1 works again: ${headline}`,
        }[type],
      )
    },
  )

  test('says that nothing but a dry run happened only when it is one', () => {
    expect(titleOf({ response: { kind: 'none' } })).toMatch(/^\[CRITICAL\] key key-1: made/)
    expect(titleOf({ type: 'alert.repeated', response: { kind: 'would_revoke' } })).toContain(
      '[DRY RUN] would revoke',
    )
    expect(titleOf({ lead: alertOf({ severity: 'warning' }) })).toMatch(/^\[WARNING\]/)
  })

  test('marks a test before everything else', () => {
    expect(titleOf({ test: true })).toMatch(/^\[TEST\] \[CRITICAL\]/)
  })
})

describe('the facts of a message', () => {
  test('answer which, since when, what, how much and from where', () => {
    expect(
      messageLines(messageOf(notificationOf({ at: new Date('2026-03-02T05:05:00Z') }))).slice(4, 13),
    ).toEqual([
      'Key: key-1 (team payments, environment prod)',
      'Since: 2026-03-02 03:00 UTC (2 h 5 min)',
      'Observed: 352 requests',
      'Usual: 4 to 18 (28 days of history, 12,000 events)',
      'Requests: 1,234 since 2026-03-02 02:50 UTC',
      'Cost: $184.20 so far, $262.00 per hour',
      'Top address: 203.0.113.7, 98 % of requests',
      'Top country: Indonesia (ID), 97 % of requests',
      'Top model: gpt-5, 50 % of requests',
    ])
  })

  test('say that a cost is unknown instead of nothing, and that a tiny one is not nothing', () => {
    const { traffic } = notificationOf()
    const costOf = (costNanoUsd: number | undefined): string | undefined =>
      factOf(notificationOf({ traffic: { ...traffic, costNanoUsd, costNanoUsdPerHour: undefined } }), 'Cost')
    expect([costOf(undefined), costOf(0), costOf(1_230_000)]).toEqual([
      'cost unknown',
      '$0.00 so far',
      '$0.00123 so far',
    ])
  })

  test('say that address, country and model are unknown when they are', () => {
    const traffic = {
      ...notificationOf().traffic,
      topAddress: undefined,
      topCountry: { value: '', share: 1 },
    }
    expect(factOf(notificationOf({ traffic }), 'Top address')).toBe('unknown')
    expect(factOf(notificationOf({ traffic }), 'Top country')).toBe('unknown')
  })

  test.each([
    ['country', 'RO', 'Romania (RO)'],
    ['country', ['US', 'CA'], 'United States (US), Canada (CA)'],
    ['cost_usd', 12.5, '$12.50'],
    ['requests', { low: 1_000, high: 2_000.5 }, '1,000 to 2,000.5'],
    ['models', [], 'none'],
    ['hour', { hour_of_week: 'Mon 03:00', requests: 3 }, 'hour of week Mon 03:00, requests 3'],
    ['country', { RO: 12, DE: 3 }, 'Romania (RO) 12, Germany (DE) 3'],
    ['country', { US: 0.62, CA: 0.38 }, 'United States (US) 62 %, Canada (CA) 38 %'],
    ['cost_usd', { at_most: 10 }, 'at most $10.00'],
    ['x', Array.from({ length: 10 }, (_, index) => index), '0, 1, 2, 3, 4, 5, 6, 7, +2 more'],
    ['x', null, 'unknown'],
    ['tokens', 120_000, '120,000 tokens'],
  ])('show evidence of %s %j in words', (metric, observed, text) => {
    const lead = alertOf({ evidence: { ...alertOf().evidence, metric, observed } })
    expect(factOf(notificationOf({ lead }), 'Observed')).toBe(text)
  })

  test('list the other signals, worst first as given, and count those left out', () => {
    const others = Array.from({ length: 6 }, (_, index) => alertOf({ summary: `signal ${index}` }))
    expect(messageOf(notificationOf({ others })).signals).toEqual([
      ...[0, 1, 2, 3].map((index) => `warning volume_spike: signal ${index}`),
      '+2 more',
    ])
  })
})

describe('the next steps of a message', () => {
  const commandsOf = (given: Partial<Notification>): string[] =>
    messageOf(notificationOf(given)).steps.map(({ command }) => command)

  test('are the commands that fit', () => {
    const ack = 'keyhound alerts ack 0197f000-0000-7000-8000-000000000001'
    expect(commandsOf({})).toEqual([ack, 'keyhound keys revoke key-1'])
    expect(commandsOf({ response: RESPONSE_OF['key.revoked'] })).toEqual([ack, 'keyhound keys restore key-1'])
    expect(
      commandsOf({ type: 'key.revocation_proposed', response: RESPONSE_OF['key.revocation_proposed'] }),
    ).toEqual(['keyhound keys show key-1', 'keyhound keys revoke key-1'])
    expect(commandsOf({ type: 'alert.resolved' })).toEqual(['keyhound keys show key-1'])
  })

  test.each([
    ['key-1', 'key-1'],
    ['team/key:1@x', 'team/key:1@x'],
    ['a b', "'a b'"],
    ['$(rm -rf ~)', "'$(rm -rf ~)'"],
    ["it's", String.raw`'it'\''s'`],
    ['-rf', "-- '-rf'"],
    ['x; reboot', "'x; reboot'"],
    ['', "''"],
  ])('show the key id %s as one word for a shell', (keyId, word) => {
    expect(shellWord(keyId)).toBe(word)
  })
})

describe('text that an attacker chose', () => {
  // Everything that moves, hides or colours text in a terminal or a mail: control characters, line breaks, bidi overrides.
  const HARMFUL =
    /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u200B\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF\u{E0000}-\u{E007F}]/u

  test.each(INJECTIONS)('%j is one harmless line in every part of the message', (text) => {
    for (const line of messageLines(messageOf(poisonedWith(text)))) expect(line).not.toMatch(HARMFUL)
  })

  test('is cut by whole characters', () => {
    expect(plainText('👍👍👍👍', 3)).toBe('👍👍…')
    expect(plainText('👍👍👍', 3)).toBe('👍👍👍')
  })

  test('cannot make a message fail, grow or break out of its lines', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 2_000 }), fc.constantFrom(...INJECTIONS))
    fc.assert(
      fc.property(text, fc.constantFrom(...NOTIFICATION_TYPES), (chosen, type) => {
        const message = messageOf({ ...poisonedWith(chosen), type, response: RESPONSE_OF[type] })
        const lines = messageLines(message)
        expect(Array.from(message.title).length).toBeLessThanOrEqual(150)
        expect(lines.filter((line) => HARMFUL.test(line))).toEqual([])
        expect(lines.join('\n').length).toBeLessThan(10_000)
      }),
      { numRuns: 100 },
    )
  })
})

describe('the preview in a terminal', () => {
  test('has colour only when asked, and never an escape sequence from outside', () => {
    const message = messageOf(poisonedWith('\u001B[2J\u009B31m'))
    expect(previewMessage(message, { colour: false })).not.toMatch(/(?!\n)\p{Cc}/u)
    const ours = previewMessage(message, { colour: true }).match(/(?!\n)\p{Cc}.{0,3}/gu) ?? []
    expect([...new Set(ours)].toSorted()).toEqual(['\u001B[0m', '\u001B[1m', '\u001B[31'])
  })

  test('shows the whole message in a box and keeps commands in one piece', () => {
    const preview = previewMessage(
      messageOf(notificationOf(), { 'Open in keyhound': 'https://k.example/a/1' }),
      {
        colour: false,
      },
    )
    expect(preview).toMatchInlineSnapshot(`
      "┌─ [CRITICAL] key key-1
      │ key-1 made 352 requests in 5 minutes; 4 to 18 are usual on Monday at 03:00
      │
      │ Key: key-1 (team payments, environment prod)
      │ Since: 2026-03-02 03:00 UTC
      │ Observed: 352 requests
      │ Usual: 4 to 18 (28 days of history, 12,000 events)
      │ Requests: 1,234 since 2026-03-02 02:50 UTC
      │ Cost: $184.20 so far, $262.00 per hour
      │ Top address: 203.0.113.7, 98 % of requests
      │ Top country: Indonesia (ID), 97 % of requests
      │ Top model: gpt-5, 50 % of requests
      │
      │ keyhound did nothing to the key.
      │
      │ What to do next:
      │ - Acknowledge: keyhound alerts ack 0197f000-0000-7000-8000-000000000001
      │ - Revoke the key: keyhound keys revoke key-1
      │ - Open in keyhound: https://k.example/a/1
      │
      │ keyhound alert 0197f000-0000-7000-8000-000000000001, detector volume_spike,
      │ detectors.volume_spike.sensitivity: medium
      └─"
    `)
  })
})
