import { describe, expect, test } from 'vitest'
import { parseUsageEvent } from '../../src/usage/parse-event.ts'
import { safePayload } from '../../src/usage/safe-payload.ts'
import {
  hashEventSecrets,
  hashSecret,
  hashSecretsIn,
  looksLikeSecret,
} from '../../src/usage/secret-key-id.ts'
import fc from '../harness/fast-check.ts'
import { usageEvent } from '../harness/builders.ts'

const HASH_KEY = Buffer.alloc(32, 7)

const SECRETS = [
  'sk-abcdef1234567890',
  'sk-Kx3_mP9-qRtUvWxYz12345',
  'sk-proj-AbC123def456',
  'sk-ant-api03-Zm9vYmFyYmF6cXV4',
  'sk-or-v1-0123456789abcdef0123456789abcdef',
  'sk-live-abcdef0123456789',
  'sk_live_51Habcdefghijkl',
  'AIzaSyA1234567890abcdefghijklmnopqrstuv',
  'gsk_abcdefghijklmnopqrstuvwx',
  'xai-abcdefghijklmnopqrstuvwx',
  'hf_abcdefghijklmnopqrstuvwx',
  'r8_abcdefghijklmnopqrstuvwx',
  'AKIAIOSFODNN7EXAMPLE',
  'ghp_0123456789abcdefghijklmnopqrstuvwxyz',
  'github_pat_11ABCDEFG0abcdefghijkl',
  'xoxb-123456789012-abcdefghijkl',
  'Bearer abcdef123456',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl',
]
const IDS = [
  'key-7',
  'batch-2026-11-23',
  'sk-team-1',
  'sk-production-eu',
  'task-1234567890abcdef',
  'prod-core-gateway-eu-west-1',
  'd41d8cd98f00b204e9800998ecf8427e',
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '0193b5c8-7a1e-7c3a-9f00-123456789abc',
  'gpt-4o-mini-2024-07-18',
  'anthropic.claude-3-5-sonnet-20241022-v2:0',
  'hashed-AbCdEfGhIjKlMnOpQrStUv',
]

describe('telling secrets from ids', () => {
  test.each(SECRETS)('%s is a secret, also within other text', (secret) => {
    expect(looksLikeSecret(secret)).toBe(true)
    expect(looksLikeSecret(`key=${secret};`)).toBe(true)
    expect(hashSecretsIn(`before ${secret} after`, HASH_KEY)).toMatch(/^before hashed-[\w-]{22} after$/)
  })

  test.each(IDS)('%s is an id', (id) => {
    expect(looksLikeSecret(id)).toBe(false)
    expect(hashSecretsIn(id, HASH_KEY)).toBe(id)
  })

  test('hashing is done once: a hash is never hashed again', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SECRETS), fc.string(), (secret, around) => {
        const once = hashSecretsIn(`${around} ${secret}`, HASH_KEY)
        expect(hashSecretsIn(once, HASH_KEY)).toBe(once)
      }),
    )
  })

  test('takes time in proportion to the text, even for texts made to be slow', () => {
    for (const text of [
      '-eyJ',
      'sk-',
      '-sk-a',
      'Bearer ',
      ' basic',
      '-----BEGIN ',
      'SG.aaaaaaaaaaaaaaaaaaaa-',
    ]) {
      const before = process.cpuUsage()
      looksLikeSecret(text.repeat(65_536 / text.length))
      // Of the processor, not of the clock: others use it as well.
      const { user } = process.cpuUsage(before)
      expect(user / 1_000).toBeLessThan(2_000)
    }
  })
})

describe('the hash', () => {
  test('is the same for the same secret, with and without the word Bearer, and another under another key', () => {
    const hash = hashSecret('sk-proj-AbC123def456', HASH_KEY)
    expect(hash).toMatch(/^hashed-[\w-]{22}$/)
    expect(hashSecret('Bearer sk-proj-AbC123def456', HASH_KEY)).toBe(hash)
    expect(hashSecret('sk-proj-AbC123def456', Buffer.alloc(32, 8))).not.toBe(hash)
  })

  test('takes the place of secrets in every text of an event, and the event stays valid', () => {
    const secret = 'sk-proj-AbC123def456'
    const all = usageEvent({
      id: secret,
      key_id: secret,
      model: secret,
      provider: secret,
      team_id: secret,
      user_id: secret,
      environment: secret,
      metadata: { authorization: 'opaque-token', note: `used ${secret} here`, [secret]: 'x', plain: 'y' },
    })
    const parsed = parseUsageEvent(all)
    if (!parsed.ok) throw new Error(parsed.error)
    const { event, replaced } = hashEventSecrets(parsed.event, HASH_KEY)
    expect(JSON.stringify(event)).not.toMatch(/AbC123|opaque-token/)
    expect(event.keyId).toBe(hashSecret(secret, HASH_KEY))
    expect(event.metadata?.['plain']).toBe('y')
    expect(replaced).toBe(10)
  })

  test.each(['id', 'key_id', 'model', 'provider', 'team_id', 'user_id', 'environment'])(
    'takes the place of a secret that is in %s alone',
    (field) => {
      const parsed = parseUsageEvent(usageEvent({ [field]: 'sk-proj-AbC123def456' }))
      if (!parsed.ok) throw new Error(parsed.error)
      const { event, replaced } = hashEventSecrets(parsed.event, HASH_KEY)
      expect(JSON.stringify(event)).not.toContain('AbC123')
      expect(replaced).toBe(1)
    },
  )

  test('leaves an event without secrets as it is', () => {
    const parsed = parseUsageEvent(usageEvent({ metadata: { route: '/v1/chat/completions' } }))
    if (!parsed.ok) throw new Error(parsed.error)
    expect(hashEventSecrets(parsed.event, HASH_KEY)).toEqual({ event: parsed.event, replaced: 0 })
  })
})

describe('what is kept of a refused event', () => {
  test('holds no secret, by its look or by the name of its field', () => {
    const payload = safePayload(
      {
        key_id: SECRETS[0],
        headers: [{ Authorization: 'Basic dXNlcjpwYXNz', 'x-api-key': 'opaque' }],
        [`${SECRETS[3]}`]: 1,
      },
      HASH_KEY,
    )
    expect(JSON.stringify(payload)).not.toMatch(/abcdef123|dXNlcjp|opaque|Zm9vYmFy/)
  })

  test('is at most little more than 64 KiB of JSON, however large or deep it came', () => {
    let deep: unknown = 'end'
    for (let level = 0; level < 100_000; level += 1) deep = [deep]
    for (const raw of [
      deep,
      { a: '\u0000'.repeat(200_000) },
      Array(200_000).fill({}),
      { [`x${'y'.repeat(99_999)}`]: 1 },
    ]) {
      expect(Buffer.byteLength(JSON.stringify(safePayload(raw, HASH_KEY)))).toBeLessThan(70_000)
    }
  })

  test('shows no half of a secret that the limit cuts', () => {
    const secret = `sk-proj-${'Q7'.repeat(100)}`
    for (let before = 65_300; before < 65_600; before += 7) {
      const kept = JSON.stringify(safePayload({ a: `${'x '.repeat(before / 2)}${secret}` }, HASH_KEY))
      expect(kept).not.toContain('Q7Q7')
    }
  })

  test('holds nothing that a jsonb column refuses', () => {
    expect(safePayload({ 'a\0': 'b\0c', d: '\ud83d' }, HASH_KEY)).toEqual({
      'a\ufffd': 'b\ufffdc',
      d: '\ufffd',
    })
  })

  test('is the same JSON when there is nothing to hide', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (raw) => {
        const storable = JSON.stringify(raw).replaceAll('\\u0000', '\ufffd')
        expect(JSON.stringify(safePayload(raw, HASH_KEY))).toBe(storable)
      }),
    )
  })
})
