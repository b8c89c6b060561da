import { distance } from 'fastest-levenshtein'
import { formatDuration, parseDuration } from '../usage/duration.ts'

/** `; did you mean "channels"?` when one of the candidates is close to what was written, else ''. */
export function didYouMean(written: string, candidates: readonly string[]): string {
  const closest = closestTo(written, candidates)
  return closest === undefined ? '' : `; did you mean "${closest}"?`
}

/** The candidate that differs from what was written by about a third of its letters at the most, case aside. */
export function closestTo(written: string, candidates: readonly string[]): string | undefined {
  const wanted = written.toLowerCase().replaceAll(/[\s-]/g, '_')
  // Longer than any name we know: nothing is close, and the distance would be dear.
  if (wanted === '' || wanted.length > 100) return undefined
  let best: { readonly candidate: string; readonly away: number } | undefined
  for (const candidate of candidates) {
    const away = slipsBetween(wanted, candidate.toLowerCase().replaceAll('-', '_'))
    const allowed = Math.max(1, Math.floor(Math.max(candidate.length, wanted.length) / 3))
    if (away <= allowed && (best === undefined || away < best.away)) best = { candidate, away }
  }
  return best?.candidate
}

/** Letters to change, but one slip only for letters in the wrong order and for a word that was cut short or drawn out. */
function slipsBetween(a: string, b: string): number {
  const isStart = Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a))
  return isStart || lettersOf(a) === lettersOf(b) ? Math.min(1, distance(a, b)) : distance(a, b)
}

function lettersOf(word: string): string {
  return word.split('').toSorted().join('')
}

/** The IANA zone that was probably meant: also finds `Europe/Berlin` for `Berlin`. */
export function closestTimeZone(written: string): string | undefined {
  const zones = ['UTC', ...Intl.supportedValuesOf('timeZone')]
  const cities = new Map(zones.map((zone) => [zone.slice(zone.lastIndexOf('/') + 1), zone]))
  return closestTo(written, zones) ?? cities.get(closestTo(written, [...cities.keys()]) ?? '')
}

const UNITS: readonly (readonly [RegExp, number])[] = [
  [/^(s|secs?|seconds?)$/i, 1],
  [/^(m|mins?|minutes?)$/i, 60],
  [/^(h|hrs?|hours?)$/i, 3_600],
  [/^(d|days?)$/i, 86_400],
  [/^(w|wks?|weeks?)$/i, 7 * 86_400],
]

/** `5m` for `5 min`, `90m` for `1h30m`, `14d` for `2w`; a bare number is taken as seconds. Undefined when it cannot be guessed. */
export function closestDuration(written: string): string | undefined {
  const compact = written.replaceAll(/\s/g, '')
  const parts = [...compact.matchAll(/(\d{1,9})([a-z]*)/gi)]
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== compact) return undefined
  let seconds = 0
  for (const [, amount = '', unit = ''] of parts) {
    const factor = unit === '' ? 1 : UNITS.find(([pattern]) => pattern.test(unit))?.[1]
    if (factor === undefined) return undefined
    seconds += Number(amount) * factor
  }
  const text = formatDuration(seconds * 1_000)
  return parseDuration(text) === seconds * 1_000 ? text : undefined
}
