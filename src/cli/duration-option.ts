import { InvalidArgumentError } from 'commander'
import { parseDuration } from '../usage/duration.ts'

/** The value of an option that is a duration, in milliseconds: 30m, 4h, 7d. */
export function durationOption(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined || ms <= 0)
    throw new InvalidArgumentError('expected a duration such as 30m, 4h or 7d.')
  return ms
}
