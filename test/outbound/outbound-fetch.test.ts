import { once } from 'node:events'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import { OutboundError } from '../../src/outbound/outbound-error.ts'
import { TEST_CERTIFICATE, TEST_CERTIFICATE_KEY } from '../harness/certificate.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'

const LOOPBACK = ['127.0.0.0/8', '::1/128']
let sink: HttpSink

beforeAll(async () => {
  sink = await startHttpSink()
})
afterAll(() => sink.close())

describe('fetching from outside', () => {
  test('sends the request as it is and gives the answer', async () => {
    sink.answerNext({ status: 202, headers: { 'x-answer': 'yes' }, body: 'taken' })
    const response = await outboundFetch({ allowPrivate: LOOPBACK })(`${sink.url}/in?a=1`, {
      method: 'POST',
      headers: { 'x-mine': '1' },
      body: 'text',
    })
    expect([response.status, response.headers.get('x-answer'), await response.text()]).toEqual([
      202,
      'yes',
      'taken',
    ])
    expect(sink.requests.at(-1)).toMatchObject({ method: 'POST', path: '/in?a=1', body: 'text' })
  })

  const port = (): string => new URL(sink.url).port
  test.each([
    '127.0.0.1',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '2130706433',
    '0x7f.1',
    '127.1',
    '0.0.0.0',
    '[::]',
  ])('does not connect to this machine under the name %s', async (host) => {
    const before = sink.requests.length
    const error = await failure(outboundFetch({ allowPrivate: [] })(`http://${host}:${port()}/secret-path`))
    expect(error.kind).toBe('blocked')
    expect(error.retryable).toBe(false)
    expect(error.message).toContain('network.allow_private')
    expect(sink.requests.length).toBe(before)
  })

  test('does not connect to a name of which only one address is inside', async () => {
    const before = sink.requests.length
    const fetchOutside = outboundFetch({
      allowPrivate: [],
      lookup: (_name, _options, callback) =>
        callback(null, [
          { address: '8.8.8.8', family: 4 },
          { address: '127.0.0.1', family: 4 },
        ]),
    })
    const error = await failure(fetchOutside(`http://rebinding.example:${port()}/`))
    expect(error.message).toContain('127.0.0.1')
    expect(sink.requests.length).toBe(before)
  })

  test('connects to the very address that was judged, without asking for it again', async () => {
    let asked = 0
    const fetchOutside = outboundFetch({
      allowPrivate: ['127.0.0.1/32'],
      lookup: (_name, _options, callback) => {
        asked += 1
        callback(null, [{ address: asked === 1 ? '127.0.0.1' : '8.8.8.8', family: 4 }])
      },
    })
    const response = await fetchOutside(`http://some.example:${port()}/`)
    expect([response.status, asked]).toEqual([200, 1])
  })

  test.each([
    'ftp://example.com/x',
    'data:text/plain,hello',
    'file:///etc/passwd',
    'no url at all',
    'https://user:pass@example.com/',
  ])('refuses %s and does not quote it', async (address) => {
    const error = await failure(outboundFetch({ allowPrivate: LOOPBACK })(address))
    expect(error.kind).toBe('invalid_url')
    expect(`${error.message}${error.stack}`).not.toContain(address)
  })

  test('returns a redirect instead of following it, even when asked to follow', async () => {
    const before = sink.requests.length
    sink.answerNext({ status: 302, headers: { location: `${sink.url}/elsewhere` } })
    const response = await outboundFetch({ allowPrivate: LOOPBACK })(sink.url, { redirect: 'follow' })
    expect(response.status).toBe(302)
    expect(sink.requests.length).toBe(before + 1)
  })

  test('gives up when no answer comes in time, and says so', async () => {
    sink.answerNext({ delayMs: 5_000 })
    const error = await failure(outboundFetch({ allowPrivate: LOOPBACK, timeoutMs: 100 })(sink.url))
    expect([error.kind, error.message, error.retryable]).toEqual(['timeout', 'no answer within 0.1 s', true])
  })

  test('gives up when the body does not end in time', async () => {
    const server = createServer((_request, response) => void response.writeHead(200).write('begun'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port: slow } = server.address() as AddressInfo
    const error = await failure(
      outboundFetch({ allowPrivate: LOOPBACK, timeoutMs: 100 })(`http://127.0.0.1:${slow}/`),
    )
    expect(error.kind).toBe('timeout')
    server.closeAllConnections()
    server.close()
  })

  test('ends when the caller cancels', async () => {
    sink.answerNext({ delayMs: 5_000 })
    const error = await failure(
      outboundFetch({ allowPrivate: LOOPBACK })(sink.url, { signal: AbortSignal.timeout(50) }),
    )
    expect(error.kind).toBe('cancelled')
  })

  test('reads no more of an answer than allowed, also of a packed one', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' })
      response.end(gzipSync('x'.repeat(10_000_000)))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port: bomb } = server.address() as AddressInfo
    const response = await outboundFetch({ allowPrivate: LOOPBACK, maxBodyBytes: 1_000 })(
      `http://127.0.0.1:${bomb}/`,
    )
    expect(await response.text()).toBe('x'.repeat(1_000))
    expect(response.headers.get('content-encoding')).toBeNull()
    server.closeAllConnections()
    server.close()
  })

  test('tells a cut connection and a refused one apart, both worth another try', async () => {
    sink.answerNext({ reset: true })
    const cut = await failure(outboundFetch({ allowPrivate: LOOPBACK })(sink.url))
    expect([cut.kind, cut.message.startsWith('the connection was closed')]).toEqual(['network', true])
    const closed = await startHttpSink()
    await closed.close()
    const refused = await failure(outboundFetch({ allowPrivate: LOOPBACK })(closed.url))
    expect([refused.message, refused.retryable]).toEqual(['the connection was refused (ECONNREFUSED)', true])
  })

  test('trusts no certificate that nobody vouches for', async () => {
    const server = createHttpsServer(
      { cert: TEST_CERTIFICATE, key: TEST_CERTIFICATE_KEY },
      (_request, response) => response.end(),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port: tls } = server.address() as AddressInfo
    const error = await failure(outboundFetch({ allowPrivate: LOOPBACK })(`https://127.0.0.1:${tls}/`))
    expect(error.message).toContain('no secure connection')
    server.closeAllConnections()
    server.close()
  })
})

async function failure(answer: Promise<Response>): Promise<OutboundError> {
  const error: unknown = await answer.then(
    (response) => new Error(`answered ${response.status}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof OutboundError)) throw error
  return error
}
