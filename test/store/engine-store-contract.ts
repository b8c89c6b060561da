import { describe, expect, test } from 'vitest'
import { endOfHour, type KeyCalm } from '../../src/detect/calm.ts'
import type { KeyHabit } from '../../src/detect/key-habit.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { silentFromMs } from '../../src/detect/silence.ts'
import type { EngineStore, KeyHour } from '../../src/store/engine-store.ts'
import type { JudgementBasis } from '../../src/store/unjudged.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { sumRollups, type KeyUsage } from '../../src/usage/key-usage.ts'
import { NO_USAGE } from '../../src/usage/rollup.ts'
import { SOURCES_MAX } from '../../src/usage/source.ts'
import { digestOf } from '../../src/usage/usage-digest.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { decisions, finding, planAt } from './decisions.ts'

export interface EngineStoreFixture {
  readonly store: EngineStore
  /** Stores events, as ingest or the backtest would. */
  readonly add: (events: readonly EnrichedEvent[]) => Promise<void>
}

const WHOLE = { index: 0, count: 1 }
const NOW = SOME_TIME_MS

/** Two weeks of use in every hour, to the hour of NOW. */
function steadyProfile(keyId: string): Profile {
  let profile = emptyProfile({ keyId, firstSeenMs: NOW - 14 * 24 * HOUR_MS, timeZone: 'UTC' })
  for (let hourMs = profile.firstSeenMs; hourMs < NOW; hourMs += HOUR_MS) {
    const rollup = { ...NO_USAGE, keyId, bucketMs: hourMs, model: 'gpt-4o', country: 'US', requests: 9 }
    profile = learnHour(profile, { hourMs, rollups: [rollup], suspect: false }, 'UTC')
  }
  return profile
}

function emptyProfileAt(keyId: string): Profile {
  const profile = emptyProfile({ keyId, firstSeenMs: NOW - HOUR_MS, timeZone: 'UTC' })
  return learnHour(profile, { hourMs: NOW - HOUR_MS, rollups: [], suspect: false }, 'UTC')
}

/** What the engine relies on; every store must pass. `open` gives an empty store. */
export function engineStoreContract(name: string, open: () => Promise<EngineStoreFixture>): void {
  const active = { activeSinceMs: NOW - 5 * MINUTE_MS, nowMs: NOW }
  /** What the next tick has to judge; it does not judge it. */
  const lookAt = async (store: EngineStore, shard = WHOLE): Promise<readonly KeyUsage[]> =>
    (await store.look(shard, active, {})).usages

  describe(`${name} as engine store: usage`, () => {
    test('an event that is delivered twice counts once', async () => {
      const { store, add } = await open()
      const event = enrichedEvent()
      await add([event, event])
      await add([event])
      const [usage] = await lookAt(store)
      expect(sumRollups(usage?.rollups ?? []).requests).toBe(1)
    })

    test('usage is summed per minute, model and country, and given in the order of time', async () => {
      const { store, add } = await open()
      await add([
        enrichedEvent({ timestampMs: NOW - 1 }),
        enrichedEvent({ timestampMs: NOW - 61_000 }),
        enrichedEvent({ timestampMs: NOW - 62_000, place: undefined }),
        enrichedEvent({ timestampMs: NOW - 61_500, model: 'gpt-4o' }),
        enrichedEvent({ timestampMs: NOW - 61_000, inputTokens: 5, costNanoUsd: undefined }),
      ])
      const [usage] = await lookAt(store)
      const cells = usage?.rollups.map((r) => [
        (r.bucketMs - NOW) / MINUTE_MS,
        r.model,
        r.country,
        r.requests,
      ])
      expect(new Set(cells?.map(String))).toEqual(
        new Set(['-2,gpt-4o-mini,US,2', '-2,gpt-4o-mini,,1', '-2,gpt-4o,US,1', '-1,gpt-4o-mini,US,1']),
      )
      const buckets = usage?.rollups.map((rollup) => rollup.bucketMs) ?? []
      expect(buckets).toEqual(buckets.toSorted((a, b) => a - b))
      const cell = usage?.rollups.find((rollup) => rollup.requests === 2)
      expect(cell).toMatchObject({ inputTokens: 1_005, costNanoUsd: 270_000, unpriced: 1, refused: 0 })
    })

    test('a refused call counts as refused and brings no tokens', async () => {
      const { store, add } = await open()
      await add([enrichedEvent({ statusCode: 429, costNanoUsd: undefined }), enrichedEvent()])
      const [usage] = await lookAt(store)
      expect(sumRollups(usage?.rollups ?? [])).toMatchObject({
        requests: 2,
        refused: 1,
        inputTokens: 1_000,
        outputTokens: 200,
        unpriced: 0,
      })
    })

    test('usage is summed per ten minutes and address, with place and first and last time, and given in order', async () => {
      const { store, add } = await open()
      const london = { ip: '81.2.69.142', place: { country: 'GB', latitude: 51.5, longitude: -0.1 } }
      const somewhere = { ip: '5.2.1.1', place: { country: 'RO', latitude: 0, longitude: 0 } }
      await add([
        enrichedEvent({ ...london, timestampMs: NOW - 60_000, model: 'gpt-4o' }),
        enrichedEvent({ ...london, timestampMs: NOW - 599_000, statusCode: 403 }),
        enrichedEvent({ ...london, timestampMs: NOW - 601_000 }),
        enrichedEvent({ ...somewhere, timestampMs: NOW - 60_000 }),
        enrichedEvent({ ip: '10.0.0.7', place: undefined, timestampMs: NOW - 60_000 }),
        enrichedEvent({ ip: undefined, place: undefined, timestampMs: NOW - 60_000 }),
      ])
      // Later and earlier parts of the same bucket, of a batch of their own.
      await add([enrichedEvent({ ...london, timestampMs: NOW - 600_000, costNanoUsd: undefined })])
      await add([enrichedEvent({ ...london, timestampMs: NOW - 2 })])
      const [usage] = await lookAt(store)
      const once = { keyId: 'key-1', requests: 1, refused: 0, inputTokens: 1_000, outputTokens: 200 }
      const at = (bucket: number, first: number, last: number) => ({
        bucketMs: NOW + bucket * MINUTE_MS,
        firstMs: NOW + first,
        lastMs: NOW + last,
      })
      const unknown = { latitude: undefined, longitude: undefined }
      const found = { address: london.ip, ...london.place }
      const rest = { cachedInputTokens: 0, costNanoUsd: 270_000, unpriced: 0 }
      expect(usage?.sources).toEqual([
        { ...once, ...rest, ...found, ...at(-20, -601_000, -601_000) },
        {
          ...once,
          ...rest,
          ...unknown,
          ...at(-10, -60_000, -60_000),
          address: '10.0.0.7',
          country: undefined,
        },
        { ...once, ...rest, ...unknown, ...at(-10, -60_000, -60_000), address: '5.2.1.1', country: 'RO' },
        {
          ...once,
          ...rest,
          ...found,
          ...at(-10, -600_000, -2),
          requests: 4,
          refused: 1,
          inputTokens: 3_000,
          outputTokens: 600,
          costNanoUsd: 810_000,
          unpriced: 1,
        },
      ])
    })

    test('an event that is delivered twice counts once for its address', async () => {
      const { store, add } = await open()
      const event = enrichedEvent({ timestampMs: NOW - 1 })
      await add([event, event])
      await add([event])
      const [usage] = await lookAt(store)
      expect(usage?.sources.map((source) => source.requests)).toEqual([1])
    })

    test('of a key that changes its address with every request, the busiest addresses of each bucket are given', async () => {
      const { store, add } = await open()
      const address = (n: number) => `2001:db8::${(n + 4_096).toString(16)}`
      const place = undefined
      const timestampMs = NOW - 1
      await add(
        Array.from({ length: SOURCES_MAX + 20 }, (_, n) =>
          enrichedEvent({ ip: address(n), place, timestampMs }),
        ),
      )
      // The last twenty are the busiest, so the last twenty of the others are left out.
      await add(
        Array.from({ length: 20 }, (_, n) =>
          enrichedEvent({ ip: address(SOURCES_MAX + n), place, timestampMs }),
        ),
      )
      const given = Array.from({ length: SOURCES_MAX + 20 }, (_, n) => n)
        .filter((n) => n < SOURCES_MAX - 20 || n >= SOURCES_MAX)
        .map(address)
      const [usage] = await lookAt(store)
      expect(usage?.sources.map((source) => source.address)).toEqual(given)
      expect(sumRollups(usage?.rollups ?? []).requests).toBe(SOURCES_MAX + 40)
      const [hour] = await store.unlearntHours(WHOLE, { beforeMs: NOW + HOUR_MS, limit: 10 })
      expect(hour?.sources.map((source) => source.address)).toEqual(given)
    })

    test('usage that comes late is given once, after it came, unless it is older than two hours', async () => {
      const { store, add } = await open()
      await add([enrichedEvent({ keyId: 'busy', timestampMs: NOW - MINUTE_MS })])
      const given = async (): Promise<string[]> => {
        const { usages, judged } = await store.look(WHOLE, active, {})
        judged()
        return usages.map(({ key }) => key.keyId)
      }
      expect(await given()).toEqual(['busy'])
      await add([
        enrichedEvent({ keyId: 'late', timestampMs: NOW - 100 * MINUTE_MS }),
        enrichedEvent({ keyId: 'too-late', timestampMs: NOW - 3 * HOUR_MS }),
      ])
      expect(await given()).toEqual(['late'])
      expect(await given()).toEqual([])
      await add([enrichedEvent({ keyId: 'late', timestampMs: NOW - 100 * MINUTE_MS })])
      expect(await given()).toEqual(['late'])
    })

    test('a key is active with usage since the instant, and then comes with the last two hours', async () => {
      const { store, add } = await open()
      await add([
        enrichedEvent({ keyId: 'busy', timestampMs: NOW - MINUTE_MS }),
        enrichedEvent({ keyId: 'busy', timestampMs: NOW - 2 * HOUR_MS }),
        enrichedEvent({ keyId: 'busy', timestampMs: NOW - 2 * HOUR_MS - MINUTE_MS }),
        enrichedEvent({ keyId: 'busy', timestampMs: NOW + 2 * MINUTE_MS }),
        enrichedEvent({ keyId: 'quiet', timestampMs: NOW - 6 * MINUTE_MS }),
      ])
      const usages = await lookAt(store)
      expect(usages.map((usage) => usage.key.keyId)).toEqual(['busy'])
      expect(usages[0]?.rollups.map((rollup) => rollup.bucketMs)).toEqual([
        NOW - 2 * HOUR_MS,
        NOW - MINUTE_MS,
      ])
      expect(usages[0]?.sources.map((source) => source.bucketMs)).toEqual([
        NOW - 2 * HOUR_MS,
        NOW - 10 * MINUTE_MS,
      ])
    })

    test('a key has the team and environment that its newest events named', async () => {
      const { store, add } = await open()
      const at = (ms: number, teamId: string | undefined) => enrichedEvent({ timestampMs: NOW + ms, teamId })
      await add([at(-60_000, 'red')])
      await add([at(-50_000, 'blue')])
      await add([at(-40_000, undefined)])
      const [usage] = await lookAt(store)
      expect(usage?.key).toEqual({ keyId: 'key-1', teamId: 'blue', environment: undefined })
    })

    test('every key falls into exactly one shard', async () => {
      const { store, add } = await open()
      const keyIds = Array.from({ length: 40 }, (_, n) => `key-${n}`)
      await add(keyIds.map((keyId) => enrichedEvent({ keyId, timestampMs: NOW - 1 })))
      const shards = await Promise.all([0, 1, 2].map((index) => lookAt(store, { index, count: 3 })))
      expect(shards.flatMap((usages) => usages.map((usage) => usage.key.keyId)).toSorted()).toEqual(
        keyIds.toSorted(),
      )
      expect(shards.every((usages) => usages.length > 0)).toBe(true)
    })
  })

  describe(`${name} as engine store: keys that are calm`, () => {
    const AT = NOW + 20 * MINUTE_MS
    const calm = (): KeyCalm => ({ isCalm: () => true, untilMs: endOfHour(AT), learnedUntilMs: NOW })
    const sameAsEver = (agoMs = 0): Partial<EnrichedEvent> => ({ timestampMs: AT - agoMs })
    /** A tick that finds nothing on the keys that it is given: returns them. */
    const tickAt = async (
      store: EngineStore,
      nowMs: number,
      { basis = {}, told = calm() }: { basis?: JudgementBasis; told?: KeyCalm } = {},
    ): Promise<string[]> => {
      const look = await store.look(WHOLE, { activeSinceMs: nowMs - 5 * MINUTE_MS, nowMs }, basis)
      const keyIds = look.usages.map(({ key }) => key.keyId)
      for (const keyId of keyIds) look.keepCalm(keyId, told)
      look.judged()
      return keyIds.toSorted()
    }
    const used = async (): Promise<EngineStoreFixture> => {
      const fixture = await open()
      await fixture.add([enrichedEvent(sameAsEver(30_000)), enrichedEvent(sameAsEver(9 * MINUTE_MS))])
      expect(await tickAt(fixture.store, AT)).toEqual(['key-1'])
      return fixture
    }
    const next = AT + 10_000

    test('are not given again while they do the same, and are calm', async () => {
      const { store, add } = await used()
      await add([enrichedEvent(sameAsEver(-5_000))])
      expect(await tickAt(store, next)).toEqual([])
      await add([enrichedEvent(sameAsEver(-90_000))])
      expect(await tickAt(store, AT + 100_000)).toEqual([])
    })

    test.each<[string, Partial<EnrichedEvent>]>([
      ['model', { model: 'o1-pro' }],
      ['address', { ip: '203.0.113.99' }],
      ['place', { ip: '203.0.113.98', place: { country: 'US', latitude: 47.6, longitude: -122.3 } }],
      ['country', { place: { country: 'RO', latitude: 44.4, longitude: 26.1 }, ip: undefined }],
    ])('are given when a %s comes that is new', async (_, strange) => {
      const { store, add } = await used()
      await add([enrichedEvent({ ...sameAsEver(-5_000), ...strange })])
      expect(await tickAt(store, next)).toEqual(['key-1'])
      await add([enrichedEvent({ ...sameAsEver(-15_000), ...strange })])
      expect(await tickAt(store, AT + 20_000)).toEqual([])
    })

    test('are given when what they said holds no longer: it is asked of their usage up to then', async () => {
      const { store, add } = await open()
      const few: KeyCalm = {
        ...calm(),
        isCalm: (usage, nowMs) => digestOf(usage, nowMs).since(-Infinity).requests < 4,
      }
      await add([enrichedEvent(sameAsEver())])
      const given: string[][] = []
      for (let nth = 1; nth <= 3; nth += 1) {
        given.push(await tickAt(store, AT + nth * 10_000, { told: few }))
        await add([enrichedEvent(sameAsEver(-nth * 10_000))])
      }
      given.push(await tickAt(store, AT + 40_000, { told: few }))
      expect(given).toEqual([['key-1'], [], [], ['key-1']])
    })

    test('are given after the instant up to which they said so, and when an hour begins', async () => {
      const { store, add } = await open()
      await add([enrichedEvent(sameAsEver())])
      await tickAt(store, AT, { told: { ...calm(), untilMs: next } })
      await add([enrichedEvent(sameAsEver(-5_000))])
      expect(await tickAt(store, next, { told: { ...calm(), untilMs: Infinity } })).toEqual([])
      await add([enrichedEvent(sameAsEver(-15_000))])
      expect(await tickAt(store, AT + 20_000, { told: { ...calm(), untilMs: Infinity } })).toEqual(['key-1'])
      await add([enrichedEvent({ timestampMs: NOW + HOUR_MS - 30_000 })])
      expect(await tickAt(store, NOW + HOUR_MS - 20_000)).toEqual([])
      expect(await tickAt(store, NOW + HOUR_MS)).toEqual(['key-1'])
    })

    test.each<[string, JudgementBasis]>([
      ['settings are others', { circumstances: ['other'] }],
      ['something is open', { watched: new Map([['key-1', 'alert']]) }],
      ['people said something', { standings: new Map([['key-1', 'expected']]) }],
    ])('are given when %s', async (_, basis) => {
      const { store } = await used()
      expect(await tickAt(store, next, { basis })).toEqual(['key-1'])
    })

    test('are given when their profile has been taught an hour', async () => {
      const { store, add } = await used()
      await store.saveProfiles([steadyProfile('key-1')])
      await add([enrichedEvent(sameAsEver(-5_000))])
      expect(await tickAt(store, next)).toEqual(['key-1'])
    })

    test('are given within a minute or two when they have got another team', async () => {
      const { store, add } = await used()
      await add([enrichedEvent({ ...sameAsEver(-5_000), teamId: 'another' })])
      const given: string[] = []
      for (let nth = 1; nth <= 12; nth += 1) {
        await add([enrichedEvent({ ...sameAsEver(-nth * 10_000 + 1), teamId: 'another' })])
        given.push(...(await tickAt(store, AT + nth * 10_000)))
      }
      expect(given).toEqual(['key-1'])
    })

    test('are given when the tick that found nothing had not seen what a later one was given', async () => {
      const { store, add } = await open()
      await add([enrichedEvent(sameAsEver())])
      const range = { activeSinceMs: AT - 5 * MINUTE_MS, nowMs: AT }
      const slow = await store.look(WHOLE, range, {})
      await add([enrichedEvent({ ...sameAsEver(), model: 'o1-pro' })])
      const quick = await store.look(WHOLE, range, {})
      quick.judged()
      slow.keepCalm('key-1', calm())
      slow.judged()
      await add([enrichedEvent({ ...sameAsEver(-5_000), model: 'o1-pro' })])
      expect(await tickAt(store, next)).toEqual(['key-1'])
    })
  })

  describe(`${name} as engine store: learning`, () => {
    const HOUR = NOW - 3 * HOUR_MS
    const learn = async (store: EngineStore, hours: readonly KeyHour[]): Promise<Profile[]> => {
      const known = await store.profiles(hours.map((hour) => hour.key.keyId))
      const taught = new Map(known)
      for (const hour of hours) {
        const { keyId } = hour.key
        const before = taught.get(keyId) ?? emptyProfile({ keyId, firstSeenMs: hour.hourMs, timeZone: 'UTC' })
        taught.set(keyId, learnHour(before, hour, 'UTC'))
      }
      await store.saveProfiles([...taught.values()])
      return [...taught.values()]
    }

    test('a closed hour is given once: summed to the hour, with its busiest five minutes', async () => {
      const { store, add } = await open()
      await add([
        ...[0, 1, 2].map((s) => enrichedEvent({ timestampMs: HOUR + 4 * MINUTE_MS + s })),
        enrichedEvent({ timestampMs: HOUR + 5 * MINUTE_MS }),
        enrichedEvent({ timestampMs: HOUR + 59 * MINUTE_MS, model: 'gpt-4o' }),
        enrichedEvent({ timestampMs: HOUR + 6 * MINUTE_MS, statusCode: 500 }),
        enrichedEvent({ timestampMs: NOW }),
      ])
      const hours = await store.unlearntHours(WHOLE, { beforeMs: NOW, limit: 10 })
      expect(hours).toHaveLength(1)
      expect(hours[0]).toMatchObject({
        hourMs: HOUR,
        busiestFiveMinutes: 3,
        suspect: false,
        key: { keyId: 'key-1' },
      })
      const cells = hours[0]?.rollups.map((r) => [r.bucketMs - HOUR, r.model, r.requests, r.refused])
      expect(new Set(cells?.map(String))).toEqual(new Set(['0,gpt-4o,1,0', '0,gpt-4o-mini,5,1']))
      await learn(store, hours)
      expect(await store.unlearntHours(WHOLE, { beforeMs: NOW, limit: 10 })).toEqual([])
    })

    test('a closed hour comes with its largest mean size of a minute, a model and a country, of what was answered', async () => {
      const { store, add } = await open()
      await add([
        enrichedEvent({ timestampMs: HOUR + 4 * MINUTE_MS, inputTokens: 9_000, outputTokens: 1_000 }),
        enrichedEvent({ timestampMs: HOUR + 4 * MINUTE_MS + 9, inputTokens: 900, outputTokens: 100 }),
        enrichedEvent({
          timestampMs: HOUR + 4 * MINUTE_MS,
          model: 'gpt-4o',
          inputTokens: 5_000,
          outputTokens: 2_000,
        }),
        enrichedEvent({ timestampMs: HOUR + 7 * MINUTE_MS, inputTokens: 99_000, statusCode: 500 }),
        enrichedEvent({ keyId: 'key-2', timestampMs: HOUR, inputTokens: 99_000, statusCode: 500 }),
      ])
      const hours = await store.unlearntHours(WHOLE, { beforeMs: NOW, limit: 10 })
      expect(hours.map(({ key, largestTokensPerRequest }) => [key.keyId, largestTokensPerRequest])).toEqual([
        ['key-1', 7_000],
        ['key-2', 0],
      ])
    })

    test('a closed hour comes with its addresses, each summed to the hour', async () => {
      const { store, add } = await open()
      const home = { ip: '81.2.69.142', place: { country: 'GB', latitude: 51.5, longitude: -0.1 } }
      const minutes = [59, 0, 12, 31]
      await add(minutes.map((n) => enrichedEvent({ ...home, timestampMs: HOUR + n * MINUTE_MS })))
      await add([
        enrichedEvent({ ip: '5.2.1.1', place: undefined, timestampMs: HOUR + 5_000 }),
        enrichedEvent({ ...home, timestampMs: HOUR - 1 }),
        enrichedEvent({ ...home, timestampMs: HOUR + HOUR_MS }),
        enrichedEvent({ ...home, keyId: 'key-2', timestampMs: HOUR }),
      ])
      const hours = await store.unlearntHours(WHOLE, { beforeMs: NOW, limit: 10 })
      const hour = hours.find(({ key, hourMs }) => key.keyId === 'key-1' && hourMs === HOUR)
      expect(hour?.sources).toMatchObject([
        { address: '5.2.1.1', country: undefined, latitude: undefined, requests: 1, firstMs: HOUR + 5_000 },
        {
          address: home.ip,
          ...home.place,
          keyId: 'key-1',
          bucketMs: HOUR,
          requests: 4,
          inputTokens: 4_000,
          firstMs: HOUR,
          lastMs: HOUR + 59 * MINUTE_MS,
        },
      ])
      expect(hour?.sources).toHaveLength(2)
    })

    test('an hour is not given before it has closed', async () => {
      const { store, add } = await open()
      await add([enrichedEvent({ timestampMs: HOUR })])
      expect(await store.unlearntHours(WHOLE, { beforeMs: HOUR + HOUR_MS - 1, limit: 10 })).toEqual([])
      expect(await store.unlearntHours(WHOLE, { beforeMs: HOUR + HOUR_MS, limit: 10 })).toHaveLength(1)
    })

    test('an imported history is given in order, in rounds of the size that was asked for', async () => {
      const { store, add } = await open()
      const hourMs = Array.from({ length: 7 }, (_, n) => HOUR - n * HOUR_MS)
      await add(
        hourMs.flatMap((timestampMs) => ['a', 'b'].map((keyId) => enrichedEvent({ keyId, timestampMs }))),
      )
      const given: string[] = []
      for (;;) {
        const hours = await store.unlearntHours(WHOLE, { beforeMs: NOW, limit: 4 })
        expect(hours.length).toBeLessThanOrEqual(4)
        if (hours.length === 0) break
        given.push(...hours.map((hour) => `${(hour.hourMs - HOUR) / HOUR_MS} ${hour.key.keyId}`))
        await learn(store, hours)
      }
      expect(given).toEqual([-6, -5, -4, -3, -2, -1, 0].flatMap((hour) => [`${hour} a`, `${hour} b`]))
    })

    test('events for an hour that was learnt already are counted and not taught again', async () => {
      const { store, add } = await open()
      await add([enrichedEvent({ timestampMs: HOUR }), enrichedEvent({ timestampMs: NOW })])
      await learn(store, await store.unlearntHours(WHOLE, { beforeMs: NOW, limit: 10 }))
      await add([enrichedEvent({ timestampMs: HOUR + MINUTE_MS })])
      expect(await store.unlearntHours(WHOLE, { beforeMs: NOW, limit: 10 })).toEqual([])
    })

    test('profiles come back as they were saved, and an older one does not replace a newer one', async () => {
      const { store, add } = await open()
      await add([enrichedEvent({ timestampMs: HOUR }), enrichedEvent({ timestampMs: HOUR + HOUR_MS })])
      const [older, newer] = await store.unlearntHours(WHOLE, { beforeMs: NOW, limit: 10 })
      if (older === undefined || newer === undefined) throw new Error('two hours expected')
      const [first] = await learn(store, [older])
      const [second] = await learn(store, [newer])
      expect(second?.learnedUntilMs).toBe(HOUR + 2 * HOUR_MS)
      await store.saveProfiles(first === undefined ? [] : [first])
      expect(await store.profiles(['key-1', 'nobody'])).toEqual(new Map([['key-1', second]]))
    })

    test('a key is silent from when on its habit does not allow it, unless it has been used since', async () => {
      const { store, add } = await open()
      const steady = steadyProfile('key-1')
      const fromMs = silentFromMs(steady) ?? NaN
      await store.saveProfiles([steady, steadyProfile('key-2'), emptyProfileAt('key-3')])
      await add([
        enrichedEvent({ keyId: 'key-1', teamId: 'team-1', timestampMs: steady.learnedUntilMs - 1 }),
        enrichedEvent({ keyId: 'key-2', timestampMs: steady.learnedUntilMs + HOUR_MS }),
      ])
      const silent = async (range: { fromMs: number; toMs: number; limit?: number }, shard = WHOLE) =>
        (await store.silentKeys(shard, { limit: 10, ...range })).map(({ key }) => key)
      const key = { keyId: 'key-1', teamId: 'team-1', environment: undefined }
      expect(await silent({ fromMs: fromMs - HOUR_MS, toMs: fromMs })).toEqual([key])
      expect(await silent({ fromMs: fromMs - 1, toMs: fromMs + 1 })).toEqual([key])
      expect(await silent({ fromMs: fromMs - HOUR_MS, toMs: fromMs - 1 })).toEqual([])
      expect(await silent({ fromMs, toMs: fromMs + HOUR_MS })).toEqual([])
      expect(await silent({ fromMs: fromMs - HOUR_MS, toMs: fromMs, limit: 0 })).toEqual([])
      const range = { fromMs: fromMs - HOUR_MS, toMs: fromMs }
      const shards = await Promise.all([0, 1, 2].map((index) => silent(range, { index, count: 3 })))
      expect(shards.flat()).toEqual([key])
    })

    test('an hour is suspect when an alert of severity warning or worse was open in it', async () => {
      const { store, add } = await open()
      const keys = ['warned', 'informed', 'before', 'free']
      await add(keys.map((keyId) => enrichedEvent({ keyId, timestampMs: NOW })))
      const plan = planAt(NOW)
      const opened = await store.commit(
        decisions(
          [
            finding({ keyId: 'warned' }),
            finding({ keyId: 'informed', severity: 'info' }),
            finding({ keyId: 'before', severity: 'critical' }),
          ],
          { at: -10 * MINUTE_MS },
        ),
        plan,
      )
      const before = opened.opened.find((alert) => alert.keyId === 'before')
      await store.commit(decisions([], { at: -MINUTE_MS, resolved: [before?.id ?? ''] }), plan)
      const hours = await store.unlearntHours(WHOLE, { beforeMs: NOW + HOUR_MS, limit: 10 })
      expect(hours.filter((hour) => hour.suspect).map((hour) => hour.key.keyId)).toEqual(['warned'])
    })
  })

  describe(`${name} as engine store: what keys tell of their fleet`, () => {
    const all = { sinceMs: NOW - 24 * HOUR_MS, limit: 10 }
    const habit = (keyId: string, more: Partial<KeyHabit> = {}): KeyHabit => ({
      keyId,
      teamId: 'web',
      firstSeenMs: NOW - 14 * 24 * HOUR_MS,
      untilMs: NOW,
      peakRequests: 120.5,
      peakFiveMinutes: 30,
      peakTokens: 1e9,
      peakCostNanoUsd: 2 ** 52,
      peakTokensPerRequest: 1_200.25,
      costNanoUsdPerRequest: 0,
      countries: ['US', 'CA'],
      models: ['gpt-4o', 'a "model" of an attacker'],
      places: [{ latitude: 51.5, longitude: -0.1 }],
      ...more,
    })

    test('comes back as it was stored, in order of key, of one without a team too', async () => {
      const { store } = await open()
      const told = [habit('key-1', { teamId: undefined }), habit('key-2')]
      await store.saveHabits(told.toReversed())
      expect(await store.habits(all)).toEqual(told)
      expect(await store.habits({ ...all, limit: 1 })).toEqual(told.slice(0, 1))
    })

    test('of each key the newest stays, however often and in which order it is stored', async () => {
      const { store } = await open()
      const newer = habit('key-1', { peakRequests: 7 })
      await store.saveHabits([newer])
      await store.saveHabits([habit('key-1', { untilMs: NOW - HOUR_MS })])
      await store.saveHabits([newer])
      expect(await store.habits(all)).toEqual([newer])
    })

    test('what is older than asked for is left out, and nothing is stored of nothing', async () => {
      const { store } = await open()
      await store.saveHabits([])
      await store.saveHabits([
        habit('key-1', { untilMs: all.sinceMs - 1 }),
        habit('key-2', { untilMs: all.sinceMs }),
      ])
      expect((await store.habits(all)).map(({ keyId }) => keyId)).toEqual(['key-2'])
    })
  })

  describe(`${name} as engine store: alerts`, () => {
    test('the first finding opens an alert, and later ones update it', async () => {
      const { store } = await open()
      const first = await store.commit(decisions([finding()]), planAt(NOW))
      expect(first.opened).toMatchObject([
        { keyId: 'key-1', status: 'firing', occurrences: 1, openedAt: new Date(NOW), resolvedAt: undefined },
      ])
      const again = await store.commit(
        decisions([finding({ summary: 'still' })], { at: 10_000 }),
        planAt(NOW),
      )
      expect(again).toEqual({ opened: [], escalated: [], resolved: [] })
      const opened = first.opened.map(({ announcedAt: _told, ...alert }) => alert)
      expect(await store.openAlerts(WHOLE)).toMatchObject([
        { ...opened[0], summary: 'still', occurrences: 2, lastSeenAt: new Date(NOW + 10_000) },
      ])
    })

    test('a worse finding escalates the alert, and a milder one leaves what it tells', async () => {
      const { store } = await open()
      await store.commit(decisions([finding()]), planAt(NOW))
      const critical = finding({ severity: 'critical', summary: 'worse' })
      const worse = await store.commit(decisions([critical], { at: 10_000 }), planAt(NOW))
      expect(worse.escalated).toMatchObject([{ severity: 'critical', summary: 'worse' }])
      const milder = await store.commit(decisions([finding()], { at: 20_000 }), planAt(NOW))
      expect(milder.escalated).toEqual([])
      expect(await store.openAlerts(WHOLE)).toMatchObject([
        { severity: 'critical', summary: 'worse', occurrences: 3 },
      ])
    })

    test('scopes and detectors have alerts of their own; alerts of a group share an incident', async () => {
      const { store } = await open()
      const { opened } = await store.commit(
        decisions([
          finding(),
          finding({ detector: 'spend_threshold', scope: '1d:10' }),
          finding({ detector: 'spend_threshold', scope: '1h:5' }),
          finding({ keyId: 'key-2' }),
        ]),
        planAt(NOW),
      )
      expect(opened).toHaveLength(4)
      expect(new Set(opened.map((alert) => alert.incidentId)).size).toBe(2)
    })

    test('a resolved alert is not open, and the next finding opens a new one in a new incident', async () => {
      const { store } = await open()
      const { opened } = await store.commit(decisions([finding()]), planAt(NOW))
      const resolved = opened.map((alert) => alert.id)
      const quiet = await store.commit(decisions([], { at: MINUTE_MS, resolved }), planAt(NOW))
      expect(quiet.resolved).toMatchObject([{ status: 'resolved', resolvedAt: new Date(NOW + MINUTE_MS) }])
      expect(await store.openAlerts(WHOLE)).toEqual([])
      const next = await store.commit(decisions([finding()], { at: 2 * MINUTE_MS }), planAt(NOW))
      expect(next.opened).toHaveLength(1)
      expect(next.opened[0]?.incidentId).not.toBe(opened[0]?.incidentId)
    })
  })
}
