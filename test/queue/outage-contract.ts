import { describe, expect, test } from 'vitest'
import { openQueues, type OpenQueuesOptions, type Queues } from '../../src/queue/queues.ts'
import { Arrivals } from '../harness/arrivals.ts'

/** A server of the test's own that can be taken away and brought back with what it held. */
export interface FragileServer {
  readonly options: OpenQueuesOptions
  takeAway(): Promise<void>
  bringBack(): Promise<void>
  end(): Promise<void>
}

/** What both backends must do when their server goes away while keyhound runs. */
export function outageContract(backend: Queues['backend'], startServer: () => Promise<FragileServer>): void {
  describe(`the queue on ${backend}, when its server goes away`, () => {
    test('adding and pinging fail soon, nothing crashes, and all goes on by itself when it is back', async () => {
      const server = await startServer()
      const errors: Error[] = []
      const queues = await openQueues({ ...server.options, onError: (error) => errors.push(error) })
      const queue = queues.queue('fragile')
      const ran = new Arrivals<unknown>('jobs')
      queues.work('fragile', async (job) => ran.add(job.data))
      await queue.add([{ name: 'job', data: 'before' }])
      await ran.waitFor(1)

      await server.takeAway()
      const startedAt = performance.now()
      await expect(queues.ping()).rejects.toThrow()
      expect(performance.now() - startedAt).toBeLessThan(3_000)
      await expect(queue.add([{ name: 'job', data: 'lost, and the caller knows' }])).rejects.toThrow()
      expect(performance.now() - startedAt).toBeLessThan(8_000)

      await server.bringBack()
      await expect.poll(() => queues.ping().then(() => 'pong', String), { timeout: 10_000 }).toBe('pong')
      const addAfter = () =>
        queue.add([{ name: 'job', id: 'once-more', data: 'after' }]).then(() => 'added', String)
      await expect.poll(addAfter, { timeout: 10_000 }).toBe('added')
      await ran.waitFor(2, 15_000)
      expect(ran.all).toEqual(['before', 'after'])
      expect(errors.length).toBeGreaterThan(0)
      await queues.close()
      await server.end()
    }, 60_000)

    test('closing while the server is away ends', async () => {
      const server = await startServer()
      const queues = await openQueues(server.options)
      const ran = new Arrivals<unknown>('jobs')
      queues.work('fragile', async (job) => ran.add(job.data))
      await queues.queue('fragile').add([{ name: 'job', data: 1 }])
      await ran.waitFor(1)
      await server.takeAway()
      await queues.close()
      await server.end()
    }, 60_000)
  })
}
