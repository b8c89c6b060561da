import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { DETECTORS } from '../../src/detect/registry.ts'
import { defineDetector, type Detector } from '../../src/detect/detector.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { commonSettings } from '../../src/detect/settings.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { MemoryEngineStore } from '../../src/store/memory/engine-store.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { finding } from '../store/decisions.ts'

const RESOLVE_AFTER_MS = 30 * MINUTE_MS

/** A detector that finds something on every key with usage. */
function alwaysOdd(name: Finding['detector'], restsOnSilence?: boolean): Detector {
  return defineDetector({
    name,
    description: 'for tests',
    settings: z.strictObject(commonSettings('warning')),
    ...(restsOnSilence === undefined ? {} : { restsOnSilence }),
    detect: ({ usage }) => [finding({ detector: name, keyId: usage.key.keyId })],
  })
}

function engineOf(
  detectors: readonly Detector[],
  isBlind: () => boolean,
): TickEngine & { store: MemoryEngineStore } {
  return {
    store: new MemoryEngineStore(),
    detectors,
    settingsFor: () =>
      new Map(detectors.map(({ name }) => [name, { enabled: true, severity: 'warning' as const }])),
    timeZoneFor: () => 'UTC',
    groupKeyFor: ({ keyId }) => keyId,
    resolveAfterMs: RESOLVE_AFTER_MS,
    plan: () => undefined,
    isBlind,
    onDetectorError: () => undefined,
  }
}

describe('complaint 15: while no usage arrives', () => {
  const shard = { index: 0, count: 1 }

  test('no alert is resolved, however long its key is quiet; once usage flows again it is', async () => {
    let blind = false
    const engine = engineOf([alwaysOdd('volume_spike')], () => blind)
    engine.store.add(enrichedEvent({ keyId: 'key-1' }))
    expect((await tick(engine, { shard, nowMs: SOME_TIME_MS })).opened).toHaveLength(1)
    blind = true
    const fiveHours = SOME_TIME_MS + 300 * MINUTE_MS
    expect((await tick(engine, { shard, nowMs: fiveHours })).resolved).toEqual([])
    blind = false
    expect((await tick(engine, { shard, nowMs: fiveHours + 10_000 })).resolved).toHaveLength(1)
  })

  test('detectors that judge by what is missing hold their tongue, the others go on', async () => {
    const detectors = [alwaysOdd('error_rate', true), alwaysOdd('volume_spike')]
    const [blind, seeing] = [engineOf(detectors, () => true), engineOf(detectors, () => false)]
    for (const engine of [blind, seeing]) engine.store.add(enrichedEvent({ keyId: 'key-1' }))
    const opened = async (engine: TickEngine) =>
      (await tick(engine, { shard, nowMs: SOME_TIME_MS })).opened.map(({ detector }) => detector).toSorted()
    expect(await opened(blind)).toEqual(['volume_spike'])
    expect(await opened(seeing)).toEqual(['error_rate', 'volume_spike'])
  })

  test('the share of refused calls is such a judgement, as is a key that has fallen silent', () => {
    const resting = DETECTORS.filter(({ restsOnSilence }) => restsOnSilence === true).map(({ name }) => name)
    expect(resting).toContain('error_rate')
    // key_silent comes with its own file; as soon as it is there it must say so.
    for (const { name } of DETECTORS) if (/silent/.test(name)) expect(resting).toContain(name)
  })
})
