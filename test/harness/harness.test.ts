import { createTransport } from 'nodemailer'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TEST_CERTIFICATE } from './certificate.ts'
import { testDatabase } from './database.ts'
import { startHttpSink, type HttpSink } from './http-sink.ts'
import { testRedisUrl } from './redis.ts'
import { startSmtpSink, type SmtpSink } from './smtp-sink.ts'

test('a test database has the tables of the queue and is nobody else’s', async () => {
  const urls = await Promise.all([testDatabase(), testDatabase()])
  const clients = urls.map((connectionString) => new pg.Client({ connectionString }))
  await Promise.all(clients.map((client) => client.connect()))
  const [first, second] = clients
  await first?.query('create table mine (id int)')
  const { rows } = (await second?.query(
    "select to_regclass('mine') as mine, to_regclass('bullmq.job') is not null as queue",
  )) ?? { rows: [] }
  await Promise.all(clients.map((client) => client.end()))
  expect(rows).toEqual([{ mine: null, queue: true }])
})

test('two Redis URLs of the harness do not share keys', async () => {
  const [one, two] = [new Redis(await testRedisUrl()), new Redis(await testRedisUrl())]
  await one.set('key', 'value')
  expect([await one.get('key'), await two.get('key')]).toEqual(['value', null])
  one.disconnect()
  two.disconnect()
})

describe('the HTTP sink', () => {
  let sink: HttpSink
  beforeAll(async () => void (sink = await startHttpSink()))
  afterAll(() => sink.close())

  test('records requests and answers as scripted, then as usual', async () => {
    sink.answerNext({ status: 429, headers: { 'retry-after': '7' }, body: 'slow' }, { reset: true })
    const post = () =>
      fetch(`${sink.url}/hook?a=1`, { method: 'POST', body: '{"n":1}', headers: { 'x-a': 'b' } })
    const limited = await post()
    expect([limited.status, limited.headers.get('retry-after'), await limited.text()]).toEqual([
      429,
      '7',
      'slow',
    ])
    await expect(post()).rejects.toThrow('fetch failed')
    expect((await post()).status).toBe(200)
    const [request] = await sink.waitFor(3)
    expect(request).toMatchObject({
      method: 'POST',
      path: '/hook?a=1',
      body: '{"n":1}',
      headers: { 'x-a': 'b' },
    })
  })

  test('says how much arrived when it waited in vain', async () => {
    await expect(sink.waitFor(99, 20)).rejects.toThrow('3 requests arrived within 20 ms; expected 99')
  })
})

describe('the SMTP sink', () => {
  let sink: SmtpSink
  beforeAll(
    async () => void (sink = await startSmtpSink({ auth: { user: 'kh', password: 'p@ss' }, startTls: true })),
  )
  afterAll(() => sink.close())

  test('asks for the password, refuses and drops as scripted, and records what it accepts', async () => {
    const mailer = createTransport({ url: sink.url, tls: { ca: TEST_CERTIFICATE } })
    const mail = { from: 'a@example.com', to: 'b@example.com', subject: 'Hello', text: 'body' }
    sink.answerNext({ kind: 'reject', code: 451 }, { kind: 'drop' })
    await expect(mailer.sendMail(mail)).rejects.toMatchObject({ responseCode: 451 })
    await expect(mailer.sendMail(mail)).rejects.toThrow(/closed|reset/i)
    await mailer.sendMail(mail)
    const [recorded] = await sink.waitFor(1)
    expect(recorded).toMatchObject({ from: 'a@example.com', to: ['b@example.com'], encrypted: true })
    expect(recorded?.raw).toContain('Subject: Hello')
    const stranger = createTransport({
      url: sink.url.replace('p%40ss', 'wrong'),
      tls: { ca: TEST_CERTIFICATE },
    })
    await expect(stranger.sendMail(mail)).rejects.toMatchObject({ responseCode: 535 })
  })
})
