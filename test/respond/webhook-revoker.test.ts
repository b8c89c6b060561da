import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { alertToJson } from '../../src/alert/alert.ts'
import { SWITCH } from '../../src/respond/revoker.ts'
import { alertOf } from '../alert/alerts.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { callOf, inTime, openRevoker, revokerContract } from './revoker-contract.ts'

const SECRET = 'a secret of more than 24 bytes'
const settings = (url: string) => ({ type: 'webhook', url: `${url}/very-secret-token`, secret: SECRET })

revokerContract('webhook', {
  settings,
  call: {},
  capabilities: SWITCH,
  means: 'disable',
  answers: () => ({ status: 202, body: 'done' }),
  secrets: [SECRET, 'very-secret-token'],
})

let sink: HttpSink
beforeEach(async () => {
  sink = await startHttpSink()
})
afterEach(() => sink.close())

describe('the webhook that revokes', () => {
  test.each([
    ['revoke', 'key.revoke'],
    ['restore', 'key.restore'],
  ] as const)('to %s posts a signed %s under the id of the request', async (act, type) => {
    sink.answerNext({ status: 202, body: 'done' })
    const call = callOf()
    expect(await openRevoker(settings(sink.url))[act](call, inTime())).toEqual({
      receipt: 'answered 202: done',
    })
    const [request] = sink.requests
    expect(request?.headers['webhook-id']).toBe(call.requestId)
    const receiver = new Webhook(Buffer.from(SECRET), { format: 'raw' })
    expect(receiver.verify(request?.body ?? '', request?.headers as Record<string, string>)).toEqual({
      type,
      timestamp: '2026-03-02T03:00:00.000Z',
      data: {
        alert: alertToJson(alertOf()),
        key: { key_id: 'key-1' },
        reason: 'critical alert of volume_spike',
      },
    })
  })

  test('says null where no alert led to it', async () => {
    await openRevoker(settings(sink.url)).revoke(callOf({ alert: undefined }), inTime())
    expect(JSON.parse(sink.requests[0]?.body ?? '')).toMatchObject({ data: { alert: null } })
  })
})
