import { z } from 'zod'

export const SECOND_MS = 1_000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS
export const WEEK_MS = 7 * DAY_MS

const UNIT_MS = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS } as const
const PATTERN = /^(\d{1,9})(s|m|h|d)$/

/** Reads `30s`, `5m`, `4h` or `7d` as milliseconds; undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = PATTERN.exec(text)
  if (match === null) return undefined
  return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
}

/** Writes milliseconds in the largest unit that divides them: 300000 is `5m`. */
export function formatDuration(ms: number): string {
  if (ms >= DAY_MS && ms % DAY_MS === 0) return `${ms / DAY_MS}d`
  if (ms >= HOUR_MS && ms % HOUR_MS === 0) return `${ms / HOUR_MS}h`
  if (ms >= MINUTE_MS && ms % MINUTE_MS === 0) return `${ms / MINUTE_MS}m`
  return `${Math.round(ms / SECOND_MS)}s`
}

/** A duration in the configuration: text such as `5m`, parsed into milliseconds. */
export const durationMs = z
  .string()
  .regex(PATTERN, 'expected a duration such as 30s, 5m, 4h or 7d')
  .transform((text) => parseDuration(text) ?? 0)
  .meta({ description: 'A duration such as 30s, 5m, 4h or 7d.' })
