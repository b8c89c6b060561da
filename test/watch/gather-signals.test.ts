import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { geoDataDateMs } from '../../src/enrich/geo-data-date.ts'
import { MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { SignalGatherer, type SignalSources } from '../../src/watch/gather-signals.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'

const REFUSED = Object.assign(new Error('connect to postgres://keyhound:hunter2@db'), {
  code: 'ECONNREFUSED',
})

const HEALTHY = {
  newestUsageMs: SOME_TIME_MS,
  oldestUsageMs: SOME_TIME_MS - 60 * MINUTE_MS,
  overdue: 0,
  oldestDueMs: undefined,
  rejected: 0,
  commonestReason: undefined,
  failedRevocations: 0,
  halts: [],
}

/** A gatherer whose sources answer as a keyhound in good health would; name only what the test is about. */
function gathererOf(given: Partial<SignalSources> = {}) {
  const clock = new ManualClock(SOME_TIME_MS)
  const gatherer = new SignalGatherer({
    pingDatabase: () => Promise.resolve(),
    pingQueue: () => Promise.resolve(),
    jobCounts: () => Promise.resolve({ waiting: 3, delayed: 1, active: 2, failed: 0, completed: 0 }),
    healthFacts: () => Promise.resolve(HEALTHY),
    usualRequests: () => Promise.resolve(90),
    ticks: () => Promise.resolve({ oldestSuccessMs: SOME_TIME_MS, haveRun: true, tickMs: 10_000 }),
    pricing: () => Promise.resolve({ requests: 10, unpriced: 0, models: [] }),
    detectors: () => undefined,
    heartbeat: () => undefined,
    policyActs: () => true,
    clock,
    ...given,
  })
  return { gatherer, clock }
}

describe('what is known of keyhound', () => {
  test('a server that does not answer is down since it first did not, and tells no address', async () => {
    let failing = true
    const { gatherer, clock } = gathererOf({
      pingDatabase: () => (failing ? Promise.reject(REFUSED) : Promise.resolve()),
    })
    const first = await gatherer.gather()
    clock.advance(30 * SECOND_MS)
    const second = await gatherer.gather()
    expect(first.database).toEqual({ kind: 'down', sinceMs: SOME_TIME_MS, error: 'ECONNREFUSED' })
    expect(second.database).toEqual(first.database)
    expect(second).not.toHaveProperty('usage')
    failing = false
    expect((await gatherer.gather()).database).toEqual({ kind: 'up' })
    failing = true
    expect((await gatherer.gather()).database).toMatchObject({ sinceMs: SOME_TIME_MS + 30 * SECOND_MS })
  })

  test('a question that fails leaves its own signal unknown and no other', async () => {
    const { gatherer } = gathererOf({ healthFacts: () => Promise.reject(REFUSED) })
    const { usage, deliveries, ticks, pricing, jobs } = await gatherer.gather()
    expect([usage, deliveries]).toEqual([undefined, undefined])
    expect(ticks).toMatchObject({ haveRun: true })
    expect(pricing).toMatchObject({ requests: 10 })
    expect(jobs).toEqual({ waiting: 4, failed: 0 })
  })

  test('what would be usual is asked for only in a silence', async () => {
    const asked: number[] = []
    const { gatherer, clock } = gathererOf({
      usualRequests: ({ fromMs }) => {
        asked.push(fromMs)
        return Promise.resolve(90)
      },
    })
    expect((await gatherer.gather()).usage).toEqual({ newestMs: SOME_TIME_MS, expected: undefined })
    clock.advance(2 * MINUTE_MS)
    expect((await gatherer.gather()).usage).toEqual({ newestMs: SOME_TIME_MS, expected: 90 })
    expect(asked).toEqual([SOME_TIME_MS])
  })

  test('a halt is no news while the policy would do nothing anyway, in a dry run or switched off', async () => {
    let acts = false
    const halts = ['ten keys fire at once']
    const { gatherer } = gathererOf({
      healthFacts: () => Promise.resolve({ ...HEALTHY, halts, failedRevocations: 1 }),
      policyActs: () => acts,
    })
    expect((await gatherer.gather()).revocations).toEqual({ failedKeys: 1, halts: [] })
    acts = true
    expect((await gatherer.gather()).revocations).toEqual({ failedKeys: 1, halts })
  })

  test('failed jobs count by how many more there are than within the last quarter of an hour', async () => {
    let failed = 40
    const { gatherer, clock } = gathererOf({
      jobCounts: () => Promise.resolve({ waiting: 0, delayed: 0, active: 0, failed, completed: 0 }),
    })
    const seen = async () => (await gatherer.gather()).jobs?.failed
    expect(await seen()).toBe(0)
    failed = 42
    expect(await seen()).toBe(2)
    clock.advance(16 * MINUTE_MS)
    expect(await seen()).toBe(0)
  })
})

test('the place data that come with geoip-lite have a date in the past, not one that an installer made up', async () => {
  const dateMs = await geoDataDateMs()
  expect(dateMs).toBeGreaterThan(Date.UTC(2020, 0, 1))
  expect(dateMs).toBeLessThanOrEqual(Date.now())
})
