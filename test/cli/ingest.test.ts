import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { parseNdjson } from '../../src/backtest/ndjson.ts'
import { pushFile } from '../../src/cli/ingest.ts'
import type { NewJob } from '../../src/queue/queues.ts'
import type { IngestJob } from '../../src/usage/ingest-job.ts'
import { usageEvent } from '../harness/builders.ts'

async function push(text: string) {
  const jobs: IngestJob[] = []
  const told: string[] = []
  const add = async (added: readonly NewJob[]) =>
    void jobs.push(...added.map(({ data }) => data as IngestJob))
  const summary = await pushFile({
    lines: parseNdjson(Readable.from([Buffer.from(text)])),
    queue: { add, counts: async () => Promise.reject(new Error('not asked')) },
    hashKey: Buffer.alloc(32),
    progress: { update: () => {}, end: () => {} },
    tell: (message) => told.push(message),
  })
  return { summary, jobs, told }
}

test('a file goes to the queue in jobs of 500', async () => {
  const text = Array.from({ length: 1_201 }, () => JSON.stringify(usageEvent())).join('\n')
  const { summary, jobs } = await push(text)
  expect(summary).toEqual({ lines: 1_201, accepted: 1_201, rejected: 0 })
  expect(jobs.map(({ events }) => events.length)).toEqual([500, 500, 201])
})

test('bad lines are told by their number, kept for the table of rejected events, and stop nobody', async () => {
  const lines = [
    JSON.stringify(usageEvent()),
    '{"half":',
    '',
    JSON.stringify({ ...usageEvent(), model: '' }),
    JSON.stringify(usageEvent()),
  ]
  const { summary, jobs, told } = await push(lines.join('\r\n'))
  expect(summary).toEqual({ lines: 4, accepted: 2, rejected: 2 })
  expect(told).toEqual([
    'line 2: event: not JSON',
    'line 4: model: an empty text is not a text of 1 to 256 characters',
  ])
  expect(jobs[0]?.refused?.map(({ index }) => index)).toEqual([2, 4])
})

test('of many bad lines only the first are told one by one', async () => {
  const { told } = await push('no\n'.repeat(50))
  expect(told).toHaveLength(21)
  expect(told.at(-1)).toBe('30 more lines were refused')
})

test('no secret goes into the queue', async () => {
  const { jobs } = await push(JSON.stringify(usageEvent({ key_id: 'sk-proj-Zm9vYmFyYmF6cXV4Zm9v' })))
  expect(JSON.stringify(jobs)).not.toContain('Zm9v')
})
