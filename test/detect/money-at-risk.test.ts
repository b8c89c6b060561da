import { describe, expect, test } from 'vitest'
import type { Finding } from '../../src/detect/finding.ts'
import { moneyAtRisk, weighMoney, type MoneyAtRisk } from '../../src/detect/money-at-risk.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { NANO_USD_PER_USD } from '../../src/usage/event.ts'
import { NO_USAGE, type Rollup } from '../../src/usage/rollup.ts'
import { finding } from '../store/decisions.ts'

const nowMs = Date.parse('2026-03-04T12:30:20Z')
const settings = { warningUsdPerHour: 50, criticalUsdPerHour: 200, pageFromUsdPerHour: 2 }

/** One request so many minutes ago that cost so many dollars. */
const use = (minutesAgo: number, usd: number, given: Partial<Rollup> = {}): Rollup => ({
  ...NO_USAGE,
  keyId: 'key-1',
  bucketMs: Math.floor(nowMs / MINUTE_MS - minutesAgo) * MINUTE_MS,
  model: 'gpt-4o',
  country: 'US',
  requests: 1,
  costNanoUsd: usd * NANO_USD_PER_USD,
  ...given,
})
const profile = emptyProfile({ keyId: 'key-1', firstSeenMs: 0, timeZone: 'UTC' })
const usedTo = (usdPerHour: number): Profile => {
  const all = Array<number>(168)
  return {
    ...profile,
    week: {
      taught: all.fill(40),
      requests: Array<number>(168).fill(34),
      active: Array<number>(168).fill(11),
    },
    volume: {
      ...profile.volume,
      costNanoUsd: { requests: 1_000, sum: usdPerHour * 100 * NANO_USD_PER_USD, squares: 0, hours: 100 },
    },
  }
}
const risk = (given: Partial<Finding>, rollups: readonly Rollup[], known: Profile = profile) =>
  moneyAtRisk(finding(given), {
    usage: {
      key: { keyId: 'key-1', teamId: undefined, environment: undefined },
      rollups,
      sources: [],
    },
    profile: known,
    nowMs,
  })

describe('the money at risk an hour', () => {
  test('is the pace of the last ten minutes, or what the last hour cost if that is more', () => {
    const spike = { detector: 'volume_spike' } as const
    expect(risk(spike, [use(50, 1), use(9, 2), use(0, 3)]).usdPerHour).toBe(30)
    expect(risk(spike, [use(50, 40), use(0, 3)]).usdPerHour).toBe(43)
    expect(risk(spike, [use(70, 40)]).usdPerHour).toBe(0)
  })

  test('of a new country or model is what that costs, and not what the key costs', () => {
    const rollups = [use(5, 20), use(5, 1, { country: 'RO', model: 'gpt-5' })]
    const base = finding().evidence
    expect(risk({ evidence: { ...base, observed: { RO: 1 } } }, rollups).usdPerHour).toBe(6)
    const model = { detector: 'unfamiliar_model', evidence: { ...base, observed: { 'gpt-5': 1 } } } as const
    expect(risk(model, rollups).usdPerHour).toBe(6)
  })

  test('of all else is what is spent above the usual: a dear key that is used as ever risks nothing', () => {
    const hour = { detector: 'unusual_hour' } as const
    const rollups = Array.from({ length: 60 }, (_, minute) => use(minute, 1))
    expect(risk(hour, rollups).usdPerHour).toBe(60)
    const usual = risk(hour, rollups, usedTo(40)).usdPerHour
    expect(usual).toBeGreaterThan(10)
    expect(usual).toBeLessThan(30)
    expect(risk(hour, rollups, usedTo(400)).usdPerHour).toBe(0)
  })

  test('is not known when a tenth of the use has no price', () => {
    const spike = { detector: 'volume_spike' } as const
    expect(risk(spike, [use(1, 1, { requests: 20, unpriced: 2 })]).isKnown).toBe(true)
    expect(risk(spike, [use(1, 1, { requests: 20, unpriced: 3 })]).isKnown).toBe(false)
    expect(risk(spike, []).isKnown).toBe(false)
  })
})

describe('severity', () => {
  const weigh = (given: Partial<Finding>, at: MoneyAtRisk, isGraded = true) =>
    weighMoney([finding(given)], { settings, riskOf: () => at, isGraded: () => isGraded })[0]
  const known = (usdPerHour: number): MoneyAtRisk => ({ usdPerHour, isKnown: true })
  const withOthers = (...others: string[]) => ({
    severity: 'critical' as const,
    evidence: { ...finding().evidence, corroborated_by: others },
  })

  test('rises with the money at risk, and says by how much', () => {
    expect(weigh({ severity: 'info' }, known(49))?.severity).toBe('info')
    expect(weigh({ severity: 'info' }, known(50))).toMatchObject({
      severity: 'warning',
      evidence: { usd_per_hour_at_risk: 50 },
    })
    const hour = { severity: 'info', detector: 'unusual_hour' } as const
    expect(weigh(hour, known(512.345))).toMatchObject({
      severity: 'critical',
      evidence: { usd_per_hour_at_risk: 512 },
    })
    expect(weigh({ severity: 'warning' }, known(0))).toEqual(finding({ severity: 'warning' }))
  })

  test('complaint 23: of a place alone is never critical, whatever it costs', () => {
    expect(weigh({ severity: 'info' }, known(9_000))?.severity).toBe('warning')
    expect(weigh({ severity: 'info', detector: 'impossible_travel' }, known(9_000))?.severity).toBe('warning')
    expect(weigh(withOthers('volume_spike'), known(9_000))?.severity).toBe('critical')
  })

  test('two oddities that cost two dollars do not page, a stolen key does', () => {
    expect(weigh(withOthers('unusual_hour'), known(1.9))?.severity).toBe('warning')
    expect(weigh(withOthers('unusual_hour'), known(2))?.severity).toBe('critical')
    expect(weigh(withOthers('unusual_hour', 'volume_spike'), known(0.1))?.severity).toBe('critical')
  })

  test('is not lowered where prices are unknown: unknown is not nothing', () => {
    expect(weigh(withOthers('unusual_hour'), { usdPerHour: 0, isKnown: false })?.severity).toBe('critical')
  })

  test('that the operator fixed, or of a limit of the operator, stays', () => {
    expect(weigh({ severity: 'info' }, known(900), false)?.severity).toBe('info')
    expect(weigh({ severity: 'info', detector: 'key_age' }, known(900))?.severity).toBe('info')
  })
})
