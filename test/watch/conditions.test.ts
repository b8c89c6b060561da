import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { noticeMessage } from '../../src/alert/notice.ts'
import { CONDITIONS, judgeAll } from '../../src/watch/conditions.ts'
import { isAlive } from '../../src/watch/is-alive.ts'
import { isBlind } from '../../src/watch/is-blind.ts'
import type { Signals } from '../../src/watch/signals.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { DEFAULTS, NOTHING_KNOWN, signals } from './signals.ts'

const NOW = SOME_TIME_MS

function judged(given: Partial<Signals>, settings = DEFAULTS): Record<string, string> {
  return Object.fromEntries(judgeAll(signals(given), settings, NOW).map(({ topic, state }) => [topic, state]))
}

function problemOf(topic: string, given: Partial<Signals>) {
  const judgement = judgeAll(signals(given), DEFAULTS, NOW).find((each) => each.topic === topic)
  return judgement?.state === 'bad' ? judgement.problem : undefined
}

const silence = (ms: number, expected: number | undefined = 400): Partial<Signals> => ({
  usage: { newestMs: NOW - ms, expected },
})

/** One way to be ill for each condition, and the same a little better: worse than well, but not told. */
const ILLNESSES: Readonly<
  Record<string, { readonly bad: Partial<Signals>; readonly between?: Partial<Signals> }>
> = {
  ingest_silent: { bad: silence(10 * MINUTE_MS), between: silence(9 * MINUTE_MS) },
  ingest_lagging: {
    bad: { usage: { newestMs: NOW - 5 * MINUTE_MS, expected: 90 }, jobs: { waiting: 400, failed: 0 } },
    between: { usage: { newestMs: NOW - 4 * MINUTE_MS, expected: 90 }, jobs: { waiting: 400, failed: 0 } },
  },
  ticks_late: {
    bad: { ticks: { oldestSuccessMs: NOW - 2 * MINUTE_MS, haveRun: true, tickMs: 10_000 } },
    between: { ticks: { oldestSuccessMs: NOW - 90 * SECOND_MS, haveRun: true, tickMs: 10_000 } },
  },
  deliveries_late: {
    bad: { deliveries: { overdue: 3, oldestDueMs: NOW - 5 * MINUTE_MS } },
    between: { deliveries: { overdue: 3, oldestDueMs: NOW - 3 * MINUTE_MS } },
  },
  database_unreachable: {
    bad: { database: { kind: 'down', sinceMs: NOW - MINUTE_MS, error: 'ECONNREFUSED' } },
    between: { database: { kind: 'down', sinceMs: NOW - 59 * SECOND_MS, error: 'ECONNREFUSED' } },
  },
  queue_unreachable: {
    bad: { queue: { kind: 'down', sinceMs: NOW - MINUTE_MS, error: 'ECONNREFUSED' } },
    between: { queue: { kind: 'down', sinceMs: NOW - 59 * SECOND_MS, error: 'ECONNREFUSED' } },
  },
  dead_letters: {
    bad: { rejected: { count: 50, commonest: 'timestamp: expected an instant' } },
    between: { rejected: { count: 40, commonest: 'timestamp: expected an instant' } },
  },
  revoke_failed: { bad: { revocations: { failedKeys: 2, halts: [] } } },
  revocations_halted: {
    bad: { revocations: { failedKeys: 0, halts: ['40 keys fire at once: that is an outage or a release'] } },
  },
  'detector_failing:volume_spike': {
    bad: { detectors: [{ detector: 'volume_spike', keys: 3, inARow: 5, error: 'TypeError' }] },
    between: { detectors: [{ detector: 'volume_spike', keys: 3, inARow: 4, error: 'TypeError' }] },
  },
  unpriced_traffic: {
    bad: { pricing: { requests: 1_000, unpriced: 200, models: ['house-model-1'] } },
    between: { pricing: { requests: 1_000, unpriced: 150, models: ['house-model-1'] } },
  },
  geo_data_old: { bad: { geo: { dataMs: NOW - 180 * DAY_MS } } },
  heartbeat_failing: {
    bad: { heartbeat: { failures: 3, error: 'answered 500' } },
    between: { heartbeat: { failures: 2, error: 'answered 500' } },
  },
}

describe('what is wrong with keyhound', () => {
  test('nothing is, when all is well', () => {
    expect(new Set(Object.values(judged({})))).toEqual(new Set(['good']))
  })

  test('every condition has a case here, and a section in the runbook', () => {
    const runbook = readFileSync(join(import.meta.dirname, '../../docs/runbook.md'), 'utf8')
    const names = CONDITIONS.map(({ name }) => name)
    expect(new Set(Object.keys(ILLNESSES).map((topic) => topic.split(':')[0]))).toEqual(new Set(names))
    for (const name of names) expect(runbook).toContain(`### \`${name}\``)
  })

  test.each(Object.entries(ILLNESSES))('%s is found, and found alone', (topic, { bad }) => {
    expect(
      Object.entries(judged(bad))
        .filter(([, state]) => state === 'bad')
        .map(([each]) => each),
    ).toEqual([topic])
  })

  test.each(Object.entries(ILLNESSES))(
    '%s says what is wrong, what it means and what to do, in what a channel can show whole',
    (topic, { bad }) => {
      const problem = problemOf(topic, bad)
      expect(problem?.text.length).toBeGreaterThan(40)
      const message = noticeMessage({
        id: 'n1',
        type: 'keyhound.problem',
        topic,
        at: new Date(NOW),
        ...(problem ?? { severity: 'info', title: '', text: '', advice: '' }),
      })
      expect([message.heading, message.summary, message.response].join()).not.toContain('…')
    },
  )

  test.each(
    Object.entries(ILLNESSES).flatMap(([topic, { between }]) =>
      between === undefined ? [] : [[topic, between]],
    ),
  )('between the lines that open and close it, %s neither opens nor ends', (topic, between) => {
    expect(judged(between as Partial<Signals>)[topic as string]).toBe('unclear')
  })

  test('what nobody knows is neither good nor bad', () => {
    const unknown = judgeAll(NOTHING_KNOWN, DEFAULTS, NOW).filter(
      ({ topic }) => !topic.endsWith('unreachable'),
    )
    expect(unknown.length).toBeGreaterThan(5)
    expect(unknown.map(({ state }) => state)).not.toContain('bad')
    expect(unknown.map(({ state }) => state)).not.toContain('good')
  })
})

describe('silence', () => {
  test('before the first event is not silence', () => {
    expect(judged({ usage: { newestMs: undefined, expected: undefined } })['ingest_silent']).toBe('good')
  })

  test('at an hour at which hardly anybody works is no outage', () => {
    expect(judged(silence(3 * HOUR_MS, 4))['ingest_silent']).toBe('unclear')
  })

  test('that began by day does not end because night falls', () => {
    expect(judged(silence(8 * HOUR_MS, 2))['ingest_silent']).not.toBe('good')
  })

  test('while work waits in the queue is a lag', () => {
    const states = judged({ ...silence(11 * MINUTE_MS), jobs: { waiting: 9_000, failed: 0 } })
    expect([states['ingest_silent'], states['ingest_lagging']]).toEqual(['unclear', 'bad'])
  })

  test('a history that is being imported is no lag', () => {
    const states = judged({ ...silence(20 * DAY_MS, undefined), jobs: { waiting: 900, failed: 0 } })
    expect([states['ingest_silent'], states['ingest_lagging']]).toEqual(['unclear', 'unclear'])
  })
})

describe('complaint 15: unknown is not zero', () => {
  const blind = (given: Partial<Signals>): boolean => isBlind(signals(given), NOW)

  test('keyhound knows that it is blind minutes before it tells anybody', () => {
    expect(blind(silence(2 * MINUTE_MS, 60))).toBe(true)
    expect(judged(silence(2 * MINUTE_MS, 60))['ingest_silent']).toBe('good')
  })

  test('it is blind while usage waits in the queue, and while nobody can ask', () => {
    expect(blind({ ...silence(3 * MINUTE_MS, undefined), jobs: { waiting: 10, failed: 0 } })).toBe(true)
    expect(blind({ usage: undefined })).toBe(true)
  })

  test('a quiet night, a minute between two batches and an empty installation are not blindness', () => {
    expect(blind(silence(3 * HOUR_MS, 4))).toBe(false)
    expect(blind(silence(MINUTE_MS, 500))).toBe(false)
    expect(blind({ usage: { newestMs: undefined, expected: undefined } })).toBe(false)
  })
})

describe('complaint 26: usage that goes missing is told', () => {
  test('when it is refused, when a job of it fails, and when a fleet falls silent', () => {
    expect(judged({ rejected: { count: 50, commonest: 'x' } })['dead_letters']).toBe('bad')
    expect(judged({ jobs: { waiting: 0, failed: 1 } })['dead_letters']).toBe('bad')
    expect(judged(silence(10 * MINUTE_MS))['ingest_silent']).toBe('bad')
  })
})

describe('a sign of life', () => {
  const alive = (given: Partial<Signals>): boolean => {
    const known = signals(given)
    return isAlive(known, judgeAll(known, DEFAULTS, NOW))
  }

  test('is given when detectors have really run, and usage and messages flow', () => {
    expect(alive({})).toBe(true)
  })

  test.each([
    ['no detector has run yet', { ticks: { oldestSuccessMs: NOW, haveRun: false, tickMs: 10_000 } }],
    ['the detectors are late', ILLNESSES['ticks_late']?.bad],
    ['no usage arrives', ILLNESSES['ingest_silent']?.bad],
    ['usage lags', ILLNESSES['ingest_lagging']?.bad],
    ['messages are not sent', ILLNESSES['deliveries_late']?.bad],
    ['the database has just gone away', ILLNESSES['database_unreachable']?.between],
    ['the queue has just gone away', ILLNESSES['queue_unreachable']?.between],
    ['nobody knows of ticks', { ticks: undefined }],
    ['nobody knows of usage', { usage: undefined }],
  ])('is not given when %s', (_name, given) => {
    expect(alive(given ?? {})).toBe(false)
  })

  test('does not depend on what can wait', () => {
    for (const topic of ['geo_data_old', 'unpriced_traffic', 'heartbeat_failing', 'dead_letters']) {
      expect(alive(ILLNESSES[topic]?.bad ?? {})).toBe(true)
    }
  })
})
