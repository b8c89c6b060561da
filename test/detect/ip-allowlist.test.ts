import { describe, expect, test } from 'vitest'
import { ipAllowlist } from '../../src/detect/detectors/ip-allowlist.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { find, NOON_MS, source, usage } from './history.ts'

const nowMs = NOON_MS + 30 * 60_000
const fresh = emptyProfile({ keyId: 'key-7', firstSeenMs: NOON_MS, timeZone: 'UTC' })
const from = (address: string, cell: Parameters<typeof source>[0] = {}) =>
  source({ address, firstMs: nowMs - 60_000, ...cell })
const judge = (sources: readonly ReturnType<typeof source>[], ranges: readonly string[]) =>
  find(ipAllowlist, { usage: usage([{}], nowMs, sources), profile: fresh, nowMs }, { ranges })

describe('ip_allowlist', () => {
  test('fires at once, without learning, on use from outside the ranges, the busiest address first', () => {
    const sources = [
      from('10.1.2.3', { requests: 50 }),
      from('203.0.113.7', { requests: 2, country: 'RO' }),
      from('198.51.100.4', { requests: 9, country: undefined }),
    ]
    const [finding, ...more] = judge(sources, ['10.0.0.0/8'])
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      severity: 'critical',
      summary:
        'key-7 was used from 198.51.100.4, 203.0.113.7 (RO), outside the ranges that are allowed for it (11 requests)',
      evidence: {
        observed: [
          { address: '198.51.100.4', country: null, requests: 9 },
          { address: '203.0.113.7', country: 'RO', requests: 2 },
        ],
        expected: { ranges: ['10.0.0.0/8'], ranges_in_all: 1 },
        addresses_outside: 2,
        addresses: 3,
        setting: 'detectors.ip_allowlist.ranges: [10.0.0.0/8]',
      },
    })
  })

  test('is off until ranges are given', () => {
    expect(judge([from('203.0.113.7')], [])).toEqual([])
  })

  test.each([
    ['10.1.2.3', ['10.1.2.0/24'], true],
    ['10.1.3.3', ['10.1.2.0/24'], false],
    ['203.0.113.7', ['10.0.0.0/8', '203.0.113.7'], true],
    ['203.0.113.8', ['203.0.113.7'], false],
    ['203.0.113.8', ['0.0.0.0/0'], true],
    ['2001:db8::5', ['2001:db8::/32'], true],
    ['2001:db9::5', ['2001:db8::/32'], false],
    ['2001:db8::5', ['0.0.0.0/0'], false],
    ['10.1.2.3', ['::/0'], false],
    ['10.1.2.3', ['::ffff:10.1.0.0/112'], true],
  ])('%s within %j: %s', (address, ranges, isInside) => {
    expect(judge([from(address)], ranges)).toHaveLength(isInside ? 0 : 1)
  })

  test('what was before the last ten minutes, or was refused, is not judged', () => {
    const past = from('203.0.113.7', { firstMs: nowMs - 11 * 60_000 })
    const refused = from('203.0.113.8', { requests: 3, refused: 3 })
    expect(judge([past, refused], ['10.0.0.0/8'])).toEqual([])
  })

  test.each(['10.0.0.0/33', 'localhost', '10.0.0.0-10.0.0.9', '', '::/129'])('"%s" is no range', (text) => {
    expect(ipAllowlist.settings.safeParse({ ranges: [text] }).success).toBe(false)
  })
})
