import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { sendDigest } from '../../src/daemon/parts/watch.ts'
import { messageLines } from '../../src/alert/message.ts'
import { noticeMessage } from '../../src/alert/notice.ts'
import type { DigestFacts } from '../../src/store/digest-facts.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { readDigestFacts } from '../../src/store/postgres/digest-facts.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { createSelfAlertStore } from '../../src/store/postgres/self-alert-store.ts'
import { createSilenceStore } from '../../src/store/postgres/silence-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS } from '../../src/usage/duration.ts'
import { latestDueMs, startDigestSchedule } from '../../src/watch/digest-schedule.ts'
import { digestLines, digestNotice } from '../../src/watch/digest.ts'
import { digestSettings } from '../../src/watch/settings.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { raiseAlert } from '../notify/outbox.ts'
import { eventually } from '../e2e/keyhound-process.ts'
import { bad } from './signals.ts'
import { advance } from '../../src/watch/advance.ts'

const log = pino({ level: 'silent' })

/** A quiet week; name only what the test is about. */
function factsOf(given: Partial<DigestFacts> = {}): DigestFacts {
  return {
    from: new Date(SOME_TIME_MS - WEEK_MS),
    to: new Date(SOME_TIME_MS),
    usage: {
      requests: 1_200_000,
      costNanoUsd: 812_000_000_000,
      successful: 1_190_000,
      unpriced: 0,
      keys: 412,
    },
    alerts: [],
    alertsBefore: 0,
    keys: [],
    keysWithAlerts: 0,
    verdicts: [],
    open: 0,
    silences: [],
    channels: [],
    ledger: [],
    rejected: [],
    problems: [],
    ...given,
  }
}

const NOISY: Partial<DigestFacts> = {
  alerts: [
    { detector: 'unusual_hour', severity: 'info', count: 8 },
    { detector: 'unusual_hour', severity: 'warning', count: 1 },
    { detector: 'volume_spike', severity: 'critical', count: 2 },
    { detector: 'unusual_geo', severity: 'warning', count: 3 },
  ],
  alertsBefore: 9,
  keys: [{ keyId: 'batch-7', alerts: 6, detector: 'unusual_hour' }],
  keysWithAlerts: 5,
  verdicts: [
    { detector: 'unusual_hour', verdict: 'safe', count: 4 },
    { detector: 'unusual_hour', verdict: 'expected', count: 2 },
    { detector: 'volume_spike', verdict: 'compromised', count: 1 },
  ],
}

describe('the digest', () => {
  test('complaint 8: names the noisiest rule and key, and how many of its alerts people judged harmless', () => {
    expect(digestLines(factsOf(NOISY)).slice(0, 5)).toEqual([
      'Noisiest rule: unusual_hour, 9 of 14 alerts (64 %); people judged 6 of them harmless',
      'Noisiest key: batch-7, 6 alerts, most of unusual_hour',
      'unusual_hour: 9 (1 warning, 8 info)',
      'unusual_geo: 3 (3 warning)',
      'volume_spike: 2 (2 critical)',
    ])
  })

  test('complaint 11: shows every silence in force, what it kept quiet, and that it matches nothing', () => {
    const silence = {
      id: 's1',
      matchers: { key_id: ['batch-*'] },
      alertId: undefined,
      startsAt: new Date(SOME_TIME_MS - DAY_MS),
      endsAt: new Date(SOME_TIME_MS + DAY_MS),
      createdAt: new Date(SOME_TIME_MS - DAY_MS),
      createdBy: 'ann',
      comment: 'batch run',
      expiredAt: undefined,
      expiredBy: undefined,
    }
    const use = { state: 'active' as const, silencing: 1, silenced: 4, matchesSomething: true }
    const idle = { ...use, silenced: 0, matchesSomething: false }
    const lines = digestLines(
      factsOf({
        silences: [
          { silence, use },
          { silence: { ...silence, createdBy: 'bo' }, use: idle },
        ],
      }),
    )
    expect(lines).toEqual(
      expect.arrayContaining([
        'Silences in force: 2, 4 alerts kept quiet so far',
        'Silence until 2026-03-05 12:00 UTC by ann: batch run (4 alerts kept quiet)',
        'Silence until 2026-03-05 12:00 UTC by bo: batch run (0 alerts kept quiet, MATCHES NOTHING)',
      ]),
    )
  })

  test('says what the dry run would have done, and what people said of it', () => {
    const entry = (keyId: string, verdict: 'safe' | 'compromised' | undefined) => ({
      keyId,
      state: 'dry_run' as const,
      firstAt: new Date(SOME_TIME_MS),
      decisions: 1,
      reason: 'critical alert',
      alert: undefined,
      verdict,
    })
    const ledger = [entry('key-1', 'compromised'), entry('key-2', 'safe'), entry('key-3', undefined)]
    expect(digestLines(factsOf({ ledger }))).toContain(
      'Dry run: mode auto would have revoked 3 keys (key-1, key-2, key-3); 1 judged compromised, 1 judged safe, 1 without a verdict',
    )
  })

  test('shows first the channel that is broken, and says so at the top', () => {
    const channel = { delivered: 40, failed: 0, waiting: 0, brokenSince: undefined, lastError: undefined }
    const facts = factsOf({
      channels: [
        { ...channel, channel: 'a' },
        {
          ...channel,
          channel: 'siem',
          failed: 2,
          waiting: 7,
          brokenSince: new Date(SOME_TIME_MS),
          lastError: 'answered 410',
        },
      ],
    })
    expect(digestLines(facts).filter((line) => line.startsWith('Channel'))).toEqual([
      'Channel siem: 40 delivered, 2 failed, 7 waiting, BROKEN since 2026-03-04 12:00 UTC: answered 410',
      'Channel a: 40 delivered, 0 failed, 0 waiting',
    ])
    expect(digestNotice(facts).text).toContain('Broken: siem.')
  })

  test('says what was refused, what has no price and what was wrong with keyhound, and does not say 0 for unknown', () => {
    const usage = { requests: 1_000, costNanoUsd: 0, successful: 800, unpriced: 200, keys: 3 }
    expect(
      digestLines(
        factsOf({
          usage,
          rejected: [{ reason: 'timestamp: expected an instant', count: 1_300 }],
          problems: [
            { topic: 'ticks_late', count: 2 },
            { topic: 'queue_unreachable', count: 1 },
          ],
        }),
      ).slice(-3),
    ).toEqual([
      'Refused events: 1,300 (1,300 timestamp: expected an instant)',
      'Requests without a known cost: 200 (25 %), which limits on spend do not see',
      'keyhound itself: ticks_late 2 times, queue_unreachable',
    ])
    const unknown = messageLines(noticeMessage(digestNotice(factsOf({ usage: undefined })))).join('\n')
    expect(unknown).toContain('Requests: unknown')
    expect(unknown).toContain('Requests without a known cost: unknown.')
  })

  test('of a busy week fits into one message whole', () => {
    const channel = { delivered: 40, failed: 0, waiting: 0, brokenSince: undefined, lastError: undefined }
    const facts = factsOf({
      ...NOISY,
      alerts: (
        [
          'unusual_hour',
          'volume_spike',
          'unusual_geo',
          'model_probe',
          'dormant_key',
          'error_rate',
          'key_age',
          'ip_allowlist',
        ] as const
      ).map((detector) => ({ detector, severity: 'warning' as const, count: 3 })),
      channels: ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({ ...channel, channel: name })),
      rejected: [{ reason: 'x', count: 1 }],
    })
    const text = messageLines(noticeMessage(digestNotice(facts))).join('\n')
    for (const line of digestLines(facts)) expect(text).toContain(line)
  })
})

describe('the digest of a database', () => {
  let db: Database
  const NOW = SOME_TIME_MS
  beforeAll(async () => {
    db = openDatabase(await testDatabase())
    const writer = createUsageWriter(db, { nowMs: () => NOW })
    await writer.write({
      events: [
        enrichedEvent({ timestampMs: NOW - DAY_MS, keyId: 'key-1' }),
        enrichedEvent({ timestampMs: NOW - DAY_MS, keyId: 'key-2', costNanoUsd: undefined }),
        enrichedEvent({ timestampMs: NOW - DAY_MS, keyId: 'key-2', statusCode: 429, costNanoUsd: undefined }),
        enrichedEvent({ timestampMs: NOW - 8 * DAY_MS, keyId: 'key-3' }),
      ],
      rejected: ['a', 'a', 'b', 'c', 'd'].map((reason, index) => ({
        jobId: 'job',
        index,
        receivedAt: new Date(NOW - HOUR_MS),
        reason,
        payload: undefined,
      })),
    })
    await raiseAlert(db, { keyId: 'key-1', channels: ['oncall'], nowMs: NOW - DAY_MS })
    await raiseAlert(db, {
      keyId: 'key-2',
      channels: ['oncall', 'siem'],
      nowMs: NOW - DAY_MS,
      severity: 'warning',
    })
    await raiseAlert(db, { keyId: 'key-3', channels: [], nowMs: NOW - 9 * DAY_MS })
    await db.updateTable('alert').set({ verdict: 'safe' }).where('key_id', '=', 'key-2').execute()
    await db
      .updateTable('delivery')
      .set({ state: 'delivered', settled_at: new Date(NOW - DAY_MS) })
      .where('channel', '=', 'oncall')
      .execute()
    await db
      .insertInto('channel_state')
      .values({ channel: 'siem', broken_at: new Date(NOW - HOUR_MS), last_error: 'answered 410' })
      .execute()
    await createSelfAlertStore(db).move(
      (open) =>
        advance(open, [bad('ticks_late')], {
          nowMs: NOW - HOUR_MS,
          repeatMs: DAY_MS,
          newId: () => crypto.randomUUID(),
        }),
      { targets: [undefined], now: new Date(NOW - HOUR_MS) },
    )
  })
  afterAll(async () => {
    await db.destroy()
  })

  const stores = () => ({ revocations: createRevocationStore(db), silences: createSilenceStore(db) })

  test('tells what happened in the week, and nothing from before it', async () => {
    const facts = await readDigestFacts(db, stores(), { from: new Date(NOW - WEEK_MS), to: new Date(NOW) })
    expect(facts).toMatchObject({
      usage: { requests: 3, successful: 2, unpriced: 1, keys: 2 },
      alertsBefore: 1,
      keysWithAlerts: 2,
      open: 3,
      silences: [],
      channels: [
        { channel: 'oncall', delivered: 2, failed: 0, waiting: 0, brokenSince: undefined },
        {
          channel: 'siem',
          delivered: 0,
          failed: 0,
          waiting: 1,
          brokenSince: new Date(NOW - HOUR_MS),
          lastError: 'answered 410',
        },
      ],
      ledger: [],
      rejected: [
        { reason: 'a', count: 2 },
        { reason: 'b', count: 1 },
        { reason: 'c', count: 1 },
        { reason: 'other reasons', count: 1 },
      ],
      problems: [{ topic: 'ticks_late', count: 1 }],
    })
    expect(
      facts.alerts
        .map(({ severity, count }) => [severity, count])
        .toSorted((a, b) => String(a).localeCompare(String(b))),
    ).toEqual([
      ['critical', 1],
      ['warning', 1],
    ])
    expect(facts.keys.map(({ keyId }) => keyId)).toEqual(['key-1', 'key-2'])
    expect(facts.verdicts).toMatchObject([{ verdict: 'safe', count: 1 }])
  })

  test('is made once for eight replicas, and once again a week later', async () => {
    const session = { database: db, ...stores() }
    const weeklyDigest = digestSettings.parse({ channels: ['oncall', 'security'] })
    const context = { session, live: { config: { weeklyDigest } }, clock: new ManualClock(NOW), log }
    const notices = async (): Promise<(string | null)[]> => {
      const rows = await db
        .selectFrom('self_notice')
        .select('channel')
        .where('topic', '=', 'digest')
        .orderBy('number')
        .execute()
      return rows.map(({ channel }) => channel)
    }
    await Promise.all(Array.from({ length: 8 }, () => sendDigest(context, NOW)))
    expect(await notices()).toEqual(['oncall', 'security'])
    await sendDigest(context, NOW + WEEK_MS)
    expect(await notices()).toEqual(['oncall', 'security', 'oncall', 'security'])
  })
})

describe('the schedule of the digest', () => {
  const monday = Date.parse('2026-03-02T07:00:00Z') // 08:00 in Berlin
  const settings = { schedule: '0 8 * * 1', timezone: 'Europe/Berlin' }

  test('is due at its minute in its own time zone, once', () => {
    expect(latestDueMs(settings, { afterMs: monday - HOUR_MS, nowMs: monday - 1 })).toBeUndefined()
    expect(latestDueMs(settings, { afterMs: monday - HOUR_MS, nowMs: monday + 30_000 })).toBe(monday)
    expect(latestDueMs(settings, { afterMs: monday, nowMs: monday + HOUR_MS })).toBeUndefined()
    const summer = Date.parse('2026-07-06T06:00:00Z')
    expect(latestDueMs(settings, { afterMs: summer - HOUR_MS, nowMs: summer })).toBe(summer)
  })

  test('is made up for when keyhound was down at that minute, within a day', () => {
    expect(latestDueMs(settings, { afterMs: monday - WEEK_MS, nowMs: monday + 5 * HOUR_MS })).toBe(monday)
    expect(
      latestDueMs(settings, { afterMs: monday - WEEK_MS, nowMs: monday + DAY_MS + MINUTE_MS }),
    ).toBeUndefined()
  })

  test('sends nothing at the first start, then at each time that is due; what could not be made is tried again', async () => {
    const clock = new ManualClock(monday + HOUR_MS)
    const sent: number[] = []
    let failures = 1
    const schedule = startDigestSchedule({
      settings: () => digestSettings.parse({ ...settings, channels: ['oncall'] }),
      lastTurnMs: () => Promise.resolve(undefined),
      send: (dueMs) => {
        if (failures-- > 0) return Promise.reject(new Error('the database is away'))
        sent.push(dueMs)
        return Promise.resolve(true)
      },
      clock,
      log,
    })
    try {
      schedule.wake()
      expect(sent).toEqual([])
      clock.set(monday + WEEK_MS + 10_000)
      schedule.wake()
      await eventually('it is sent although the first try failed', () => sent.length > 0)
      expect(sent).toEqual([monday + WEEK_MS])
    } finally {
      await schedule.stop()
    }
  })
})
