import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { usageEvent } from '../harness/builders.ts'
import { startSmtpSink, type SmtpAnswer, type SmtpSink } from '../harness/smtp-sink.ts'
import { ChaosSink, seeded, type Taken } from './chaos-sink.ts'
import { serversFor, type Servers } from './gateway.ts'
import { eventually, KeyhoundProcess } from './keyhound-process.ts'

const SEED = Number(process.env['KEYHOUND_CHAOS_SEED'] ?? 7)
const ALERTS = 200
const KILLS = 6
const TOKEN = 'chaos-token-of-the-test'
const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

/** Two daemons, two webhooks and a mail server on a bad day. */
class Chaos {
  readonly random = seeded(SEED)
  readonly daemons: { process: KeyhoundProcess; url: Promise<string> }[] = []
  readonly servers: Servers
  readonly sinks: Readonly<Record<'siem' | 'soar', ChaosSink>>
  readonly mail: SmtpSink
  readonly configFile: string
  kills = 0

  private constructor(parts: Pick<Chaos, 'servers' | 'sinks' | 'mail' | 'configFile'>) {
    this.servers = parts.servers
    this.sinks = parts.sinks
    this.mail = parts.mail
    this.configFile = parts.configFile
  }

  static async open(): Promise<Chaos> {
    const [servers, siem, soar, mail] = await Promise.all([
      serversFor('redis'),
      ChaosSink.start(SEED + 1),
      ChaosSink.start(SEED + 2),
      startSmtpSink(),
    ])
    mail.answerNext(...mailMoods(seeded(SEED + 3)))
    const configFile = join(await mkdtemp(join(tmpdir(), 'kh-test-')), 'alerts.yaml')
    await writeFile(
      configFile,
      `version: 1
channels:
  siem: { type: webhook, url: "${siem.url}/keyhound", secret: "\${WEBHOOK_SECRET}" }
  soar: { type: webhook, url: "${soar.url}/keyhound", secret: "\${WEBHOOK_SECRET}" }
  security: { type: email, smtp: "${mail.url}", from: keyhound@example.com, to: [security@example.com] }
notify: { group_wait: 1s }
schedule: { tick: 1s, shards: 2 }
revoke: { mode: "off" }
detectors: { ip_allowlist: { ranges: [10.0.0.0/8] } }
`,
    )
    return new Chaos({ servers, sinks: { siem, soar }, mail, configFile })
  }

  start(place: number): void {
    const process = new KeyhoundProcess(['start'], {
      ...this.servers.env,
      WEBHOOK_SECRET,
      KEYHOUND_CONFIG: this.configFile,
      KEYHOUND_API_TOKENS: TOKEN,
    })
    const url = process.ready()
    url.catch(() => undefined) // killed before it was ready
    this.daemons[place] = { process, url }
  }

  /** Kills one of the two with -9 and starts another in its place. */
  async killOne(): Promise<void> {
    const place = this.random() < 0.5 ? 0 : 1
    await this.daemons[place]?.process.stop('SIGKILL')
    this.kills += 1
    this.start(place)
  }

  /** Asks one of the daemons, whichever is there, until it answers as it should: what a careful client does. */
  async ask(method: string, path: string, body?: unknown): Promise<Response> {
    return eventually(
      `${method} ${path}`,
      async () => {
        const daemon = this.daemons[this.random() < 0.5 ? 0 : 1]
        try {
          const url = await Promise.race([daemon?.url, delay(500)])
          if (url === undefined) return undefined
          const response = await fetch(`${url}/api/v1${path}`, {
            method,
            headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            signal: AbortSignal.timeout(5_000),
          })
          return response.ok ? response : undefined
        } catch {
          return undefined // it was killed in the middle
        }
      },
      60_000,
    )
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

  async close(): Promise<void> {
    await Promise.all(this.daemons.map(({ process }) => process.stop('SIGKILL')))
    await Promise.all([this.sinks.siem.goAway(), this.sinks.soar.goAway(), this.mail.close()])
    await rm(dirname(this.configFile), { recursive: true, force: true })
  }
}

/** How the mail server answers the first mails; later ones are taken. */
function mailMoods(random: () => number): SmtpAnswer[] {
  return Array.from({ length: ALERTS }, () => {
    const chance = random()
    if (chance < 0.05) return { kind: 'reject', code: 451 }
    return { kind: chance < 0.08 ? 'drop' : 'accept' }
  })
}

let chaos: Chaos | undefined
afterEach(async () => {
  await chaos?.close()
  chaos = undefined
})

test(
  'two daemons are killed again and again, sinks refuse, hang and go away: every alert arrives on every channel, in order',
  { timeout: 180_000 },
  async () => {
    const run = (chaos = await Chaos.open())
    const startedAt = performance.now()
    run.start(0)
    run.start(1)
    await Promise.all(run.daemons.map(({ url }) => url))

    await Promise.all([useKeysFromOutside(run), killAndRestart(run), letSinksGoAway(run)])
    await Promise.all(run.daemons.map(({ url }) => url))
    const alerts = await eventually(
      'every key has its alert',
      async () => {
        const rows = await run.query<{ id: string; key_id: string }>(
          'select id, key_id from alert order by key_id',
        )
        return new Set(rows.map(({ key_id: keyId }) => keyId)).size === ALERTS && rows
      },
      60_000,
    )
    await acknowledgeAll(
      run,
      alerts.map(({ id }) => id),
    )
    for (const sink of Object.values(run.sinks)) sink.getWell()
    const recoveredAt = performance.now()
    const left = await eventually(
      'nothing is left to deliver',
      async () => {
        const [row] = await run.query<{ waiting: number; failed: number; sent: number }>(
          `select count(*) filter (where state = 'pending')::int as waiting,
                  count(*) filter (where state = 'failed')::int as failed,
                  count(*) filter (where state = 'delivered')::int as sent
           from delivery`,
        )
        return row?.waiting === 0 && row
      },
      // What a killed sender had claimed is due again when its lease ends.
      120_000,
    )

    // No alert is lost, and none is there twice.
    expect(alerts).toHaveLength(ALERTS)
    expect(left.failed).toBe(0)
    const ids = alerts.map(({ id }) => id)
    for (const sink of Object.values(run.sinks)) expect(untold(sink.taken, ids)).toEqual([])
    expect(ids.filter((id) => !run.mail.mails.some(({ raw }) => unfolded(raw).includes(id)))).toEqual([])
    await expectIdsOfOneDelivery(run)
    for (const sink of Object.values(run.sinks)) expect(outOfOrder(sink.taken)).toEqual([])
    report(run, { startedAt, recoveredAt, sent: left.sent })
  },
)

/** Every key is used from outside its ranges; the events go to whichever daemon is there, over some ten seconds. */
async function useKeysFromOutside(run: Chaos): Promise<void> {
  const batches = 20
  for (let batch = 0; batch < batches; batch += 1) {
    const events = Array.from({ length: ALERTS / batches }, (_, index) => {
      const key = `chaos-${String(batch * (ALERTS / batches) + index).padStart(3, '0')}`
      return usageEvent({ key_id: key, timestamp: Date.now(), ip: '203.0.113.9' })
    })
    await run.ask('POST', '/events', events)
    await delay(500 * run.random())
  }
}

async function killAndRestart(run: Chaos): Promise<void> {
  for (let kill = 0; kill < KILLS; kill += 1) {
    await delay(1_000 + 2_000 * run.random())
    await run.killOne()
  }
}

/** Each webhook is away once for some seconds, the one after the other. */
async function letSinksGoAway({ sinks, random }: Chaos): Promise<void> {
  for (const sink of Object.values(sinks)) {
    await delay(2_000 + 2_000 * random())
    await sink.goAway()
    await delay(2_000 + 1_000 * random())
    await sink.comeBack()
  }
}

async function acknowledgeAll(run: Chaos, ids: readonly string[]): Promise<void> {
  for (let at = 0; at < ids.length; at += 10) {
    await Promise.all(
      ids.slice(at, at + 10).map((id) => run.ask('POST', `/alerts/${id}/acknowledge`, { note: 'chaos' })),
    )
  }
}

function untold(taken: readonly Taken[], ids: readonly string[]): string[] {
  const told = new Set(taken.flatMap(({ alertIds }) => alertIds))
  return ids.filter((id) => !told.has(id))
}

/** A webhook id belongs to one delivery: to one channel, one kind of message and one incident. */
async function expectIdsOfOneDelivery(run: Chaos): Promise<void> {
  const rows = await run.query<{ id: string; channel: string; type: string }>(
    'select id, channel, type from delivery',
  )
  const deliveries = new Map(rows.map((row) => [row.id, row]))
  for (const [channel, sink] of Object.entries(run.sinks)) {
    for (const { id, type } of sink.taken) expect(deliveries.get(id)).toMatchObject({ channel, type })
    for (const [, repeats] of Map.groupBy(sink.taken, ({ id }) => id)) {
      expect(new Set(repeats.map(({ alertId }) => alertId)).size).toBe(1)
    }
  }
}

const ORDER = ['alert.opened', 'alert.repeated', 'alert.acknowledged', 'alert.resolved']

/** Alerts of which something was told before what it follows from; repeats of a delivery do not count. */
function outOfOrder(taken: readonly Taken[]): string[] {
  const first = [...Map.groupBy(taken, ({ id }) => id).values()].flatMap(([earliest]) => earliest ?? [])
  return [...Map.groupBy(first, ({ alertId }) => alertId)].flatMap(([alertId, messages]) => {
    const steps = messages.map(({ type }) => ORDER.indexOf(type))
    return steps.every((step, index) => step >= (steps[index - 1] ?? 0)) ? [] : [alertId]
  })
}

function unfolded(mail: string): string {
  // Quoted-printable breaks long lines.
  return mail.replaceAll('=\r\n', '')
}

/** The figures, on standard output: sent, duplicates, worst delay after recovery. */
function report(
  run: Chaos,
  {
    startedAt,
    recoveredAt,
    sent,
  }: { readonly startedAt: number; readonly recoveredAt: number; readonly sent: number },
): void {
  const taken = Object.values(run.sinks).flatMap((sink) => sink.taken)
  const firsts = [...Map.groupBy(taken, ({ id }) => id).values()].flatMap(([earliest]) => earliest ?? [])
  const opened = firsts.filter(({ type }) => type === 'alert.opened')
  const worstMs = Math.max(...opened.map(({ atMs }) => atMs - recoveredAt))
  const moods = Object.entries(run.sinks).map(
    ([name, { moods: seen }]) => `${name} ${JSON.stringify(Object.fromEntries(seen))}`,
  )
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
  process.stdout.write(
    `chaos (seed ${SEED}): ${ALERTS} alerts, ${run.kills} kills, ${sent} deliveries sent on 3 channels; ` +
      `webhooks taken ${taken.length}, of them ${taken.length - firsts.length} duplicates; ` +
      `mails taken ${run.mail.mails.length}; worst delay after recovery ${seconds(Math.max(worstMs, 0))}; ` +
      `whole run ${seconds(performance.now() - startedAt)}; answers: ${moods.join(', ')}\n`,
  )
}
