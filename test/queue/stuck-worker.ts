/** A process that takes a job and never ends it, for a test to kill: node stuck-worker.ts OPTIONS QUEUE LOCK_MS */
import { openQueues, type OpenQueuesOptions } from '../../src/queue/queues.ts'

const [options = '{}', name = '', lockMs = ''] = process.argv.slice(2)
const queues = await openQueues(JSON.parse(options) as OpenQueuesOptions)
queues.work(
  name,
  (job) => {
    process.stdout.write(`took ${job.id}\n`)
    return new Promise(() => {})
  },
  { lockMs: Number(lockMs) },
)
