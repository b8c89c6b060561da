import { calcPrice, type ModelInfo, type ModelPrice, type Provider } from '@pydantic/genai-prices'
import { LRUCache } from 'lru-cache'
import { NANO_USD_PER_USD } from '../usage/event.ts'

/** What one request cost, as far as a list of prices can tell. */
export interface PriceQuestion {
  readonly model: string
  readonly provider: string | undefined
  readonly inputTokens: number
  readonly outputTokens: number
  /** Part of `inputTokens`, billed at the price for cached input. */
  readonly cachedInputTokens: number
  /** When the request happened: prices change. */
  readonly timestampMs: number
}

export interface PriceList {
  /** The price in 10^-9 US dollars, an integer; undefined when the model, its provider or a price that counts is unknown. */
  costNanoUsd(question: PriceQuestion): number | undefined
}

/** Pairs of provider and model whose match is remembered; finding one costs some 50 µs. */
const MATCHES_KEPT = 2_000

/**
 * The prices of @pydantic/genai-prices as they came with the package; nothing is fetched. A provider that the list does
 * not know leaves the cost unknown: who hosts a model decides what it costs.
 */
export function bundledPriceList(): PriceList {
  const matches = new LRUCache<string, { readonly price: Pricer | undefined }>({ max: MATCHES_KEPT })
  return {
    costNanoUsd(question) {
      const name = `${question.provider ?? ''}\0${question.model}`
      let match = matches.get(name)
      if (match === undefined) {
        match = { price: pricerFor(question.provider, question.model) }
        matches.set(name, match)
      }
      return match.price?.(question)
    },
  }
}

type Pricer = (question: PriceQuestion) => number | undefined

/** Also reads the spelling `provider/model` that gateways use, when it does not contradict the provider. */
function pricerFor(provider: string | undefined, model: string): Pricer | undefined {
  const found = calcPrice({}, model, provider === undefined ? {} : { providerId: provider })
  if (found !== null) return pricerOf(found.provider, found.model)
  const slash = model.indexOf('/')
  const prefix = model.slice(0, Math.max(slash, 0))
  if (prefix === '' || (provider !== undefined && provider.toLowerCase() !== prefix.toLowerCase()))
    return undefined
  const inner = calcPrice({}, model.slice(slash + 1), { providerId: prefix })
  return inner === null ? undefined : pricerOf(inner.provider, inner.model)
}

function pricerOf(provider: Provider, model: ModelInfo): Pricer {
  const linear = Array.isArray(model.prices) ? undefined : linearPricer(model.prices)
  return linear ?? ((question) => listedPrice({ ...provider, models: [model] }, model, question))
}

/** Prices by the token alone, without steps, are computed here: the package takes 15 µs for the same. */
function linearPricer(prices: ModelPrice): Pricer | undefined {
  const { input_mtok: input, output_mtok: output, cache_read_mtok: cached = input } = prices
  if (typeof input !== 'number' || typeof output !== 'number' || typeof cached !== 'number') return undefined
  if (prices['requests_kcount'] !== undefined) return undefined
  return (question) => {
    const { inputTokens, cachedTokens } = inputOf(question)
    // Dollars per million tokens are 1,000 nano-dollars per token.
    const dollars =
      (inputTokens - cachedTokens) * input + cachedTokens * cached + question.outputTokens * output
    return Math.round(dollars * 1_000)
  }
}

/** The package's own arithmetic: steps by size of the request, prices that depend on the date or the hour. */
function listedPrice(provider: Provider, model: ModelInfo, question: PriceQuestion): number | undefined {
  const { inputTokens, cachedTokens } = inputOf(question)
  const usage = {
    input_tokens: inputTokens,
    cache_read_tokens: cachedTokens,
    output_tokens: question.outputTokens,
  }
  const timestamp = new Date(question.timestampMs)
  const result = calcPrice(usage, model.id, { provider, timestamp })
  if (result === null || !pricesAll(result.model_price, question)) return undefined
  return Math.round(result.total_price * NANO_USD_PER_USD)
}

/** False when tokens were used that the list has no price for, as with models billed by the hour or page: 0 would be a guess. */
function pricesAll(prices: ModelPrice, question: PriceQuestion): boolean {
  const isFree = Object.keys(prices).length === 0
  if (isFree) return true
  return (
    (question.inputTokens === 0 || prices['input_mtok'] !== undefined) &&
    (question.outputTokens === 0 || prices['output_mtok'] !== undefined)
  )
}

/** All input and the cached part of it. A gateway that reports more cached than input counts the two apart. */
function inputOf(question: PriceQuestion): { readonly inputTokens: number; readonly cachedTokens: number } {
  const { inputTokens, cachedInputTokens: cachedTokens } = question
  return { inputTokens: cachedTokens > inputTokens ? inputTokens + cachedTokens : inputTokens, cachedTokens }
}
