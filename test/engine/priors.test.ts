import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { priorsAt } from '../../src/engine/priors.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { MemoryEngineStore } from '../../src/store/memory/engine-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'

const shard = { index: 0, count: 1 }
const NOW_MS = SOME_TIME_MS + 30 * MINUTE_MS

function engine(): TickEngine & { readonly store: MemoryEngineStore } {
  return {
    store: new MemoryEngineStore(),
    detectors: DETECTORS,
    ...tickSettings(parseConfig('version: 1', 'alerts.yaml', {}), () => NOW_MS),
    onDetectorError: ({ error }) => {
      throw error
    },
  }
}

/** Keys of a team that made three requests an hour for nine days. */
async function fleetOf(keys: number): Promise<ReturnType<typeof engine>> {
  const fleet = engine()
  for (let hourMs = SOME_TIME_MS - 9 * DAY_MS; hourMs < SOME_TIME_MS; hourMs += HOUR_MS)
    for (let number = 0; number < keys; number += 1)
      for (let request = 0; request < 3; request += 1)
        fleet.store.add(
          enrichedEvent({
            keyId: `key-${number}`,
            teamId: 'web',
            timestampMs: hourMs + (number + 20 * request) * MINUTE_MS,
          }),
        )
  await tick(fleet, { shard, nowMs: SOME_TIME_MS + 6 * MINUTE_MS })
  return fleet
}

function burst({ store }: ReturnType<typeof engine>, requests: number): void {
  for (let request = 0; request < requests; request += 1)
    store.add(
      enrichedEvent({
        keyId: 'brand-new',
        teamId: 'web',
        timestampMs: SOME_TIME_MS + 20 * MINUTE_MS + request,
      }),
    )
}

describe('a key without a history', () => {
  test('is judged by what its team has taught, from the first minutes on', async () => {
    const fleet = await fleetOf(12)
    burst(fleet, 900)
    const { opened } = await tick(fleet, { shard, nowMs: NOW_MS })
    expect(opened).toMatchObject([
      {
        detector: 'volume_spike',
        keyId: 'brand-new',
        severity: 'warning',
        evidence: { judged_by: { of: 'team', team_id: 'web', keys: 12 } },
      },
    ])
  })

  test('is not alerted for the work of its team, nor in a fleet that is too small to have a habit', async () => {
    const fleet = await fleetOf(12)
    burst(fleet, 5)
    expect((await tick(fleet, { shard, nowMs: NOW_MS })).opened).toEqual([])
    const small = await fleetOf(9)
    burst(small, 900)
    expect((await tick(small, { shard, nowMs: NOW_MS })).opened).toEqual([])
  })

  test('the habit is what had been learnt by then: it is not there before the keys are known', async () => {
    const { store } = await fleetOf(12)
    expect((await priorsAt(store, NOW_MS)).fleet?.keys).toBe(12)
    expect(
      (await priorsAt({ habits: () => store.habits({ sinceMs: 0, limit: 100 }) }, NOW_MS - 7 * DAY_MS)).fleet,
    ).toBeUndefined()
  })

  test('habits that cannot be read fail the tick, and are read again at the next one', async () => {
    let isBroken = true
    const store = {
      habits: () => (isBroken ? Promise.reject(new Error('no database')) : Promise.resolve([])),
    }
    await expect(priorsAt(store, NOW_MS)).rejects.toThrow('no database')
    isBroken = false
    expect((await priorsAt(store, NOW_MS)).fleet).toBeUndefined()
  })
})
