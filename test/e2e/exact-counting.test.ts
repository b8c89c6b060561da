import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { serversFor, type Servers } from './gateway.ts'
import { eventually, KeyhoundProcess } from './keyhound-process.ts'

const EVENTS = 10_000
const REPEATED = EVENTS / 20
const BROKEN = EVENTS / 50

let daemons: KeyhoundProcess[] = []
afterEach(async () => {
  await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')))
  daemons = []
})

async function startDaemon(servers: Servers): Promise<KeyhoundProcess> {
  const daemon = new KeyhoundProcess(['start', '--role', 'ingest'], servers.env)
  daemons.push(daemon)
  await daemon.ready()
  return daemon
}

/** What is stored, and what the rollups say of it. */
async function counted(databaseUrl: string): Promise<{ raw: number; rolled: number; rejected: number }> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ raw: number; rolled: number; rejected: number }>(
      `select (select count(*)::int from usage_event) as raw,
              (select coalesce(sum(requests), 0)::int from usage_rollup) as rolled,
              (select count(*)::int from rejected_event) as rejected`,
    )
    return rows[0] ?? { raw: 0, rolled: 0, rejected: 0 }
  } finally {
    await client.end()
  }
}

/** Pushes from another process: 10,000 different events, 1 in 20 twice, and 1 broken one for every 50. */
async function pushFromOutside(servers: Servers, perJob: number): Promise<void> {
  const child = fork(join(import.meta.dirname, 'push-events.ts'), { env: { ...process.env, ...servers.env } })
  child.send({ events: EVENTS, repeated: REPEATED, broken: BROKEN, perJob })
  const [code] = (await once(child, 'exit')) as [number]
  expect(code).toBe(0)
}

describe.each(['redis', 'postgres'] as const)('with the queue on %s', (backend) => {
  describe.each([1, 100])('and %i events in a job', (perJob) => {
    test(
      '10,000 events end as exactly 10,000 rows, although ingest is killed with -9 in the middle',
      { timeout: 120_000 },
      async () => {
        const servers = await serversFor(backend)
        const [victim] = await Promise.all([startDaemon(servers), startDaemon(servers)])
        const pushed = pushFromOutside(servers, perJob)
        await eventually(
          'ingest is in the middle of it',
          async () => (await counted(servers.databaseUrl)).raw > 500,
        )
        await victim.stop('SIGKILL')
        await pushed
        await startDaemon(servers)

        await eventually(
          'everything has been stored',
          async () => {
            const { raw, rejected } = await counted(servers.databaseUrl)
            return raw >= EVENTS && rejected >= BROKEN
          },
          60_000,
        )
        expect(await counted(servers.databaseUrl)).toEqual({ raw: EVENTS, rolled: EVENTS, rejected: BROKEN })
      },
    )
  })
})
