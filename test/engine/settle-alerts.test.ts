import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Alert } from '../../src/alert/alert.ts'
import { defineDetector } from '../../src/detect/detector.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { commonSettings } from '../../src/detect/settings.ts'
import { settleAlerts } from '../../src/engine/settle-alerts.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { MemoryEngineStore } from '../../src/store/memory/engine-store.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { alertOf } from '../alert/alerts.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'

const nowMs = Date.parse('2026-03-02T04:00:00Z')
const settle = (alert: Partial<Alert>, { isHeld = false }: { isHeld?: boolean } = {}) => {
  const { resolved, held, clean } = settleAlerts([alertOf({ id: 'a', ...alert })], {
    resolveAfterMs: 30 * MINUTE_MS,
    cleanEvaluations: 3,
    isHeld: () => isHeld,
    nowMs,
  })
  return resolved.length > 0 ? 'over' : held.length > 0 ? 'held' : clean.length > 0 ? 'counted' : 'waits'
}
const minutesAgo = (minutes: number) => ({ lastSeenAt: new Date(nowMs - minutes * MINUTE_MS) })

describe('an open alert that is not found', () => {
  test('complaint 4: is over when it was quiet for long enough and looked for often enough', () => {
    expect(settle({ ...minutesAgo(30), cleanEvaluations: 2 })).toBe('over')
    expect(settle({ ...minutesAgo(29), cleanEvaluations: 200 })).toBe('waits')
    expect(settle({ ...minutesAgo(29), cleanEvaluations: 1 })).toBe('counted')
  })

  test('complaint 15: is not over because nobody looked: after an outage it must be looked for again', () => {
    expect(settle({ ...minutesAgo(600), cleanEvaluations: 0 })).toBe('counted')
    expect(settle({ ...minutesAgo(600), cleanEvaluations: 1 })).toBe('counted')
    expect(settle({ ...minutesAgo(600), cleanEvaluations: 2 })).toBe('over')
  })

  test('ends at the time that its evidence names, without being looked for', () => {
    const evidence = { ...alertOf().evidence, ends_at: new Date(nowMs).toISOString() }
    expect(settle({ evidence, cleanEvaluations: 0, ...minutesAgo(0) })).toBe('over')
  })

  test('goes on while its key is above the closing threshold', () => {
    expect(settle({ ...minutesAgo(600), cleanEvaluations: 9 }, { isHeld: true })).toBe('held')
  })
})

describe('a value that wavers around its threshold', () => {
  const level = defineDetector({
    name: 'error_rate',
    description: 'for tests: requests within the last minute',
    settings: z.strictObject({ ...commonSettings('warning'), min_refused: z.number().default(10) }),
    detect: ({ usage, settings, nowMs: atMs }): Finding[] => {
      const rollup = usage.rollups.findLast(({ bucketMs }) => bucketMs <= atMs)
      if ((rollup?.requests ?? 0) < settings.min_refused) return []
      return [
        {
          detector: 'error_rate',
          keyId: usage.key.keyId,
          scope: '',
          severity: 'warning',
          summary: '',
          evidence: { ...alertOf().evidence },
        },
      ]
    },
  })

  /** Opens and ends of alerts when the key makes so many requests in each minute. */
  const follow = async (requests: readonly number[], closeAt: number): Promise<string[]> => {
    const store = new MemoryEngineStore()
    const engine: TickEngine = {
      store,
      detectors: [level],
      settingsFor: () =>
        new Map([['error_rate', { enabled: true, severity: 'warning', min_refused: 10 } as never]]),
      timeZoneFor: () => 'UTC',
      groupKeyFor: (found) => found.keyId,
      resolveAfterMs: 2 * MINUTE_MS,
      lifecycle: { closeAt, cleanEvaluations: 1, mutesAt: () => [] },
      plan: () => undefined,
      onDetectorError: ({ error }) => {
        throw error
      },
    }
    const told: string[] = []
    for (const [minute, count] of requests.entries()) {
      const timestampMs = SOME_TIME_MS + minute * MINUTE_MS
      for (let n = 0; n < count; n += 1) store.add(enrichedEvent({ timestampMs }))
      const { opened, resolved } = await tick(engine, {
        shard: { index: 0, count: 1 },
        nowMs: timestampMs + 50_000,
      })
      if (opened.length > 0) told.push(`${minute} opened`)
      if (resolved.length > 0) told.push(`${minute} over`)
    }
    return told
  }
  const wavering = [10, 9, 9, 9, 10, 9, 9, 9, 11, 9, 9, 5, 5, 5]

  test('complaint 4: is one alert that ends when the value is well below, not one alert after the other', async () => {
    expect(await follow(wavering, 0.8)).toEqual(['0 opened', '12 over'])
  })

  test('is one alert after the other when opening and closing are the same', async () => {
    expect(await follow(wavering, 1)).toEqual([
      '0 opened',
      '2 over',
      '4 opened',
      '6 over',
      '8 opened',
      '10 over',
    ])
  })
})
