import { keySilent } from '../../src/detect/detectors/key-silent.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { silentFromMs } from '../../src/detect/silence.ts'
import { NO_USAGE } from '../../src/usage/rollup.ts'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineDetector, type Detector } from '../../src/detect/detector.ts'
import type { DetectorName, Finding, Severity } from '../../src/detect/finding.ts'
import { commonSettings } from '../../src/detect/settings.ts'
import type { KeyStandings } from '../../src/engine/standing.ts'
import type { DetectorFailure } from '../../src/engine/judge.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { MemoryEngineStore } from '../../src/store/memory/engine-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'

const shard = { index: 0, count: 1 }
const RESOLVE_AFTER_MS = 30 * MINUTE_MS

function findingOf(detector: DetectorName, keyId: string, severity: Severity = 'warning'): Finding {
  return {
    detector,
    keyId,
    scope: '',
    severity,
    summary: `${keyId} is odd`,
    evidence: {
      metric: 'requests',
      observed: 9,
      expected: 1,
      window: { start: '', end: '' },
      history: { days: 1, events: 1 },
      setting: '',
    },
  }
}

/** A detector that finds something on every key with usage. */
function alwaysOdd(name: DetectorName): Detector {
  return defineDetector({
    name,
    description: 'for tests',
    settings: z.strictObject(commonSettings('warning')),
    detect: ({ usage }) => [findingOf(name, usage.key.keyId)],
  })
}

const broken = defineDetector({
  name: 'unusual_geo',
  description: 'for tests',
  settings: z.strictObject(commonSettings('warning')),
  detect: () => {
    throw new Error('a defect')
  },
})

function engineOf(
  detectors: readonly Detector[],
  given: Partial<TickEngine> = {},
): TickEngine & { readonly store: MemoryEngineStore; readonly failures: DetectorFailure[] } {
  const failures: DetectorFailure[] = []
  return {
    store: new MemoryEngineStore(),
    detectors,
    settingsFor: () =>
      new Map(detectors.map(({ name }) => [name, { enabled: true, severity: 'warning' as const }])),
    timeZoneFor: () => 'UTC',
    groupKeyFor: (finding) => finding.keyId,
    resolveAfterMs: RESOLVE_AFTER_MS,
    plan: () => undefined,
    onDetectorError: (failure) => failures.push(failure),
    failures,
    ...given,
  } as TickEngine & { readonly store: MemoryEngineStore; readonly failures: DetectorFailure[] }
}

describe('a tick', () => {
  test('opens one alert for what it finds again and again, and resolves it when the key has been quiet', async () => {
    const engine = engineOf([alwaysOdd('volume_spike')])
    engine.store.add(enrichedEvent({ keyId: 'key-1' }))
    const first = await tick(engine, { shard, nowMs: SOME_TIME_MS })
    const second = await tick(engine, { shard, nowMs: SOME_TIME_MS + 10_000 })
    const quiet = await tick(engine, { shard, nowMs: SOME_TIME_MS + 10_000 + RESOLVE_AFTER_MS })

    expect(first.opened).toMatchObject([{ keyId: 'key-1', detector: 'volume_spike', occurrences: 1 }])
    expect(second).toMatchObject({ opened: [], resolved: [] })
    expect(quiet.resolved.map(({ id }) => id)).toEqual(first.opened.map(({ id }) => id))
  })

  test('a detector that throws costs its own judgement of that key and nothing else, and is tried again at the next tick', async () => {
    const engine = engineOf([broken, alwaysOdd('volume_spike')])
    engine.store.add(enrichedEvent({ keyId: 'key-1' }))
    engine.store.add(enrichedEvent({ keyId: 'key-2' }))
    const report = await tick(engine, { shard, nowMs: SOME_TIME_MS })

    expect(report.opened.map(({ keyId }) => keyId).toSorted()).toEqual(['key-1', 'key-2'])
    expect(engine.failures.map(({ detector, keyId }) => [detector, keyId])).toEqual([
      ['unusual_geo', 'key-1'],
      ['unusual_geo', 'key-2'],
    ])
    const alone = engineOf([broken])
    alone.store.add(enrichedEvent({ keyId: 'key-1' }))
    for (const ms of [0, 10_000, 20_000]) await tick(alone, { shard, nowMs: SOME_TIME_MS + ms })
    expect(alone.failures).toHaveLength(3)
  })

  test('a detector that is switched off for a key does not judge it', async () => {
    const engine = engineOf([alwaysOdd('volume_spike')], {
      settingsFor: ({ keyId }) =>
        new Map([['volume_spike', { enabled: keyId !== 'batch-1', severity: 'warning' as const }]]),
    })
    engine.store.add(enrichedEvent({ keyId: 'batch-1' }))
    engine.store.add(enrichedEvent({ keyId: 'key-1' }))
    const report = await tick(engine, { shard, nowMs: SOME_TIME_MS })
    expect(report.opened.map(({ keyId }) => keyId)).toEqual(['key-1'])
  })

  test('judges only keys with usage of the last minutes', async () => {
    const engine = engineOf([alwaysOdd('volume_spike')])
    engine.store.add(enrichedEvent({ keyId: 'key-1' }))
    const report = await tick(engine, { shard, nowMs: SOME_TIME_MS + 20 * MINUTE_MS })
    expect(report).toMatchObject({ keysJudged: 0, opened: [] })
  })

  test('learns an hour five minutes after it has closed, and once', async () => {
    const engine = engineOf([])
    engine.store.add(enrichedEvent({ keyId: 'key-1' }))
    const closedMs = SOME_TIME_MS + HOUR_MS
    expect((await tick(engine, { shard, nowMs: closedMs + 4 * MINUTE_MS })).hoursLearnt).toBe(0)
    expect((await tick(engine, { shard, nowMs: closedMs + 5 * MINUTE_MS })).hoursLearnt).toBe(1)
    expect((await tick(engine, { shard, nowMs: closedMs + 6 * MINUTE_MS })).hoursLearnt).toBe(0)
    expect((await engine.store.profiles(['key-1'])).get('key-1')?.learnedUntilMs).toBe(closedMs)
  })

  test('learns the hour of a large fleet in parts that grow, the rest of it before it is out of sight', async () => {
    const engine = { ...engineOf([]), learnPerTick: 2 }
    for (let n = 0; n < 20; n += 1) engine.store.add(enrichedEvent({ keyId: `key-${n}` }))
    const closedMs = SOME_TIME_MS + HOUR_MS
    const learnt: number[] = []
    for (const minute of [5, 6, 10, 15, 45, 46])
      learnt.push((await tick(engine, { shard, nowMs: closedMs + minute * MINUTE_MS })).hoursLearnt)
    expect(learnt).toEqual([2, 2, 4, 6, 6, 0])
  })

  test('judges a key again only when its judgement can be another', async () => {
    const judged: string[] = []
    const noting = defineDetector({
      name: 'volume_spike',
      description: 'for tests',
      settings: z.strictObject(commonSettings('warning')),
      detect: ({ usage }) => {
        judged.push(usage.key.keyId)
        return usage.key.keyId === 'odd' ? [findingOf('volume_spike', 'odd')] : []
      },
    })
    let standing: KeyStandings = new Map()
    let isBlind = false
    let engine = {
      ...engineOf([noting]),
      standings: () => Promise.resolve(standing),
      isBlind: () => isBlind,
    }
    let nowMs = SOME_TIME_MS
    const judgedBy = async () => {
      nowMs += 10_000
      judged.length = 0
      await tick(engine, { shard, nowMs })
      return judged.toSorted()
    }
    for (const keyId of ['a', 'b', 'odd']) engine.store.add(enrichedEvent({ keyId, timestampMs: nowMs }))
    // The first look; then what has an alert that was just opened.
    expect(await judgedBy()).toEqual(['a', 'b', 'odd'])
    expect(await judgedBy()).toEqual(['odd'])
    expect(await judgedBy()).toEqual([])
    engine.store.add(enrichedEvent({ keyId: 'b', timestampMs: nowMs }))
    expect(await judgedBy()).toEqual(['b'])
    // Windows slide by minutes.
    expect(await judgedBy()).toEqual([])
    expect(await judgedBy()).toEqual(['odd'])
    engine.store.add(enrichedEvent({ keyId: 'odd', timestampMs: nowMs }))
    expect(await judgedBy()).toEqual(['odd'])
    standing = new Map([['a', { revokedSinceMs: nowMs, taught: [] }]])
    expect(await judgedBy()).toEqual(['a'])
    standing = new Map()
    expect(await judgedBy()).toEqual(['a'])
    const { settingsFor } = engine
    engine = { ...engine, settingsFor: (key) => settingsFor(key) }
    expect(await judgedBy()).toEqual(['a', 'b', 'odd'])
    isBlind = true
    expect(await judgedBy()).toEqual(['a', 'b', 'odd'])
    // What a person closed is looked at once more, and may open anew.
    engine.store.commit({
      nowMs,
      findings: [],
      resolved: (await engine.store.openAlerts(shard)).map(({ id }) => id),
    })
    expect(await judgedBy()).toEqual(['odd'])
    nowMs = SOME_TIME_MS + HOUR_MS - 20_000
    for (const keyId of ['a', 'b', 'odd']) engine.store.add(enrichedEvent({ keyId, timestampMs: nowMs }))
    expect(await judgedBy()).toEqual(['a', 'b', 'odd'])
    expect(await judgedBy()).toEqual(['a', 'b', 'odd'])
    expect(await judgedBy()).toEqual([])
  })

  test('an alert of a key that was left out is neither found again nor taken for clean', async () => {
    const found = new Set(['odd'])
    const engine = {
      ...engineOf([
        defineDetector({
          name: 'volume_spike',
          description: 'for tests',
          settings: z.strictObject(commonSettings('warning')),
          detect: ({ usage: { key } }) =>
            found.has(key.keyId) ? [findingOf('volume_spike', key.keyId)] : [],
        }),
      ]),
      resolveAfterMs: 30_000,
    }
    engine.store.add(enrichedEvent({ keyId: 'odd', timestampMs: SOME_TIME_MS }))
    for (const ms of [0, 10_000]) await tick(engine, { shard, nowMs: SOME_TIME_MS + ms })
    found.clear()
    const resolvedAt = async (ms: number) =>
      (await tick(engine, { shard, nowMs: SOME_TIME_MS + ms })).resolved.map(({ keyId }) => keyId)
    for (const ms of [20_000, 30_000, 40_000, 50_000]) expect(await resolvedAt(ms)).toEqual([])
    expect(await resolvedAt(MINUTE_MS)).toEqual(['odd'])
  })

  test('is repeated for the same keys when it was not committed', async () => {
    const engine = engineOf([alwaysOdd('volume_spike')])
    await tick(engine, { shard, nowMs: SOME_TIME_MS })
    engine.store.add(enrichedEvent({ keyId: 'late', timestampMs: SOME_TIME_MS - HOUR_MS }))
    const failing = {
      ...engine,
      groupKeyFor: () => {
        throw new Error('after the judgement')
      },
    }
    await expect(tick(failing, { shard, nowMs: SOME_TIME_MS + 10_000 })).rejects.toThrow(
      'after the judgement',
    )
    expect((await tick(engine, { shard, nowMs: SOME_TIME_MS + 20_000 })).opened).toMatchObject([
      { keyId: 'late' },
    ])
    expect((await tick(engine, { shard, nowMs: SOME_TIME_MS + 30_000 })).keysJudged).toBe(0)
  })

  test('tells of a key that has gone silent, but not while no key at all is in use', async () => {
    const engine = engineOf([keySilent], {
      settingsFor: () => new Map([['key_silent', keySilent.settings.parse({}) as never]]),
    })
    const startMs = SOME_TIME_MS - 14 * DAY_MS
    let profile = emptyProfile({ keyId: 'steady', firstSeenMs: startMs, timeZone: 'UTC' })
    for (let hourMs = startMs; hourMs < SOME_TIME_MS; hourMs += HOUR_MS) {
      const rollup = {
        ...NO_USAGE,
        keyId: 'steady',
        bucketMs: hourMs,
        model: 'gpt-4o',
        country: 'US',
        requests: 9,
      }
      profile = learnHour(profile, { hourMs, rollups: [rollup], suspect: false }, 'UTC')
    }
    await engine.store.saveProfiles([profile])
    const silentMs = silentFromMs(profile) ?? NaN
    expect((await tick(engine, { shard, nowMs: silentMs })).opened).toEqual([])
    engine.store.add(enrichedEvent({ keyId: 'other', timestampMs: silentMs }))
    expect((await tick(engine, { shard, nowMs: silentMs + 10_000 })).opened).toMatchObject([
      { keyId: 'steady', detector: 'key_silent', severity: 'info' },
    ])
  })
})
