// A gateway in a process of its own: pushes events with plain BullMQ, as the interface says, then ends.
import { createPostgresBackend, Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { usageEvent } from '../harness/builders.ts'

interface Order {
  readonly events: number
  readonly repeated: number
  readonly broken: number
  readonly perJob: number
}

process.once('message', (order: Order) => {
  push(order).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    },
  )
})

async function push({ events, repeated, broken, perJob }: Order): Promise<void> {
  const startMs = Date.now() - 3_600_000
  const good = Array.from({ length: events }, (_, index) =>
    usageEvent({ id: `e${index}`, key_id: `key-${index % 97}`, timestamp: startMs + index * 300 }),
  )
  const bad = Array.from({ length: broken }, (_, index) => ({
    ...usageEvent({ id: `broken-${index}` }),
    timestamp: 'yesterday',
  }))
  const again = good.filter((_, index) => index % (events / repeated) === 0)
  const all: unknown[] = shuffled([...good, ...bad, ...again])
  const jobs = Array.from({ length: Math.ceil(all.length / perJob) }, (_, job) =>
    all.slice(job * perJob, (job + 1) * perJob),
  )
  const queue = openQueue()
  for (let at = 0; at < jobs.length; at += 500) {
    await queue.addBulk(
      jobs
        .slice(at, at + 500)
        .map((batch) => ({ name: 'usage', data: perJob === 1 ? batch[0] : { events: batch } })),
    )
  }
  await queue.close()
}

function openQueue(): Pick<Queue, 'addBulk' | 'close'> {
  const { REDIS_URL, DATABASE_URL } = process.env
  if (REDIS_URL !== undefined) {
    return new Queue('usage-events', { connection: new Redis(REDIS_URL, { maxRetriesPerRequest: null }) })
  }
  return new Queue(
    'usage-events',
    { connection: { connectionString: DATABASE_URL ?? '' } },
    createPostgresBackend,
  )
}

/** The same order at every run: repeats and broken events lie anywhere among the good ones. */
function shuffled<Item>(items: readonly Item[]): Item[] {
  let state = 1
  const next = (): number => (state = (state * 48_271) % 2_147_483_647)
  return items
    .map((item) => [next(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item)
}
