import { describe, expect, test } from 'vitest'
import { parseLabels } from '../../src/backtest/labels.ts'

const attack = { key_id: 'key-1', start: '2026-03-02T10:00:00Z', end: '2026-03-02T11:00:00Z' }
const parse = (value: unknown) => parseLabels(JSON.stringify(value), 'labels.json')

describe('a file of labels', () => {
  test('needs key, start and end of each attack; all else has a default, and what is not known is passed over', () => {
    const labels = parse({ version: 1, attacks: [{ ...attack, note: 'leaked in a repository' }] })
    expect(labels).toEqual({
      incidents: [
        {
          keyId: 'key-1',
          kind: 'incident',
          startMs: Date.parse(attack.start),
          endMs: Date.parse(attack.end),
          hard: false,
          costUsd: undefined,
          curve: [],
        },
      ],
      benign: [],
    })
  })

  test('takes times as ISO-8601 or epoch milliseconds, and windows of benign change', () => {
    const labels = parse({
      attacks: [{ ...attack, start: 1_772_445_600_000, end: 1_772_449_200_000, kind: 'leak' }],
      hard_negatives: [{ ...attack, kind: 'launch', allow: ['volume_spike'] }],
    })
    expect(labels.incidents[0]).toMatchObject({ startMs: 1_772_445_600_000, kind: 'leak' })
    expect(labels.benign).toMatchObject([{ keyId: 'key-1', kind: 'launch', allow: ['volume_spike'] }])
  })

  test('finds the events of a key whose id is a secret, and never shows the secret', () => {
    const secret = 'sk-proj-AbCdEf0123456789AbCdEf'
    const labels = parse({ attacks: [{ ...attack, key_id: secret }] })
    expect(labels.incidents[0]?.keyId).toMatch(/^hashed-/)
  })

  test.each([
    ['{', 'labels.json: not JSON'],
    [{}, 'labels.json: attacks: '],
    [
      { attacks: [attack, { ...attack, end: 'yesterday' }] },
      'labels.json: attacks[1].end: expected an ISO-8601 time',
    ],
    [
      { attacks: [{ ...attack, end: '2026-03-01T00:00:00Z' }] },
      'labels.json: a window ends before it starts',
    ],
  ])('%j is refused with the place of the mistake', (value, message) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    expect(() => parseLabels(text, 'labels.json')).toThrow(message)
  })
})
