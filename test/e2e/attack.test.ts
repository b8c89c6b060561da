import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, test } from 'vitest'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { startSmtpSink, type SmtpSink } from '../harness/smtp-sink.ts'
import { history, serversFor, theft, type BackendName, type Servers } from './gateway.ts'
import { eventually, KeyhoundProcess, runKeyhound } from './keyhound-process.ts'

const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const KEY = 'billing-prod'

/** Two daemons, three channels, a gateway that can revoke: the whole of keyhound around one key. */
class Scenario {
  readonly servers: Servers
  readonly slack: HttpSink
  readonly siem: HttpSink
  readonly gateway: HttpSink
  readonly mail: SmtpSink
  readonly daemons: KeyhoundProcess[] = []
  readonly configFile: string

  private constructor(
    parts: Pick<Scenario, 'servers' | 'slack' | 'siem' | 'gateway' | 'mail' | 'configFile'>,
  ) {
    this.servers = parts.servers
    this.slack = parts.slack
    this.siem = parts.siem
    this.gateway = parts.gateway
    this.mail = parts.mail
    this.configFile = parts.configFile
  }

  static async open(backend: BackendName, revoke = 'mode: dry_run'): Promise<Scenario> {
    const [servers, slack, siem, gateway, mail] = await Promise.all([
      serversFor(backend),
      startHttpSink(),
      startHttpSink(),
      startHttpSink(),
      startSmtpSink(),
    ])
    slack.answerAlways({ body: 'ok' })
    const configFile = join(await mkdtemp(join(tmpdir(), 'kh-test-')), 'alerts.yaml')
    await writeFile(
      configFile,
      `version: 1
channels:
  oncall: { type: slack, url: "${slack.url}/services/T0/B0/x" }
  security: { type: email, smtp: "${mail.url}", from: keyhound@example.com, to: [security@example.com] }
  siem: { type: webhook, url: "${siem.url}/keyhound", secret: "\${WEBHOOK_SECRET}" }
routes:
  - match: { severity: critical }
    channels: [oncall, security, siem]
  - channels: [oncall, security, siem]
notify: { group_wait: 2s }
schedule: { tick: 1s }
revoke:
  ${revoke}
  action: { type: webhook, url: "${gateway.url}/revoke", secret: "\${WEBHOOK_SECRET}" }
`,
    )
    return new Scenario({ servers, slack, siem, gateway, mail, configFile })
  }

  get env(): Record<string, string> {
    return {
      ...this.servers.env,
      WEBHOOK_SECRET,
      KEYHOUND_CONFIG: this.configFile,
      KEYHOUND_API_TOKENS: 'e2e-token-of-the-test',
    }
  }

  async startDaemon(): Promise<KeyhoundProcess> {
    const daemon = new KeyhoundProcess(['start'], this.env)
    this.daemons.push(daemon)
    await daemon.ready()
    return daemon
  }

  async push(jobs: readonly unknown[]): Promise<void> {
    const queue = this.servers.openQueue()
    await queue.push(jobs)
    await queue.close()
  }

  async query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.servers.databaseUrl })
    await client.connect()
    try {
      return (await client.query<Row>(text)).rows
    } finally {
      await client.end()
    }
  }

  /** The thief's requests, as stored and as counted. */
  async thefts(): Promise<{ raw: number; rolled: number } | undefined> {
    const [row] = await this.query<{ raw: number; rolled: number }>(
      `select (select count(*)::int from usage_event where model = 'claude-opus-4-1') as raw,
              (select sum(requests)::int from usage_rollup where model = 'claude-opus-4-1') as rolled`,
    )
    return row
  }

  /** Lets keyhound learn what is usual for the key. */
  async learn(): Promise<void> {
    await this.push(history(KEY, Date.now()))
    await eventually('the history has been learnt', async () => {
      const [row] = await this.query<{ learnt: boolean }>(
        `select learned_until > now() - interval '3 hours' as learnt from profile where key_id = '${KEY}'`,
      )
      return row?.learnt
    })
  }

  /** Bodies of the signed webhooks, each checked with the reference implementation of the receiver's side. */
  webhooks(sink: HttpSink = this.siem): { id: string; type: string; data: Record<string, never> }[] {
    return sink.requests.map(({ headers, body }) => {
      const verified = new Webhook(WEBHOOK_SECRET).verify(body, headers as Record<string, string>)
      return {
        id: String(headers['webhook-id']),
        ...(verified as { type: string; data: Record<string, never> }),
      }
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.stop('SIGKILL')))
    await Promise.all([this.slack, this.siem, this.gateway, this.mail].map((sink) => sink.close()))
    await rm(dirname(this.configFile), { recursive: true, force: true })
  }
}

let scenario: Scenario | undefined
afterEach(async () => {
  await scenario?.close()
  scenario = undefined
})

describe.each(['redis', 'postgres'] as const)('with the queue on %s', (backend) => {
  test(
    'one attack is one message on each of three channels, with two daemons running',
    { timeout: 90_000 },
    async () => {
      scenario = await Scenario.open(backend)
      await Promise.all([scenario.startDaemon(), scenario.startDaemon()])
      await scenario.learn()

      await scenario.push([theft(KEY, Date.now())])
      const { slack, siem, mail } = scenario
      await Promise.all([slack.waitFor(1, 30_000), siem.waitFor(1, 30_000), mail.waitFor(1, 30_000)])
      // Several more ticks of both daemons find the same attack.
      await delay(5_000)

      expect([slack.requests.length, siem.requests.length, mail.mails.length]).toEqual([1, 1, 1])
      expect(slack.requests[0]?.body).toContain(KEY)
      expect(slack.requests[0]?.body).toContain('DRY RUN')
      expect(mail.mails[0]?.raw).toMatch(/^Subject: .*CRITICAL.*/m)
      const [message] = scenario.webhooks()
      expect(message).toMatchObject({
        type: 'alert.opened',
        data: { alert: { key_id: KEY, severity: 'critical', status: 'firing' }, key: { key_id: KEY } },
      })
      const alerts = await scenario.query<{ detector: string; count: number }>(
        `select detector, count(*)::int as count from alert where key_id = '${KEY}' group by detector`,
      )
      expect(alerts.map((row) => row.detector)).toEqual(
        expect.arrayContaining(['volume_spike', 'unusual_geo', 'unfamiliar_model']),
      )
      expect(alerts.every((row) => row.count === 1)).toBe(true)
      expect(scenario.gateway.requests).toEqual([])
    },
  )

  test(
    'an attack is told in full although a daemon is killed with -9 in the middle',
    { timeout: 90_000 },
    async () => {
      scenario = await Scenario.open(backend)
      const [first] = await Promise.all([scenario.startDaemon(), scenario.startDaemon()])
      await scenario.learn()

      await scenario.push(Array.from({ length: 20 }, () => theft(KEY, Date.now(), 40)))
      await first.stop('SIGKILL')
      const replacement = await scenario.startDaemon()
      const { slack, siem, mail } = scenario
      await Promise.all([slack.waitFor(1, 40_000), siem.waitFor(1, 40_000), mail.waitFor(1, 40_000)])
      await delay(3_000)

      expect(replacement.pid).not.toBe(first.pid)
      // A message whose sender died between sending and noting it goes out again, under the same id.
      expect(new Set(scenario.webhooks().map((message) => message.id)).size).toBe(1)
      // What the killed daemon had in hand comes back when its locks end, after 15 to 20 seconds.
      await eventually(
        'every request of the thief is stored',
        async () => (await scenario?.thefts())?.raw === 800,
        40_000,
      )
      expect(await scenario.thefts()).toEqual({ raw: 800, rolled: 800 })
      expect(new Set(scenario.webhooks().map((message) => message.id)).size).toBe(1)
    },
  )
})

describe('revocation', () => {
  test(
    'in mode auto the gateway is called once, signed, and people are told',
    { timeout: 90_000 },
    async () => {
      scenario = await Scenario.open('redis', 'mode: auto')
      await Promise.all([scenario.startDaemon(), scenario.startDaemon()])
      await scenario.learn()
      await scenario.push([theft(KEY, Date.now())])

      await scenario.gateway.waitFor(1, 30_000)
      await eventually('people are told', () =>
        scenario?.webhooks().some(({ type }) => type === 'key.revoked'),
      )
      expect(scenario.webhooks(scenario.gateway)).toMatchObject([
        { type: 'key.revoke', data: { key: { key_id: KEY } } },
      ])
      expect(await scenario.query(`select state from api_key where key_id = '${KEY}'`)).toEqual([
        { state: 'revoked' },
      ])
    },
  )

  test(
    'complaint 6: a gateway that accepts the revocation and goes on taking the key is found out and called again',
    { timeout: 120_000 },
    async () => {
      scenario = await Scenario.open('redis', 'mode: auto\n  grace: 10s')
      await Promise.all([scenario.startDaemon(), scenario.startDaemon()])
      await scenario.learn()
      await scenario.push([theft(KEY, Date.now())])
      const [first] = await scenario.gateway.waitFor(1, 30_000)
      await eventually(
        'the gateway is called again',
        async () => {
          await scenario?.push([theft(KEY, Date.now())])
          return scenario?.gateway.requests[1] !== undefined
        },
        60_000,
      )
      const id = first?.headers['webhook-id']
      expect(scenario.gateway.requests[1]?.headers['webhook-id']).toBe(`${String(id)}-2`)
      await eventually('people are told that it is not effective', () =>
        scenario
          ?.webhooks()
          .some(
            ({ type, data }) =>
              type === 'alert.opened' && JSON.stringify(data).includes('revoke_not_effective'),
          ),
      )
    },
  )

  test(
    'in mode approve nothing is called until a person says so, and restore undoes it',
    { timeout: 90_000 },
    async () => {
      scenario = await Scenario.open('postgres', 'mode: approve')
      await scenario.startDaemon()
      await scenario.learn()
      await scenario.push([theft(KEY, Date.now())])
      await scenario.siem.waitFor(1, 30_000)
      expect(scenario.gateway.requests).toEqual([])

      const revoked = await runKeyhound(
        ['keys', 'revoke', KEY, '--reason', 'the owner is asleep'],
        scenario.env,
      )
      expect(revoked).toMatchObject({ code: 0, stdout: `${KEY}: revoked\n` })
      const restored = await runKeyhound(
        ['keys', 'restore', KEY, '--reason', 'new address of the office'],
        scenario.env,
      )
      expect(restored).toMatchObject({ code: 0, stdout: `${KEY}: restored\n` })
      expect(scenario.webhooks(scenario.gateway).map(({ type }) => type)).toEqual([
        'key.revoke',
        'key.restore',
      ])
      const audit = await scenario.query<{ actor: string }>(
        `select actor from audit where key_id = '${KEY}' order by id`,
      )
      expect(audit.some(({ actor }) => actor.startsWith('cli:'))).toBe(true)
    },
  )

  test('a protected key is revoked by nobody', { timeout: 90_000 }, async () => {
    scenario = await Scenario.open('postgres', 'mode: auto\n  protect: ["billing-*"]')
    await scenario.startDaemon()
    await scenario.learn()
    await scenario.push([theft(KEY, Date.now())])
    const [request] = await scenario.slack.waitFor(1, 30_000)
    const byHand = await runKeyhound(['keys', 'revoke', KEY], scenario.env)

    expect(request?.body).toContain('protected')
    expect(byHand.code).toBe(1)
    expect(byHand.stderr).toContain('revoke.protect')
    expect(scenario.gateway.requests).toEqual([])
  })
})
