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
