import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type Job,
  openQueues,
  type OpenQueuesOptions,
  PutBackError,
  type Queues,
} from '../../src/queue/queues.ts'
import { Arrivals } from '../harness/arrivals.ts'

/** What both backends must do alike; `freshServer` gives the options for an empty queue server. */
export function queueContract(
  backend: Queues['backend'],
  freshServer: () => Promise<OpenQueuesOptions>,
): void {
  describe(`the queue on ${backend}`, () => {
    let options: OpenQueuesOptions
    let errors: Error[]
    const open: Queues[] = []
    let named = 0

    beforeAll(async () => void (options = await freshServer()))
    afterEach(async () => {
      await Promise.all(open.splice(0).map((queues) => queues.close()))
    })

    const start = async () => {
      errors = []
      const queues = await openQueues({ ...options, onError: (error) => errors.push(error) })
      open.push(queues)
      named += 1
      return { queues, name: `contract-${named}` }
    }

    test('says which backend it is, answers a ping and has no complaint about the server', async () => {
      const { queues } = await start()
      await queues.ping()
      expect([queues.backend, queues.warnings]).toEqual([backend, []])
    })

    test('every job added in bulk is run, with its data unchanged, over two workers of two processes’ connections', async () => {
      const { queues, name } = await start()
      const { queues: others } = await start()
      const ran = new Arrivals<Job>('jobs')
      for (const each of [queues, others]) each.work(name, async (job) => ran.add(job), { concurrency: 8 })
      const numbers = Array.from({ length: 300 }, (_, n) => n)
      await queues.queue(name).add(numbers.map((n) => ({ name: 'count', data: { n, text: 'a "ü" \n' } })))
      await ran.waitFor(300)
      const seen = ran.all.map((job) => (job.data as { n: number }).n).toSorted((a, b) => a - b)
      expect(seen).toEqual(numbers)
      expect(ran.all[0]).toMatchObject({ name: 'count', attemptsMade: 0, data: { text: 'a "ü" \n' } })
    })

    test('a job id that is known, waiting, running or kept after its end, is not run again', async () => {
      const { queues, name } = await start()
      const queue = queues.queue(name)
      const ran = new Arrivals<string>('jobs')
      const job = { name: 'tick', id: 'tick-12-00', data: {} }
      await queue.add([job, job])
      await queue.add([job])
      const { promise: gate, resolve: release } = Promise.withResolvers<void>()
      queues.work(name, async ({ id }) => {
        ran.add(id)
        if (id === job.id) await gate
      })
      await ran.waitFor(1)
      await queue.add([job])
      release()
      await queue.add([{ ...job, id: 'tick-12-10' }])
      await ran.waitFor(2)
      await queue.add([job, { ...job, id: 'tick-12-20' }])
      await ran.waitFor(3)
      expect(ran.all).toEqual(['tick-12-00', 'tick-12-10', 'tick-12-20'])
    })

    test('a job id is free again once newer jobs have pushed the job out of those that are kept', async () => {
      const { queues, name } = await start()
      const queue = queues.queue(name)
      const ran = new Arrivals<string>('jobs')
      queues.work(name, async ({ id }) => ran.add(id), { keepCompleted: { count: 2 } })
      for (const [n, id] of ['a', 'b', 'c', 'd', 'a'].entries()) {
        await queue.add([{ name: 'tick', id: `slot-${id}`, data: {} }])
        await ran.waitFor(n + 1)
        await expect.poll(async () => (await queue.counts()).active).toBe(0)
      }
      expect(ran.all.at(-1)).toBe('slot-a')
      expect((await queue.counts()).completed).toBe(2)
    })

    test('a job is active until its processor resolves, and only then completed', async () => {
      const { queues, name } = await start()
      const queue = queues.queue(name)
      const ran = new Arrivals<Job>('jobs')
      const { promise: gate, resolve: release } = Promise.withResolvers<void>()
      queues.work(name, (job) => (ran.add(job), gate))
      await queue.add([1, 2, 3].map((n) => ({ name: 'slow', data: n })))
      await ran.waitFor(1)
      expect(await queue.counts()).toEqual({ waiting: 2, delayed: 0, active: 1, failed: 0, completed: 0 })
      release()
      await ran.waitFor(3)
      await expect
        .poll(() => queue.counts())
        .toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0, completed: 3 })
    })

    test('a job that fails is tried again after pauses that double, as often as it may, then counts as failed', async () => {
      const { queues, name } = await start()
      const tries = new Arrivals<{ attemptsMade: number; at: number }>('tries')
      queues.work(name, async ({ attemptsMade }) => {
        tries.add({ attemptsMade, at: performance.now() })
        throw new Error('no luck')
      })
      await queues.queue(name).add([{ name: 'job', data: {}, attempts: 3, backoffMs: 100 }])
      const [first, second, third] = await tries.waitFor(3)
      expect(tries.all.map((each) => each.attemptsMade)).toEqual([0, 1, 2])
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(95)
      expect((third?.at ?? 0) - (second?.at ?? 0)).toBeGreaterThan(195)
      await expect.poll(async () => (await queues.queue(name).counts()).failed).toBe(1)
      await expect
        .poll(() => errors.map((error) => error.message))
        .toContainEqual(expect.stringMatching(/attempt 3 failed: no luck/))
    })

    test('closing takes no more jobs and waits for those that run', async () => {
      const { queues, name } = await start()
      const ran = new Arrivals<Job>('jobs')
      const { promise: gate, resolve: release } = Promise.withResolvers<void>()
      let ended = 0
      const worker = queues.work(name, async (job) => {
        ran.add(job)
        await gate
        ended += 1
      })
      await queues.queue(name).add([1, 2].map((n) => ({ name: 'slow', data: n })))
      await ran.waitFor(1)
      const closed = worker.close().then(() => ended)
      release()
      expect(await closed).toBe(1)
      expect(await queues.queue(name).counts()).toMatchObject({ waiting: 1, completed: 1, active: 0 })
    })

    test('a job that is put back waits again, is not failed, and the attempt does not count', async () => {
      const { queues, name } = await start()
      const ran = new Arrivals<Job>('jobs')
      const queue = queues.queue(name)
      const first = queues.work(name, async (job) => {
        ran.add(job)
        await closing.promise
        throw new PutBackError('the database is away')
      })
      const closing = Promise.withResolvers<void>()
      await queue.add([{ name: 'job', data: {} }])
      await ran.waitFor(1)
      const closed = first.close()
      closing.resolve()
      await closed
      expect(await queue.counts()).toEqual({ waiting: 1, delayed: 0, active: 0, failed: 0, completed: 0 })
      queues.work(name, async (job) => ran.add(job))
      await ran.waitFor(2)
      expect(ran.all.map((job) => job.attemptsMade)).toEqual([0, 0])
      expect(errors).toEqual([])
    })

    test('a worker told to run more jobs at once does', async () => {
      const { queues, name } = await start()
      const ran = new Arrivals<Job>('jobs')
      const { promise: gate, resolve: release } = Promise.withResolvers<void>()
      const worker = queues.work(name, async (job) => {
        ran.add(job)
        worker.setConcurrency(3)
        await (ran.all.length === 1 ? undefined : gate)
      })
      await queues.queue(name).add([1, 2, 3, 4, 5].map((n) => ({ name: 'job', data: n })))
      await ran.waitFor(4)
      expect(await queues.queue(name).counts()).toMatchObject({ waiting: 1, active: 3 })
      release()
    })

    test('the job of a process that was killed with -9 runs again elsewhere', async () => {
      const { queues, name } = await start()
      const lockMs = 1_000
      const script = fileURLToPath(new URL('stuck-worker.ts', import.meta.url))
      const victim = spawn(process.execPath, [script, JSON.stringify(options), name, String(lockMs)])
      victim.stderr.pipe(process.stderr)
      await queues.queue(name).add([{ name: 'job', id: 'job-of-the-dead', data: {} }])
      await once(victim.stdout, 'data')
      victim.kill('SIGKILL')
      await once(victim, 'exit')
      const ran = new Arrivals<string>('jobs')
      queues.work(name, async ({ id }) => ran.add(id), { lockMs })
      await ran.waitFor(1, 15_000)
      expect(ran.all).toEqual(['job-of-the-dead'])
    })
  })
}
