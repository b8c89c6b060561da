import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createBatcher } from '../../src/ingest/batcher.ts'
import type { IngestMetrics } from '../../src/ingest/metrics.ts'
import type { Work } from '../../src/ingest/write-out.ts'
import { type RejectedEvent, StoreUnavailableError, type UsageWriter } from '../../src/store/usage-store.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { enrichedEvent } from '../harness/builders.ts'

type Batch = Parameters<UsageWriter['write']>[0]

/** A writer that keeps what it is given, and fails as told. */
function writerThat(fails: (batch: Batch, call: number) => unknown = () => undefined) {
  const events: EnrichedEvent[] = []
  const rejected: RejectedEvent[] = []
  const sizes: number[] = []
  let calls = 0
  let running = 0
  const seen = { events, rejected, sizes, runningMax: 0 }
  const writer: UsageWriter = {
    async write(batch) {
      calls += 1
      running += 1
      seen.runningMax = Math.max(seen.runningMax, running)
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      const error = fails(batch, calls)
      if (error !== undefined) throw error
      sizes.push(batch.events.length)
      events.push(...batch.events)
      rejected.push(...batch.rejected)
      return { inserted: batch.events.length, duplicates: 0 }
    },
  }
  return { writer, seen }
}

function workOf(...events: readonly EnrichedEvent[]): Work {
  return {
    events: events.map((event, index) => ({
      event,
      reject: (reason: string) => ({
        jobId: event.id,
        index,
        receivedAt: new Date(0),
        reason,
        payload: { id: event.id },
      }),
    })),
    rejected: [],
  }
}

const QUIET: IngestMetrics = {
  ingested: () => {},
  duplicate: () => {},
  rejected: () => {},
  secretReplaced: () => {},
  unpriced: () => {},
  batchSeconds: () => {},
  jobsDone: () => {},
}
const NO_LOG = { info: () => {}, warn: () => {}, error: () => {} }

function batcherOn(writer: UsageWriter, signal = new AbortController().signal) {
  return createBatcher({ writer, metrics: QUIET, log: NO_LOG, clock: systemClock, signal })
}

function many(count: number): EnrichedEvent[] {
  return Array.from({ length: count }, () => enrichedEvent())
}

function databaseError(code: string): Error {
  return Object.assign(new Error(`database says ${code}`), { code })
}

describe('a batch', () => {
  test('collects what comes together into one write', async () => {
    const { writer, seen } = writerThat()
    const batcher = batcherOn(writer)
    await Promise.all(many(50).map((event) => batcher.write(workOf(event))))
    expect(seen.sizes).toEqual([50])
  })

  test('goes out when 1,000 events have come together, never more, and never divides a job', async () => {
    const { writer, seen } = writerThat()
    const batcher = batcherOn(writer)
    await Promise.all([600, 300, 300, 1_000, 1].map((count) => batcher.write(workOf(...many(count)))))
    expect(seen.sizes.toSorted((a, b) => a - b)).toEqual([1, 300, 900, 1_000])
  })

  test('is one of two at a time at the most', async () => {
    const { writer, seen } = writerThat()
    const batcher = batcherOn(writer)
    await Promise.all(Array.from({ length: 12 }, () => batcher.write(workOf(...many(1_000)))))
    expect(seen.runningMax).toBe(2)
    expect(seen.events).toHaveLength(12_000)
  })

  test('with nothing in it is done at once', async () => {
    const { writer, seen } = writerThat()
    await batcherOn(writer).write({ events: [], rejected: [] })
    expect(seen.sizes).toEqual([])
  })
})

describe('an event that the database refuses', () => {
  test('is found, rejected with what the database said, and holds up none of its neighbours', async () => {
    const events = many(700)
    const bad = new Set([events[13], events[420], events[421]])
    const { writer, seen } = writerThat((batch) =>
      batch.events.some((event) => bad.has(event)) ? databaseError('22003') : undefined,
    )
    await batcherOn(writer).write(workOf(...events))
    expect(seen.events).toHaveLength(697)
    expect(new Set(seen.events).size).toBe(697)
    expect(seen.rejected.map(({ reason, payload }) => ({ reason, payload }))).toEqual(
      [...bad].map((event) => ({
        reason: 'event: the database refused it: database says 22003',
        payload: { id: event?.id },
      })),
    )
  })

  test('is kept without its payload when the database refuses that as well', async () => {
    const { writer, seen } = writerThat((batch) => {
      return batch.events.length > 0 || batch.rejected.some(({ payload }) => payload !== undefined)
        ? databaseError('22P05')
        : undefined
    })
    await batcherOn(writer).write(workOf(...many(1)))
    expect(seen.rejected).toMatchObject([{ payload: undefined }])
  })

  test('is recognised by an error without a code only after some tries', async () => {
    const { writer, seen } = writerThat((batch) => (batch.events.length > 0 ? new Error('odd') : undefined))
    await batcherOn(writer).write(workOf(...many(1)))
    expect(seen.rejected).toMatchObject([{ reason: 'event: the database refused it: odd' }])
  })
})

describe('a database that is away', () => {
  test.each([
    ['cannot be reached', new StoreUnavailableError('gone')],
    ['has a full disk', databaseError('53100')],
    ['gives up on a deadlock', databaseError('40P01')],
    ['lacks a table', databaseError('42P01')],
    ['refuses the connection', databaseError('ECONNREFUSED')],
  ])('because it %s makes everybody wait, and no event is rejected', async (_name, error) => {
    const { writer, seen } = writerThat((_batch, call) => (call <= 4 ? error : undefined))
    await batcherOn(writer).write(workOf(...many(10)))
    expect(seen.events).toHaveLength(10)
    expect(seen.rejected).toEqual([])
  })

  test('is waited for until ingest stops; then the job hears that it was not stored', async () => {
    const stopping = new AbortController()
    const { writer, seen } = writerThat(() => {
      setTimeout(() => stopping.abort(new Error('stopping')), 10)
      return new StoreUnavailableError('gone')
    })
    await expect(batcherOn(writer, stopping.signal).write(workOf(...many(3)))).rejects.toThrow()
    expect(seen.events).toEqual([])
  })
})
