import { InvalidArgumentError } from 'commander'
import { parseTimestamp } from '../usage/timestamp.ts'

/** The value of an option that is a time: a date is its midnight, UTC. */
export function instantOption(text: string): number {
  const atMs = parseTimestamp(text) ?? parseTimestamp(`${text}T00:00:00Z`)
  if (atMs === undefined)
    throw new InvalidArgumentError(
      'expected a date (2026-01-31) or an ISO-8601 time with a zone (2026-01-31T09:00:00Z).',
    )
  return atMs
}
