import { describe, expect, test } from 'vitest'
import { describeAnswer, judgeStatus } from '../../src/outbound/http-answer.ts'
import { parseRetryAfter } from '../../src/outbound/retry-after.ts'
import { Secret } from '../../src/secret.ts'

describe('the status of an answer', () => {
  test.each([
    [200, 'accepted'],
    [201, 'accepted'],
    [202, 'accepted'],
    [204, 'accepted'],
    [299, 'accepted'],
    [301, 'for good'],
    [302, 'for now'],
    [303, 'for now'],
    [304, 'for good'],
    [307, 'for now'],
    [308, 'for good'],
    [400, 'for good'],
    [401, 'for good'],
    [403, 'for good'],
    [404, 'for good'],
    [408, 'for now'],
    [409, 'for good'],
    [410, 'for good'],
    [413, 'for good'],
    [422, 'for good'],
    [425, 'for now'],
    [429, 'for now'],
    [500, 'for now'],
    [501, 'for now'],
    [502, 'for now'],
    [503, 'for now'],
    [504, 'for now'],
    [599, 'for now'],
  ])('%i is %s', (status, meaning) => {
    const verdict = judgeStatus(status)
    const said = verdict.kind === 'accepted' ? 'accepted' : verdict.retryable ? 'for now' : 'for good'
    expect(said).toBe(meaning)
  })
})

describe('an answer that is shown', () => {
  const secrets = [
    new Secret('https://hooks.example.com/services/T0001234/B0005678/abcdefghijkl?token=qwertyuiop'),
  ]
  const shown = (text: string): string =>
    describeAnswer({ status: 404, text, retryAfterMs: undefined }, secrets)

  test('is one short line', () => {
    expect(shown('no_service')).toBe('answered 404: no_service')
    expect(shown('')).toBe('answered 404')
    expect(shown(`a\r\nb\u001B[31m${'c'.repeat(500)}`)).toHaveLength('answered 404: '.length + 200)
    expect(shown('a\r\nb\u001B[31mc')).toBe('answered 404: a b [31mc')
  })

  test('has the pieces of our address cut out of it', () => {
    expect(shown('Cannot POST /services/T0001234/B0005678/abcdefghijkl?token=qwertyuiop')).toBe(
      'answered 404: Cannot POST /[secret]/[secret]/[secret]/[secret]?token=[secret]',
    )
  })
})

describe('Retry-After', () => {
  const nowMs = Date.parse('2026-03-02T03:00:00Z')
  test.each([
    ['120', 120_000],
    ['0', 0],
    [' 5 ', 5_000],
    ['1.5', 1_500],
    ['Mon, 02 Mar 2026 03:01:00 GMT', 60_000],
    ['Mon, 02 Mar 2026 02:00:00 GMT', 0],
    ['-5', undefined],
    ['soon', undefined],
    ['', undefined],
    [null, undefined],
    ['2026', 2_026_000],
    ['99999999999', undefined],
  ])('%s means %s ms', (header, ms) => {
    expect(parseRetryAfter(header, nowMs)).toBe(ms)
  })
})
