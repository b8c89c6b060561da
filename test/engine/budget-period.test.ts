import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { MemoryEngineStore } from '../../src/store/memory/engine-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { NANO_USD_PER_USD } from '../../src/usage/event.ts'
import { enrichedEvent } from '../harness/builders.ts'

const MIDNIGHT = Date.parse('2026-03-04T00:00:00Z')

/** An engine with a limit of 10 dollars, and what its alerts went through: hour and change. */
function engineWith(limit: string) {
  let nowMs = MIDNIGHT
  const store = new MemoryEngineStore()
  const config = parseConfig(
    `version: 1\ndetectors: { spend_threshold: { limits: [${limit}] } }\n`,
    'alerts.yaml',
    {},
  )
  const engine: TickEngine = {
    store,
    detectors: DETECTORS.filter(({ name }) => name === 'spend_threshold'),
    ...tickSettings(config, () => nowMs),
    onDetectorError: ({ error }) => {
      throw error
    },
  }
  const told: string[] = []
  return {
    told,
    spend: (hour: number, usd: number) =>
      store.add(
        enrichedEvent({ timestampMs: MIDNIGHT + hour * HOUR_MS, costNanoUsd: usd * NANO_USD_PER_USD }),
      ),
    /** Ticks every five minutes, up to and with the hour. */
    until: async (hour: number) => {
      for (; nowMs <= MIDNIGHT + hour * HOUR_MS; nowMs += 5 * MINUTE_MS) {
        const { opened, resolved } = await tick(engine, { shard: { index: 0, count: 1 }, nowMs })
        const at = Math.round((nowMs - MIDNIGHT) / HOUR_MS)
        told.push(...opened.map(() => `${at} opened`), ...resolved.map(() => `${at} over`))
      }
    },
  }
}

test('complaint 3: the alert of a budget ends with its day, and the next day that exceeds it alerts anew', async () => {
  const { told, spend, until } = engineWith('{ period: day, usd: 10 }')
  await until(9)
  spend(9, 11)
  await until(12)
  spend(12, 5)
  await until(24)
  expect(told).toEqual(['9 opened', '24 over'])
  await until(33)
  spend(33, 11)
  await until(34)
  expect(told).toEqual(['9 opened', '24 over', '33 opened'])
})

test('complaint 3: a rolling budget is armed again when enough has left the window', async () => {
  const { told, spend, until } = engineWith('{ window: 2h, usd: 10 }')
  await until(9)
  spend(9, 11)
  await until(10)
  spend(10, 1)
  await until(20)
  spend(20, 11)
  await until(20.5)
  expect(told.map((line) => line.split(' ')[1])).toEqual(['opened', 'over', 'opened'])
})

test('complaint 24: every share of a limit is told once a period', async () => {
  const { told, spend, until } = engineWith(
    '{ period: day, usd: 10, thresholds: [{ percent: 50 }, { percent: 80 }] }',
  )
  for (const hour of [1, 2, 3, 4]) {
    await until(hour)
    spend(hour, 3)
  }
  await until(DAY_MS / HOUR_MS)
  expect(told).toEqual(['2 opened', '3 opened', '4 opened', '24 over', '24 over', '24 over'])
})
