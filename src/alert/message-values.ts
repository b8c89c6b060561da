import type { Evidence, JsonValue } from '../detect/finding.ts'
import { lazy } from '../lazy.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { NANO_USD_PER_USD } from '../usage/event.ts'
import type { Share } from './notification.ts'
import { plainText } from './plain-text.ts'

const MAX_VALUE = 150
const MAX_ITEMS = 8
const UNKNOWN = 'unknown'

const numbers = lazy(() => new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 }))
const DOLLARS = { style: 'currency', currency: 'USD' } as const
const dollars = lazy(() => new Intl.NumberFormat('en-US', DOLLARS))
const fractionsOfACent = lazy(() => new Intl.NumberFormat('en-US', { ...DOLLARS, maximumFractionDigits: 6 }))
const regions = lazy(() => new Intl.DisplayNames('en', { type: 'region' }))

/** `$184.20`; amounts below a cent keep six digits, so that they do not read as nothing. */
export function money(nanoUsd: number): string {
  return usd(nanoUsd / NANO_USD_PER_USD)
}

export function count(value: number): string {
  return numbers().format(value)
}

/** `Romania (RO)`; what is not a country code stays as it is. */
export function countryName(code: string): string {
  if (!/^[A-Z]{2}$/.test(code)) return plainText(code, MAX_VALUE)
  const name = regions().of(code)
  return name === undefined || name === code ? code : `${name} (${code})`
}

/** `2026-03-02 03:00 UTC` */
export function minute(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** `41 min`, `3 h 5 min` or `2 d 3 h`; undefined under a minute. */
export function elapsed(ms: number): string | undefined {
  if (ms < MINUTE_MS) return undefined
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)} h ${Math.floor((ms % HOUR_MS) / MINUTE_MS)} min`
  return `${Math.floor(ms / DAY_MS)} d ${Math.floor((ms % DAY_MS) / HOUR_MS)} h`
}

/** `gpt-5, 97 % of requests`; a share of nothing known is `unknown`. */
export function share(
  top: Share | undefined,
  name: (value: string) => string = (value) => plainText(value, MAX_VALUE - 30),
): string {
  if (top === undefined || top.value === '') return UNKNOWN
  return `${name(top.value)}, ${Math.round(top.share * 100)} % of requests`
}

/** `352 requests`, `$12.50`, `Romania (RO)` */
export function observedText({ metric, observed }: Evidence): string {
  const value = valueText(observed, metric)
  const isCount = typeof observed === 'number' && !isMoney(metric)
  return plainText(isCount ? `${value} ${metric.replaceAll('_', ' ')}` : value, MAX_VALUE)
}

/** `4 to 18 (28 days of history, 12,000 events)` */
export function expectedText(evidence: Evidence): string {
  const { days, events } = evidence.history
  const history = `${count(days)} ${days === 1 ? 'day' : 'days'} of history, ${count(events)} events`
  return `${plainText(valueText(evidence.expected, evidence.metric), MAX_VALUE - 60)} (${history})`
}

function isMoney(metric: string): boolean {
  return /usd|cost/i.test(metric)
}

function valueText(value: JsonValue, metric: string, depth = 0): string {
  if (value === null) return UNKNOWN
  if (typeof value === 'number') return isMoney(metric) ? usd(value) : count(value)
  if (typeof value === 'string') return /countr/i.test(metric) ? countryName(value) : value
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (depth > 1) return '…'
  if (isList(value)) {
    const items = value.slice(0, MAX_ITEMS).map((item) => valueText(item, metric, depth + 1))
    const rest = value.length - items.length
    return items.length === 0 ? 'none' : items.join(', ') + (rest > 0 ? `, +${rest} more` : '')
  }
  if (typeof value['low'] === 'number' && typeof value['high'] === 'number') {
    return `${valueText(value['low'], metric)} to ${valueText(value['high'], metric)}`
  }
  const entries = Object.entries(value)
  const items = entries.slice(0, MAX_ITEMS).map(([name, item]) => {
    const label = /countr/i.test(metric) ? countryName(name) : name.replaceAll('_', ' ')
    return `${label} ${areShares(entries, metric) ? `${Math.round(Number(item) * 100)} %` : valueText(item, metric, depth + 1)}`
  })
  const rest = entries.length - items.length
  return items.join(', ') + (rest > 0 ? `, +${rest} more` : '')
}

/** What a country or model usually has of the requests, `{ US: 0.62, CA: 0.38 }`; counts are whole numbers from 1 on. */
function areShares(entries: readonly (readonly [string, JsonValue])[], metric: string): boolean {
  return (
    /countr|model/i.test(metric) &&
    entries.every(([, item]) => typeof item === 'number' && item >= 0 && item <= 1) &&
    entries.reduce((sum, [, item]) => sum + Number(item), 0) < 1.05
  )
}

// Array.isArray does not narrow a readonly array out of a union.
function isList(
  value: readonly JsonValue[] | { readonly [key: string]: JsonValue },
): value is readonly JsonValue[] {
  return Array.isArray(value)
}

function usd(value: number): string {
  return (value > 0 && value < 0.01 ? fractionsOfACent() : dollars()).format(value)
}
