import { describe, expect, test } from 'vitest'
import { createEnricher } from '../../src/enrich/enrich-event.ts'
import { geoLitePlaces } from '../../src/enrich/place.ts'
import { bundledPriceList } from '../../src/enrich/price.ts'
import type { UsageEvent } from '../../src/usage/event.ts'
import { parseUsageEvent } from '../../src/usage/parse-event.ts'
import { usageEvent, type WireEvent } from '../harness/builders.ts'

const enrich = createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() })

function event(overrides: Partial<Record<keyof WireEvent, unknown>>): UsageEvent {
  const parsed = parseUsageEvent({ ...usageEvent(), ...overrides })
  if (!parsed.ok) throw new Error(parsed.error)
  return parsed.event
}

describe('an event gets', () => {
  test('the place of its address', () => {
    expect(enrich(event({ ip: '8.8.8.8' })).place?.country).toBe('US')
    expect(enrich(event({ ip: '10.0.0.1' })).place).toBeUndefined()
    expect(enrich(event({ ip: null })).place).toBeUndefined()
  })

  test("the gateway's cost when there is one, even 0 and even when the list says otherwise", () => {
    expect(enrich(event({ cost_usd: 0 }))).toMatchObject({ costNanoUsd: 0, costEstimated: false })
    expect(enrich(event({ cost_usd: 1.5 }))).toMatchObject({
      costNanoUsd: 1_500_000_000,
      costEstimated: false,
    })
  })

  test('the price of the list when the gateway gave none, marked as an estimate', () => {
    const priced = enrich(event({ cost_usd: null, model: 'gpt-4o', input_tokens: 1_000, output_tokens: 100 }))
    expect(priced).toMatchObject({ costNanoUsd: 3_500_000, costEstimated: true })
  })

  test('no cost when nobody knows one, and never a guess of 0', () => {
    expect(enrich(event({ cost_usd: null, model: 'our-own' }))).toMatchObject({ costEstimated: false })
    expect(enrich(event({ cost_usd: null, model: 'our-own' })).costNanoUsd).toBeUndefined()
    expect(
      enrich(event({ cost_usd: null, input_tokens: null, output_tokens: null })).costNanoUsd,
    ).toBeUndefined()
  })

  test('the cost 0 when a known model refused the call', () => {
    expect(enrich(event({ cost_usd: null, status_code: 429 }))).toMatchObject({
      costNanoUsd: 0,
      costEstimated: true,
    })
    expect(enrich(event({ cost_usd: null, status_code: 429, model: 'our-own' })).costNanoUsd).toBeUndefined()
  })
})
