import { lazy } from '../lazy.ts'
import { NANO_USD_PER_USD } from '../usage/event.ts'

/** `1 request`, `352 requests`. */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** `1,234,567`. */
export function grouped(count: number): string {
  const whole = Math.round(count)
  // By hand: open alerts are told anew at every tick, and Intl takes a microsecond for each number.
  if (!Number.isSafeInteger(whole) || Object.is(whole, -0)) return whole.toLocaleString('en-US')
  return withCommas(String(whole))
}

/** An integer with a comma before each third digit from its end. */
function withCommas(digits: string): string {
  const start = digits.startsWith('-') ? 1 : 0
  let grouped = ''
  let end = digits.length
  for (; end - start > 3; end -= 3) grouped = `,${digits.slice(end - 3, end)}${grouped}`
  return digits.slice(0, end) + grouped
}

/** `$12.34`; `$0.0042` below ten cents; never `$0` for what is not nothing. */
export function dollars(nanoUsd: number): string {
  const usd = nanoUsd / NANO_USD_PER_USD
  if (usd === 0) return '$0'
  if (usd < 0.1) return `$${usd.toPrecision(2)}`
  return `$${cents().format(usd)}`
}
const cents = lazy(
  () => new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
)

/** `5 minutes`, `1 hour`, `90 minutes`, `31 days`: whole units in words. */
export function durationInWords(ms: number): string {
  const minutes = Math.round(ms / 60_000)
  if (minutes % (24 * 60) === 0) return counted(minutes / (24 * 60), 'day')
  if (minutes % 60 === 0) return counted(minutes / 60, 'hour')
  return counted(minutes, 'minute')
}

/** The first few, and how many more: `RO, BG and 3 more`. */
export function listed(values: readonly string[], limit: number): string {
  if (values.length <= limit) return values.join(', ')
  return `${values.slice(0, limit).join(', ')} and ${values.length - limit} more`
}

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

/** `Sunday at 03:00` for an hour of the week. */
export function hourInWords(slot: number): string {
  return `${DAYS[Math.floor(slot / 24)] ?? ''} at ${String(slot % 24).padStart(2, '0')}:00`
}
