import { describe, expect, test } from 'vitest'
import { slotOf, startSchedule, tickJobs } from '../../src/daemon/schedule.ts'
import { systemClock } from '../../src/clock.ts'

describe('the schedule', () => {
  test('replicas that wake at different moments of a slot make the same jobs', () => {
    const early = tickJobs(slotOf(1_700_000_000_100, 10_000), 4)
    const late = tickJobs(slotOf(1_700_000_009_900, 10_000), 4)
    expect(late).toEqual(early)
    expect(new Set(early.map((job) => job.jobId)).size).toBe(4)
    expect(early.map((job) => job.data.shard.index)).toEqual([0, 1, 2, 3])
  })

  test('no job id holds a colon, which the queue reserves', () => {
    for (const { jobId } of tickJobs(1_700_000_000_000, 16)) expect(jobId).not.toContain(':')
  })

  test('a slot whose jobs could not be added is tried again, and added once', async () => {
    const added: string[] = []
    let failures = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const schedule = startSchedule({
      clock: { nowMs: () => 1_700_000_000_000 },
      settings: () => ({ tickMs: 10_000, shards: 1 }),
      addJobs: async (jobs) => {
        await Promise.resolve()
        if (failures === 0) throw new Error('the queue is away')
        added.push(...jobs.map((job) => job.jobId))
        // Two more wake-ups in the same slot must add nothing.
        setTimeout(resolve, 2_100)
      },
      onError: () => {
        failures += 1
      },
    })
    await promise
    await schedule.stop()
    expect(failures).toBe(1)
    expect(added).toEqual(['tick-1700000000000-0of1'])
  })

  test('slots follow the clock that is given', () => {
    expect(slotOf(systemClock.nowMs(), 10_000) % 10_000).toBe(0)
  })
})
