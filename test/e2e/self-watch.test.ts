import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { testDatabase } from '../harness/database.ts'
import { startHttpSink } from '../harness/http-sink.ts'
import { startRedisServer } from '../harness/redis-server.ts'
import { eventually, KeyhoundProcess, runKeyhound } from './keyhound-process.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

test(
  'two daemons whose queue goes away stop their sign of life and tell it once; the digest of the week comes all the same, once',
  { timeout: 150_000 },
  async () => {
    const [siem, switchboard, redis] = await Promise.all([
      startHttpSink(),
      startHttpSink(),
      startRedisServer(),
    ])
    const folder = await mkdtemp(join(tmpdir(), 'kh-test-'))
    const daemons: KeyhoundProcess[] = []
    onTestFinished(async () => {
      await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')))
      await Promise.all([siem.close(), switchboard.close(), redis.kill()])
      await rm(folder, { recursive: true, force: true })
    })
    const file = join(folder, 'alerts.yaml')
    await writeFile(
      file,
      `version: 1
channels: { siem: { type: webhook, url: "${siem.url}/in", secret: "${SECRET}" } }
schedule: { tick: 1s, shards: 2 }
self_watch: { channels: [siem], unreachable_after: 30s }
heartbeat: { url: "${switchboard.url}/ping", every: 10s }
digest: { schedule: "* * * * *", channels: [siem] }
`,
    )
    const env = { DATABASE_URL: await testDatabase(), REDIS_URL: redis.url, KEYHOUND_CONFIG: file }
    daemons.push(new KeyhoundProcess(['start'], env), new KeyhoundProcess(['start'], env))
    const told = () =>
      siem.requests.map(({ body }) => {
        const { type, data } = JSON.parse(body) as {
          type: string
          data: { notice: { topic: string; title: string } }
        }
        return { type, ...data.notice }
      })
    const topics = (wanted: string) => told().filter(({ topic }) => topic === wanted)
    await Promise.all(daemons.map((daemon) => daemon.ready()))
    await eventually('there is a sign of life', () => switchboard.requests.length > 0, 60_000)

    await redis.kill()
    await eventually(
      'it is told that the queue is away',
      () => topics('queue_unreachable').length > 0,
      60_000,
    )
    const beats = switchboard.requests.length
    await eventually('a digest has come', () => topics('digest').length > 0, 90_000)
    // By now both have looked several times, and a heartbeat would have been due.
    expect(topics('queue_unreachable').map(({ type }) => type)).toEqual(['keyhound.problem'])
    expect(switchboard.requests).toHaveLength(beats)
    const digests = topics('digest').map(({ title }) => title)
    expect(new Set(siem.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(siem.requests.length)
    expect(digests.length).toBeLessThanOrEqual(2)
    expect(digests[0]).toMatch(/^from \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d: 0 alerts on 0 keys$/)

    const printed = await runKeyhound(['digest'], { DATABASE_URL: env.DATABASE_URL })
    expect(printed).toMatchObject({ code: 0 })
    expect(printed.stdout).toContain('keyhound itself: queue_unreachable')
  },
)
