import { describe, expect, test } from 'vitest'
import { containmentMs, containmentText, type Containment } from '../../src/alert/containment.ts'
import { messageOf } from '../../src/alert/message.ts'
import { responseText } from '../../src/alert/message-response.ts'
import { notificationOf } from '../notify/notifications.ts'

const at = (time: string): Date => new Date(`2026-03-02T${time}Z`)
const CONTAINMENT: Containment = {
  firstAbuseAt: at('03:00:00'),
  alertAt: at('03:00:14'),
  revokedAt: at('03:00:16'),
  confirmedAt: at('03:12:20'),
}
const revocationId = '0197f000-0000-7000-8000-00000000e001'

describe('how long an abuse went on', () => {
  test('is told from the first abusive request to each step', () => {
    expect(containmentText(CONTAINMENT)).toBe(
      'From the first abusive request: alert after 14 s, revoked after 16 s, confirmed after 12 min.',
    )
    expect(containmentText({ ...CONTAINMENT, confirmedAt: undefined })).toBe(
      'From the first abusive request: alert after 14 s, revoked after 16 s.',
    )
  })

  test('is not told when nobody knows when it began', () => {
    expect(containmentText({ ...CONTAINMENT, firstAbuseAt: undefined })).toBeUndefined()
  })

  test('is never less than nothing, although clocks differ', () => {
    expect(containmentMs({ ...CONTAINMENT, alertAt: at('02:59:59') }, 'alert')).toBe(0)
  })
})

describe('what a message says of a revocation', () => {
  const done = { revocationId, at: at('03:00:16'), containment: CONTAINMENT }

  test('complaint 6: accepted is one thing and confirmed another, each with its times', () => {
    expect(responseText({ kind: 'revoked', ...done })).toBe(
      'The gateway accepted the revocation at 2026-03-02 03:00 UTC. From the first abusive request: alert after 14 s, revoked after 16 s, confirmed after 12 min.',
    )
    expect(responseText({ kind: 'confirmed', ...done })).toContain(
      'Confirmed: nobody has used the key since. From the first abusive request: alert after 14 s',
    )
  })

  test('complaint 6: a key that is still used is told as such', () => {
    expect(responseText({ kind: 'pending', revocationId, round: 3 })).toBe(
      'The key was revoked and is STILL USED; keyhound calls the gateway again (round 3). Revoke it there by hand now.',
    )
  })

  test('a key that was only slowed down, or is gone for good, is told as that', () => {
    const containment = undefined
    expect(responseText({ kind: 'revoked', ...done, containment, means: 'throttle' })).toBe(
      'The project of the key was slowed down at 2026-03-02 03:00 UTC; the key still works, slowly.',
    )
    const deleted = { kind: 'revoked', ...done, containment, means: 'delete' } as const
    expect(responseText(deleted)).toBe('The key was deleted at 2026-03-02 03:00 UTC, for good.')
    const { steps } = messageOf(notificationOf({ type: 'key.revoked', response: deleted }))
    expect(steps.map(({ command }) => command).join()).not.toContain('restore')
  })

  test.each([
    ['a dry run', { kind: 'would_revoke', strikes: 1 } as const],
    ['a proposal', { kind: 'proposed', revocationId, strikes: 1 } as const],
    ['a revocation', { kind: 'revoked', ...done, strikes: 1 } as const],
  ])('complaint 7: %s of a key that was restored and is abused again says so', (_name, response) => {
    expect(responseText(response)).toMatch(/ Strike 2: the key was revoked and restored once before\.$/)
    expect(responseText({ ...response, strikes: 2 })).toContain(
      'Strike 3: the key was revoked and restored 2 times',
    )
  })
})
