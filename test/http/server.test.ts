import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startHttpServer } from '../../src/http/server.ts'
import type { OperatorStore } from '../../src/store/operator-store.ts'
import { StoreUnavailableError } from '../../src/store/usage-store.ts'
import { type Api, startApi, TOKEN } from './api.ts'

describe('who may use the API', () => {
  const alerts = { listAlerts: async () => ({ alerts: [], cursor: undefined }) } as unknown as OperatorStore

  test('is who has one of the tokens', async () => {
    const api = await startApi({ operators: alerts, tokens: [TOKEN, 'second'] })
    expect((await api.call('/api/v1/alerts')).status).toBe(200)
    expect((await api.call('/api/v1/alerts', { token: 'second' })).status).toBe(200)
    expect(
      (await api.call('/api/v1/alerts', { token: '', headers: { authorization: `bearer ${TOKEN}` } })).status,
    ).toBe(200)
  })

  test.each([
    ['no header', {}, 'Bearer realm="keyhound"'],
    ['another scheme', { authorization: `Basic ${TOKEN}` }, 'Bearer realm="keyhound"'],
    ['an empty token', { authorization: 'Bearer ' }, 'Bearer realm="keyhound"'],
    ['another token', { authorization: 'Bearer nonsense' }, 'Bearer realm="keyhound", error="invalid_token"'],
    [
      'the beginning of a token',
      { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
      'Bearer realm="keyhound", error="invalid_token"',
    ],
    ['two tokens', { authorization: `Bearer ${TOKEN} ${TOKEN}` }, 'Bearer realm="keyhound"'],
  ])('is not who sends %s', async (_name, headers, challenge) => {
    const api = await startApi()
    const answer = await api.call('/api/v1/alerts', { token: '', headers: headers as Record<string, string> })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe(challenge)
    expect(answer.json).toMatchObject({ status: 401, title: 'Unauthorized' })
    expect(answer.text).not.toContain(TOKEN.slice(0, 8))
  })

  test.each([
    '/api/v1/alerts',
    '/api/v1/events',
    '/api/v1/keys/a/revoke',
    '/api/v1/nothing',
    '/%61pi/v1/alerts',
    '/api/v1/%61lerts',
  ])('must be known before %s says anything', async (path) => {
    const api = await startApi()
    for (const method of ['GET', 'POST', 'PUT', 'OPTIONS']) {
      expect((await api.call(path, { method, token: '' })).status).toBe(401)
    }
  })

  test('need not be known for health and metrics', async () => {
    const api = await startApi({ checks: { database: async () => {} } })
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      expect((await api.call(path, { token: '' })).status).toBe(200)
    }
  })

  test('nobody, when no token is configured', async () => {
    const api = await startApi({ tokens: [] })
    expect((await api.call('/api/v1/alerts')).status).toBe(401)
  })
})

describe('every answer that is not 2xx is application/problem+json:', () => {
  const problemOf = async (answer: Promise<Awaited<ReturnType<Api['call']>>>) => {
    const { status, headers, json } = await answer
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(json).toMatchObject({
      type: 'about:blank',
      status,
      instance: `urn:uuid:${headers.get('x-request-id')}`,
    })
    return json
  }

  test.each(['/nothing', '/api/v1/nothing', '/api/v2/alerts', '/'])('404 for %s', async (path) => {
    const api = await startApi()
    expect(await problemOf(api.call(path))).toMatchObject({
      title: 'Not Found',
      detail: 'There is nothing at this path.',
    })
  })

  test('405 with what is allowed', async () => {
    const api = await startApi()
    expect(await problemOf(api.call('/healthz', { method: 'POST', body: 'x' }))).toMatchObject({
      status: 405,
      detail: 'POST is not possible here; GET, HEAD is.',
    })
    const answer = await api.call('/api/v1/events', { method: 'DELETE' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
    expect((await api.call('/api/v1/events', { method: 'HEAD' })).status).toBe(405)
  })

  test('400 for a path that is wrongly encoded', async () => {
    const api = await startApi()
    expect(await problemOf(api.call('/api/v1/keys/%zz'))).toMatchObject({ status: 400 })
  })

  test('503 with Retry-After while the database is away', async () => {
    const operators = {
      listAlerts: async () => Promise.reject(new StoreUnavailableError('connect ECONNREFUSED /secret/place')),
    } as unknown as OperatorStore
    const api = await startApi({ operators })
    const answer = await api.call('/api/v1/alerts')
    expect(await problemOf(Promise.resolve(answer))).toMatchObject({
      status: 503,
      detail: 'The database cannot be reached. Try again.',
    })
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(answer.text).not.toContain('/secret/place')
  })

  test('500 that tells the log everything and the caller nothing', async () => {
    const operators = {
      listAlerts: async () => Promise.reject(new Error('at file:///srv/keyhound/x.ts')),
    } as unknown as OperatorStore
    const api = await startApi({ operators })
    const answer = await api.call('/api/v1/alerts?key_id=private')
    expect((await problemOf(Promise.resolve(answer))).status).toBe(500)
    expect(answer.text).not.toContain('srv')
    expect(api.errors).toMatchObject([
      { err: { message: 'at file:///srv/keyhound/x.ts' }, route: '/api/v1/alerts' },
    ])
    expect(JSON.stringify(api.errors)).not.toContain('private')
  })

  test('400 for what is not HTTP', async () => {
    const api = await startApi()
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    socket.end('nonsense\r\n\r\n')
    let text = ''
    socket.on('data', (chunk) => (text += String(chunk)))
    await once(socket, 'close')
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json/)
  })
})

describe('health', () => {
  test('/healthz answers as long as the process does', async () => {
    const api = await startApi({ withoutApi: true })
    expect(await api.call('/healthz')).toMatchObject({ status: 200, json: { status: 'ok' } })
    expect((await api.call('/healthz', { method: 'HEAD' })).status).toBe(200)
    expect((await api.call('/api/v1/alerts')).status).toBe(404)
  })

  test('/readyz names what works and what does not, without telling where it is', async () => {
    const api = await startApi({
      checks: {
        database: async () => {},
        queue: async () => {
          throw new Error('cannot reach redis://user:password@host', {
            cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }),
          })
        },
      },
    })
    const answer = await api.call('/readyz', { token: '' })
    expect(answer.status).toBe(503)
    expect(answer.json).toEqual({
      status: 'error',
      checks: { database: { status: 'ok' }, queue: { status: 'error', error: 'ECONNREFUSED' } },
    })
  })

  test('/readyz does not wait for ever', async () => {
    const api = await startApi({ checks: { database: async () => new Promise(() => {}) } })
    expect((await api.call('/readyz')).json).toMatchObject({
      checks: { database: { error: 'no answer in 3 seconds' } },
    })
  })

  test('/metrics is text for Prometheus', async () => {
    const api = await startApi()
    const answer = await api.call('/metrics', { token: '' })
    expect([answer.headers.get('content-type'), answer.text]).toEqual([
      'text/plain; version=0.0.4',
      'keyhound_up 1\n',
    ])
  })
})

describe('the server', () => {
  test('sends headers that keep answers out of caches and frames', async () => {
    const { headers } = await (await startApi()).call('/healthz')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.get('x-powered-by')).toBeNull()
  })

  test('counts answers by the pattern of their route, never by their path', async () => {
    const api = await startApi()
    await api.call('/api/v1/keys/key-of-a-customer/revoke', { method: 'POST' })
    await api.call('/wp-admin')
    expect(api.answered).toEqual(['/api/v1/keys/:key_id/revoke 400', 'none 404'])
  })

  test('says which variable to change when its port is taken', async () => {
    const api = await startApi()
    const port = Number(new URL(api.url).port)
    const second = startHttpServer({
      host: '127.0.0.1',
      port,
      checks: {},
      metricsText: async () => ({ contentType: 'text/plain', text: '' }),
      metrics: { answered: () => {}, secretReplaced: () => {} },
      log: { debug: () => {}, info: () => {}, error: () => {} },
      clock: { nowMs: () => 0 },
      api: undefined,
    })
    await expect(second).rejects.toThrow(
      `The HTTP server cannot listen on 127.0.0.1:${port} (KEYHOUND_HOST, KEYHOUND_PORT): EADDRINUSE`,
    )
  })
})
