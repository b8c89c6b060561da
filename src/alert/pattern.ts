import type { KeyAttributes } from '../usage/event.ts'

/** What a key may be matched on: patterns with `*` as a wildcard. A field that is absent matches every key. */
export interface KeyMatch {
  readonly key_id?: readonly string[] | undefined
  readonly team_id?: readonly string[] | undefined
  readonly environment?: readonly string[] | undefined
}

/** True when every field that is there has a pattern that the key matches. */
export function matchesKey(match: KeyMatch, key: KeyAttributes): boolean {
  return (
    matchesAny(match.key_id, key.keyId) &&
    matchesAny(match.team_id, key.teamId) &&
    matchesAny(match.environment, key.environment)
  )
}

/** A value that is not known (the team of a key, its environment) matches no pattern, not even `*`. Without patterns all match. */
export function matchesAny(patterns: readonly string[] | undefined, value: string | undefined): boolean {
  if (patterns === undefined) return true
  return value !== undefined && patterns.some((pattern) => matchesPattern(pattern, value))
}

/** True when the whole value matches a pattern in which `*` stands for any text, also none. Case counts. Linear in time. */
export function matchesPattern(pattern: string, value: string): boolean {
  const parts = pattern.split('*')
  const first = parts[0] ?? ''
  if (parts.length === 1) return value === pattern
  const last = parts.at(-1) ?? ''
  if (!value.startsWith(first) || !value.endsWith(last) || value.length < first.length + last.length)
    return false
  const end = value.length - last.length
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = value.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
