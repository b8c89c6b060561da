import { calcPrice, findProvider, type Provider } from '@pydantic/genai-prices'
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest'
import { bundledPriceList, type PriceQuestion } from '../../src/enrich/price.ts'

const prices = bundledPriceList()

function question(overrides: Partial<PriceQuestion>): PriceQuestion {
  return {
    model: 'gpt-4o',
    provider: 'openai',
    inputTokens: 1_000_000,
    outputTokens: 0,
    cachedInputTokens: 0,
    timestampMs: Date.parse('2026-03-04T12:00:00Z'),
    ...overrides,
  }
}

describe('the price of a request', () => {
  test('is that of the list: gpt-4o takes 2.50 dollars for a million tokens in, 1.25 cached, 10 out', () => {
    expect(prices.costNanoUsd(question({}))).toBe(2_500_000_000)
    expect(prices.costNanoUsd(question({ cachedInputTokens: 400_000 }))).toBe(1_500_000_000 + 500_000_000)
    expect(prices.costNanoUsd(question({ inputTokens: 0, outputTokens: 1_000_000 }))).toBe(10_000_000_000)
    expect(prices.costNanoUsd(question({ inputTokens: 1, outputTokens: 1 }))).toBe(2_500 + 10_000)
  })

  test('counts cached tokens beside the input when a gateway reports more of them than input', () => {
    expect(prices.costNanoUsd(question({ inputTokens: 1_000, cachedInputTokens: 2_000 }))).toBe(
      2_500_000 + 2_500_000,
    )
  })

  test.each([
    ['gpt-4o', undefined],
    ['gpt-4o', 'OpenAI'],
    ['gpt-4o', 'azure'],
    ['openai/gpt-4o', undefined],
    ['azure/gpt-4o', 'azure'],
    ['gpt-4o-2024-08-06', 'openai'],
  ])('is known for %s of %s', (model, provider) => {
    expect(prices.costNanoUsd(question({ model, provider }))).toBe(2_500_000_000)
  })

  test.each([
    ['gpt-4o', 'our-own-servers'],
    ['openai/gpt-4o', 'our-own-servers'],
    ['no-such-model', 'openai'],
    ['no-such-model', undefined],
    ['no/such/model', undefined],
    ['__proto__', 'constructor'],
    ['', ''],
  ])('is unknown, and not 0, for %s of %s', (model, provider) => {
    expect(prices.costNanoUsd(question({ model, provider }))).toBeUndefined()
  })

  test('is unknown, and not 0, for a model that is billed by the hour of sound', () => {
    expect(prices.costNanoUsd(question({ model: 'whisper-1' }))).toBeUndefined()
  })

  test('rises with the size of the request where the list says so', () => {
    const small = prices.costNanoUsd(
      question({ model: 'gemini-2.5-pro', provider: 'google', inputTokens: 100_000 }),
    )
    const large = prices.costNanoUsd(
      question({ model: 'gemini-2.5-pro', provider: 'google', inputTokens: 300_000 }),
    )
    expect(small).toBe(125_000_000)
    expect(large).toBe(750_000_000)
  })

  test('holds the fee for the request itself', () => {
    const sonar = question({ model: 'sonar', provider: 'perplexity', inputTokens: 1_000, outputTokens: 100 })
    expect(prices.costNanoUsd(sonar)).toBe(1_100_000 + 12_000_000)
  })
})

describe('against the package that the prices come from', () => {
  let printed: MockInstance
  beforeEach(() => void (printed = vi.spyOn(console, 'warn').mockImplementation(() => {})))
  afterEach(() => void vi.restoreAllMocks())

  test('every model of the large providers costs the same to the nano-dollar, and nothing is printed', () => {
    const providers = [
      'openai',
      'anthropic',
      'google',
      'azure',
      'aws',
      'mistral',
      'groq',
      'x-ai',
      'deepseek',
      'cohere',
      'openrouter',
    ]
    const usage = { inputTokens: 250_123, outputTokens: 567, cachedInputTokens: 1_001 }
    let compared = 0
    for (const id of providers) {
      const provider = findProvider({ providerId: id }) as Provider
      for (const { id: model } of provider.models) {
        const asked = question({ model, provider: id, ...usage })
        const ours = prices.costNanoUsd(asked)
        if (ours === undefined) continue
        const theirs = calcPrice(
          {
            input_tokens: usage.inputTokens,
            output_tokens: usage.outputTokens,
            cache_read_tokens: usage.cachedInputTokens,
          },
          model,
          { providerId: id, timestamp: new Date(asked.timestampMs) },
        )
        expect([model, Math.abs(ours - (theirs?.total_price ?? Number.NaN) * 1e9) <= 1]).toEqual([
          model,
          true,
        ])
        compared += 1
      }
    }
    expect(compared).toBeGreaterThan(800)
    expect(printed).not.toHaveBeenCalled()
  })
})
