import { isIP } from 'node:net'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { usageEventSchema } from '../../src/usage/event-schema.ts'
import { parseUsageEvent } from '../../src/usage/parse-event.ts'
import { parseTimestamp } from '../../src/usage/timestamp.ts'
import { toWireEvent } from '../../src/usage/wire-event.ts'
import fc from '../harness/fast-check.ts'
import { usageEvent } from '../harness/builders.ts'

const NUL = '\u0000'
const HALF_PAIR = '\ud83d'
const INTEGER = 'an integer from 0 to 2147483647'
const TIMESTAMP = 'ISO-8601 with a zone (2026-01-02T03:04:05Z) nor epoch milliseconds'

function errorOf(raw: unknown): string {
  const parsed = parseUsageEvent(raw)
  return parsed.ok ? 'accepted' : parsed.error
}

function accepted(raw: unknown) {
  const parsed = parseUsageEvent(raw)
  if (!parsed.ok) throw new Error(parsed.error)
  return parsed.event
}

describe('an event that is refused', () => {
  test.each<[string, unknown, string]>([
    ['a number', 7, 'event: 7 is not a JSON object'],
    ['null', null, 'event: null is not a JSON object'],
    ['an array', [], 'event: an array is not a JSON object'],
    ['a text', 'sk-proj-verysecret1', 'event: a text of 19 characters is not a JSON object'],
    ['no id', { ...usageEvent(), id: undefined }, 'id: is missing; it must be a text of 1 to 128 characters'],
    ['empty id', { ...usageEvent(), id: '' }, 'id: an empty text is not a text of 1 to 128 characters'],
    [
      'long id',
      { ...usageEvent(), id: 'x'.repeat(129) },
      'id: a text of 129 characters is not a text of 1 to 128 characters',
    ],
    ['numeric id', { ...usageEvent(), id: 12 }, 'id: 12 is not a text of 1 to 128 characters'],
    ['null key', { ...usageEvent(), key_id: null }, 'key_id: null is not a text of 1 to 256 characters'],
    [
      'object as key',
      { ...usageEvent(), key_id: { a: 1 } },
      'key_id: an object is not a text of 1 to 256 characters',
    ],
    [
      'long key',
      { ...usageEvent(), key_id: '🔑'.repeat(257) },
      'key_id: a text of 257 characters is not a text of 1 to 256 characters',
    ],
    [
      'no model',
      { ...usageEvent(), model: undefined },
      'model: is missing; it must be a text of 1 to 256 characters',
    ],
    [
      'array as model',
      { ...usageEvent(), model: ['gpt-4o'] },
      'model: an array is not a text of 1 to 256 characters',
    ],
    [
      'no timestamp',
      { ...usageEvent(), timestamp: undefined },
      `timestamp: is missing; it must be ${TIMESTAMP.replace('nor', 'or')}`,
    ],
    [
      'a word as timestamp',
      { ...usageEvent(), timestamp: 'yesterday' },
      `timestamp: "yesterday" is not ${TIMESTAMP}`,
    ],
    [
      'no zone',
      { ...usageEvent(), timestamp: '2026-01-02T03:04:05' },
      `timestamp: "2026-01-02T03:04:05" is not ${TIMESTAMP}`,
    ],
    [
      'a date only',
      { ...usageEvent(), timestamp: '2026-01-02' },
      `timestamp: "2026-01-02" is not ${TIMESTAMP}`,
    ],
    [
      '30 February',
      { ...usageEvent(), timestamp: '2026-02-30T00:00:00Z' },
      `timestamp: "2026-02-30T00:00:00Z" is not ${TIMESTAMP}`,
    ],
    [
      '29 February of no leap year',
      { ...usageEvent(), timestamp: '2025-02-29T00:00:00Z' },
      `timestamp: "2025-02-29T00:00:00Z" is not ${TIMESTAMP}`,
    ],
    [
      '31 April',
      { ...usageEvent(), timestamp: '2026-04-31T00:00:00Z' },
      `timestamp: "2026-04-31T00:00:00Z" is not ${TIMESTAMP}`,
    ],
    [
      'month 13',
      { ...usageEvent(), timestamp: '2026-13-01T00:00:00Z' },
      `timestamp: "2026-13-01T00:00:00Z" is not ${TIMESTAMP}`,
    ],
    [
      'hour 25',
      { ...usageEvent(), timestamp: '2026-01-01T25:00:00Z' },
      `timestamp: "2026-01-01T25:00:00Z" is not ${TIMESTAMP}`,
    ],
    [
      'half a millisecond',
      { ...usageEvent(), timestamp: 1767323045000.5 },
      `timestamp: 1767323045000.5 is not ${TIMESTAMP}`,
    ],
    [
      'digits as text',
      { ...usageEvent(), timestamp: '1767323045000' },
      `timestamp: "1767323045000" is not ${TIMESTAMP}`,
    ],
    [
      'seconds',
      { ...usageEvent(), timestamp: 1767323045 },
      'timestamp: 1767323045 looks like seconds; epoch milliseconds are expected',
    ],
    ['1970', { ...usageEvent(), timestamp: 0 }, 'timestamp: 0 is not between the years 2015 and 2100'],
    [
      'year 9999',
      { ...usageEvent(), timestamp: '9999-01-01T00:00:00Z' },
      'timestamp: "9999-01-01T00:00:00Z" is not between the years 2015 and 2100',
    ],
    [
      'a secret as timestamp',
      { ...usageEvent(), timestamp: 'sk-proj-abcdefgh12' },
      `timestamp: a text of 18 characters is not ${TIMESTAMP}`,
    ],
    ['negative tokens', { ...usageEvent(), input_tokens: -1 }, `input_tokens: -1 is not ${INTEGER}`],
    ['half a token', { ...usageEvent(), output_tokens: 1.5 }, `output_tokens: 1.5 is not ${INTEGER}`],
    [
      'tokens as text',
      { ...usageEvent(), cached_input_tokens: '5' },
      `cached_input_tokens: a text of 1 characters is not ${INTEGER}`,
    ],
    [
      'more tokens than there are',
      { ...usageEvent(), input_tokens: 2 ** 53 },
      `input_tokens: 9007199254740992 is not ${INTEGER}`,
    ],
    ['a negative latency', { ...usageEvent(), latency_ms: -5 }, `latency_ms: -5 is not ${INTEGER}`],
    [
      'a negative cost',
      { ...usageEvent(), cost_usd: -0.01 },
      'cost_usd: -0.01 is not a number from 0 to below 1000000',
    ],
    [
      'a million dollars',
      { ...usageEvent(), cost_usd: 1e6 },
      'cost_usd: 1000000 is not a number from 0 to below 1000000',
    ],
    [
      'endless cost',
      { ...usageEvent(), cost_usd: Infinity },
      'cost_usd: Infinity is not a number from 0 to below 1000000',
    ],
    [
      'cost as text',
      { ...usageEvent(), cost_usd: '0.5' },
      'cost_usd: a text of 3 characters is not a number from 0 to below 1000000',
    ],
    ['status 99', { ...usageEvent(), status_code: 99 }, 'status_code: 99 is not an integer from 100 to 599'],
    [
      'status 600',
      { ...usageEvent(), status_code: 600 },
      'status_code: 600 is not an integer from 100 to 599',
    ],
    [
      'an address out of range',
      { ...usageEvent(), ip: '1.2.3.999' },
      'ip: "1.2.3.999" is not an IPv4 or IPv6 address',
    ],
    ['a host name', { ...usageEvent(), ip: 'localhost' }, 'ip: "localhost" is not an IPv4 or IPv6 address'],
    [
      'an address with a zone',
      { ...usageEvent(), ip: 'fe80::1%eth0' },
      'ip: "fe80::1%eth0" is not an IPv4 or IPv6 address',
    ],
    ['a number as address', { ...usageEvent(), ip: 16843009 }, 'ip: 16843009 is not an IPv4 or IPv6 address'],
    [
      'a long team',
      { ...usageEvent(), team_id: 'x'.repeat(257) },
      'team_id: a text of 257 characters is not a text of at most 256 characters',
    ],
    ['a list as metadata', { ...usageEvent(), metadata: [] }, 'metadata: an array is not an object of texts'],
    [
      'a number in metadata',
      { ...usageEvent(), metadata: { a: 'b', c: 1 } },
      'metadata: an object with 1 in it is not an object of texts',
    ],
    [
      'an object in metadata',
      { ...usageEvent(), metadata: { a: {} } },
      'metadata: an object with an object in it is not an object of texts',
    ],
    [
      'NUL in the model',
      { ...usageEvent(), model: `a${NUL}b` },
      'model: holds a NUL character or half a surrogate pair',
    ],
    [
      'NUL in a name of metadata',
      { ...usageEvent(), metadata: { [NUL]: 'a' } },
      'metadata: holds a NUL character or half a surrogate pair',
    ],
    [
      'half a pair in the key',
      { ...usageEvent(), key_id: HALF_PAIR },
      'key_id: holds a NUL character or half a surrogate pair',
    ],
    [
      'half a pair in metadata',
      { ...usageEvent(), metadata: { a: HALF_PAIR } },
      'metadata: holds a NUL character or half a surrogate pair',
    ],
    [
      'deep nesting',
      { ...usageEvent(), extra: nested(100_000) },
      'event: is nested too deep, or is not JSON',
    ],
  ])('%s', (_name, raw, error) => {
    expect(errorOf(raw)).toBe(error)
  })

  test('for its size is told how large it is, wherever the bytes are', () => {
    const extra = 'ä'.repeat(40_000)
    const bytes = Buffer.byteLength(JSON.stringify(usageEvent({ id: 'a' }))) + 80_000 + ',"extra":""'.length
    expect(errorOf({ ...usageEvent({ id: 'a' }), extra })).toBe(`event: ${bytes} bytes are more than 65536`)
    expect(errorOf(usageEvent({ metadata: { note: 'x'.repeat(70_000) } }))).toMatch(
      /^event: \d+ bytes are more than/,
    )
  })

  test('never has a text repeated that could be a secret', () => {
    const secret = 'sk-ant-api03-Zm9vYmFyYmF6cXV4'
    for (const field of Object.keys(
      usageEvent({ team_id: 'a', user_id: 'b', environment: 'c', metadata: {} }),
    )) {
      for (const raw of [
        { ...usageEvent(), [field]: [secret] },
        { ...usageEvent(), [field]: `${secret}${NUL}` },
      ]) {
        expect(errorOf(raw)).not.toContain('Zm9v')
      }
    }
  })
})

describe('an event that is accepted', () => {
  test('gets the defaults of the interface for what it leaves out', () => {
    const event = accepted({ id: 'a', timestamp: 1767323045000, key_id: 'key-1', model: 'm' })
    expect(event).toEqual({
      id: 'a',
      timestampMs: 1767323045000,
      keyId: 'key-1',
      model: 'm',
      provider: undefined,
      ip: undefined,
      inputTokens: 0,
      outputTokens: 0,
      cachedInputTokens: 0,
      costNanoUsd: undefined,
      statusCode: 200,
      latencyMs: undefined,
      teamId: undefined,
      userId: undefined,
      environment: undefined,
      metadata: undefined,
    })
  })

  test('may have null, and empty optional texts, where gateways have nothing to say', () => {
    const nulls = {
      provider: null,
      ip: null,
      input_tokens: null,
      cost_usd: null,
      status_code: null,
      team_id: null,
      metadata: null,
    }
    expect(accepted({ ...usageEvent(), ...nulls })).toMatchObject({ inputTokens: 0, statusCode: 200 })
    expect(accepted({ ...usageEvent(), ...nulls }).costNanoUsd).toBeUndefined()
    expect(accepted(usageEvent({ ip: '', team_id: '' }))).toMatchObject({ ip: undefined, teamId: undefined })
  })

  test('may have fields that nobody knows', () => {
    expect(errorOf({ ...usageEvent(), request: { deep: [1, { x: null }] } })).toBe('accepted')
  })

  test.each([
    ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000Z'],
    ['2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05.678Z'],
    ['2026-01-02T03:04:05.678912345Z', '2026-01-02T03:04:05.678Z'],
    ['2026-01-02T03:04Z', '2026-01-02T03:04:00.000Z'],
    ['2026-01-02 03:04:05+01:00', '2026-01-02T02:04:05.000Z'],
    ['2026-01-02t03:04:05,5-0330', '2026-01-02T06:34:05.500Z'],
    ['2026-01-02T03:04:05+05', '2026-01-01T22:04:05.000Z'],
    ['2024-02-29T12:00:00z', '2024-02-29T12:00:00.000Z'],
  ])('has its time %s read as %s', (timestamp, iso) => {
    expect(new Date(accepted(usageEvent({ timestamp })).timestampMs).toISOString()).toBe(iso)
  })

  test.each([
    ['8.8.8.8', '8.8.8.8'],
    ['::ffff:8.8.8.8', '8.8.8.8'],
    ['0:0:0:0:0:FFFF:808:808', '8.8.8.8'],
    ['2001:4860:4860:0000:0000:0000:0000:8888', '2001:4860:4860::8888'],
    ['2001:4860:4860::8888', '2001:4860:4860::8888'],
  ])('has its address %s kept as %s', (ip, kept) => {
    expect(accepted(usageEvent({ ip })).ip).toBe(kept)
  })

  test('has its cost in whole nano-dollars', () => {
    expect(accepted(usageEvent({ cost_usd: 0.1 + 0.2 })).costNanoUsd).toBe(300_000_000)
    expect(accepted(usageEvent({ cost_usd: 999_999.999999999 })).costNanoUsd).toBe(999_999_999_999_999)
    expect(accepted(usageEvent({ cost_usd: -0, input_tokens: -0 }))).toMatchObject({
      costNanoUsd: 0,
      inputTokens: 0,
    })
  })

  test('is read back as itself from what the queue gets', () => {
    const event = accepted(
      usageEvent({ ip: '::ffff:1.2.3.4', cost_usd: 0.123456789, metadata: { a: 'b' }, team_id: 't' }),
    )
    expect(accepted(JSON.parse(JSON.stringify(toWireEvent(event))))).toEqual(event)
  })
})

describe('whatever comes', () => {
  test('nothing throws, and an error is one line of bounded length', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withNullPrototype: true, withMap: true, withDate: true }),
        (raw) => {
          const parsed = parseUsageEvent(raw)
          expect(parsed.ok || (parsed.error.length < 300 && !parsed.error.includes('\n'))).toBe(true)
        },
      ),
    )
  })

  test('a valid event with one field replaced by any JSON is accepted or refused by the name of that field', () => {
    const fields = Object.keys(usageEvent({ team_id: 'a', user_id: 'b', environment: 'c', metadata: {} }))
    fc.assert(
      fc.property(fc.constantFrom(...fields), fc.jsonValue(), (field, value) => {
        const parsed = parseUsageEvent({ ...usageEvent(), [field]: value })
        expect(parsed.ok || parsed.error.startsWith(`${field}: `) || parsed.error.startsWith('event: ')).toBe(
          true,
        )
      }),
      { numRuns: 1_000 },
    )
  })
})

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level += 1) value = [value]
  return value
}

describe('in a hurry', () => {
  test('an event is read alike with the JSON that it came from at hand and without', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom(NUL, HALF_PAIR, '\\', 'x'.repeat(300), 'é'.repeat(70_000)),
    )
    const fields = fc.record(
      { id: text, key_id: text, user_id: text, metadata: fc.dictionary(text, text), other: fc.jsonValue() },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fields, (changes) => {
        const json = JSON.stringify({ ...usageEvent(), ...changes })
        expect(parseUsageEvent(JSON.parse(json), json)).toEqual(parseUsageEvent(JSON.parse(json)))
      }),
    )
  })

  test('a number that is written shorter than it is sent counts as what it is', () => {
    const json = JSON.stringify({ ...usageEvent(), other: [0] }).replace(
      '[0]',
      `[${Array(3_500).fill('1e20').join()}]`,
    )
    expect(parseUsageEvent(JSON.parse(json), json)).toEqual(parseUsageEvent(JSON.parse(json)))
  })

  test('a timestamp in the usual spelling is the one that any other spelling of it names', () => {
    const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9]{${length}}$`))
    const spelling = fc
      .tuple(
        digits(4),
        digits(2),
        digits(2),
        digits(2),
        digits(2),
        digits(2),
        fc.constantFrom('', '.'),
        digits(3),
      )
      .map(([y, mo, d, h, mi, s, dot, ms]) => `${y}-${mo}-${d}T${h}:${mi}:${s}${dot === '' ? '' : `.${ms}`}Z`)
    const near = fc
      .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString())
    fc.assert(
      fc.property(
        fc.oneof(spelling, near),
        fc.nat(23),
        fc.constantFrom('0', '5', '9', ':', 'x', '+'),
        (text, at, other) => {
          const broken = text.slice(0, at) + other + text.slice(at + 1)
          for (const usual of [text, broken])
            expect(parseTimestamp(usual)).toBe(parseTimestamp(usual.replace(/Z$/, '+00:00')))
        },
      ),
      { numRuns: 2_000 },
    )
    expect(parseTimestamp('2024-02-29T00:00:00Z')).toBe(Date.UTC(2024, 1, 29))
    expect(parseTimestamp('2026-02-29T00:00:00Z')).toBeUndefined()
  })

  test('an address of four numbers is one where Node says so', () => {
    const part = fc.oneof(
      fc.nat(300).map(String),
      fc.constantFrom('', '0', '00', '01', '255', '256', ' 1', 'a'),
    )
    fc.assert(
      fc.property(fc.array(part, { minLength: 3, maxLength: 5 }), (parts) => {
        const ip = parts.join('.')
        const { ok } = parseUsageEvent({ ...usageEvent(), ip })
        expect(ok).toBe(isIP(ip) === 4)
      }),
      { numRuns: 2_000 },
    )
  })
})

test('the schema of an event is a valid one, which is not checked at every start', () => {
  const schema = z.toJSONSchema(usageEventSchema, { io: 'input', target: 'draft-7' })
  expect(new Ajv().validateSchema(schema)).toBe(true)
})
