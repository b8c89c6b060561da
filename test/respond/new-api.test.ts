import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SWITCH } from '../../src/respond/revoker.ts'
import { startHttpSink, type HttpSink, type RecordedRequest, type SinkAnswer } from '../harness/http-sink.ts'
import { callOf, failureOf, inTime, openRevoker, revokerContract } from './revoker-contract.ts'

const ANNS = 'anns-system-access-token'
const BOBS = 'bobs-system-access-token'
const settings = (url: string) => ({
  type: 'new_api',
  url,
  owners: [
    { keys: ['4*'], user_id: 7, access_token: ANNS },
    { keys: ['9', '10'], user_id: 8, access_token: BOBS },
  ],
})
const call = callOf({ keyId: '42' })

/** Like controller/token.go: needs both headers to agree, knows only the owner's tokens, says no with HTTP 200. */
function newApi({ method, path, headers, body }: RecordedRequest): SinkAnswer {
  const users: Record<string, string> = { [`Bearer ${ANNS}`]: '7', [`Bearer ${BOBS}`]: '8' }
  const user = users[headers.authorization ?? '']
  if (user === undefined || headers['new-api-user'] !== user) {
    return { status: 401, body: JSON.stringify({ success: false, message: 'New-Api-User does not match' }) }
  }
  const { id, status } = JSON.parse(body) as { id: number; status: number }
  if (
    method !== 'PUT' ||
    path !== '/api/token/?status_only=true' ||
    String(id).startsWith('4') !== (user === '7')
  ) {
    return { body: JSON.stringify({ success: false, message: 'record not found' }) }
  }
  return { body: JSON.stringify({ success: true, message: '', data: { id, status, name: 'ci' } }) }
}

revokerContract('new-api', {
  settings,
  call: { keyId: '42' },
  capabilities: SWITCH,
  means: 'disable',
  answers: newApi,
  secrets: [ANNS, BOBS],
})

describe('new-api', () => {
  let sink: HttpSink
  beforeEach(async () => {
    sink = await startHttpSink()
    sink.answerAlways(newApi)
  })
  afterEach(() => sink.close())

  test('is asked to change the status only, by the number of the token and as its owner', async () => {
    const revoker = openRevoker(settings(sink.url))
    await revoker.revoke(call, inTime())
    await revoker.restore(callOf({ keyId: '9' }), inTime())
    expect(
      sink.requests.map(({ method, path, headers, body }) => [
        method,
        path,
        headers['new-api-user'],
        JSON.parse(body) as unknown,
      ]),
    ).toEqual([
      ['PUT', '/api/token/?status_only=true', '7', { id: 42, status: 2 }],
      ['PUT', '/api/token/?status_only=true', '8', { id: 9, status: 1 }],
    ])
  })

  test.each([
    ['record not found', false],
    ['令牌已过期，无法启用', false],
    ['database is locked', true],
    ['', false],
  ])('HTTP 200 with success false and "%s" is a failure', async (message, retryable) => {
    sink.answerAlways({ body: JSON.stringify({ success: false, message }) })
    const error = await failureOf(openRevoker(settings(sink.url)).revoke(call, inTime()))
    expect(error.retryable).toBe(retryable)
    expect(error.message).toContain(`refused all the same: ${message}`)
  })

  test('complaint 6: success with the token in its old status is no revocation', async () => {
    sink.answerAlways({ body: JSON.stringify({ success: true, data: { id: 42, status: 1 } }) })
    expect((await failureOf(openRevoker(settings(sink.url)).revoke(call, inTime()))).retryable).toBe(true)
  })

  test('of a release that answers without the token is believed for now', async () => {
    sink.answerAlways({ body: JSON.stringify({ success: true, message: '' }) })
    expect(await openRevoker(settings(sink.url)).revoke(call, inTime())).toMatchObject({
      receipt: expect.stringContaining('status 2') as string,
    })
  })

  test('is not asked about a key of nobody, nor by an id that is no number', async () => {
    const revoker = openRevoker(settings(sink.url))
    const nobodys = await failureOf(revoker.revoke(callOf({ keyId: '77' }), inTime()))
    expect(nobodys.message).toContain('no user under owners has this key')
    const unknown = await failureOf(revoker.revoke(callOf({ keyId: '4-prod' }), inTime()))
    expect(unknown.message).toContain('key_id is "4-prod", and the number of the token in new-api is needed')
    expect([nobodys.retryable, unknown.retryable, sink.requests.length]).toEqual([false, false, 0])
  })
})
