/**
 * PostgreSQL arrays as text, for parameters like `$1::text[]`. pg would make them as well, in several times the time: it
 * looks at the type of each element and searches each for characters to escape twice.
 */
export function textArray<Item>(items: readonly Item[], pick: (item: Item) => string | undefined): string {
  let literal = '{'
  for (const item of items) {
    if (literal.length > 1) literal += ','
    literal += quoted(pick(item))
  }
  return `${literal}}`
}

/** Of numbers or booleans. */
export function numberArray<Item>(
  items: readonly Item[],
  pick: (item: Item) => number | boolean | undefined,
): string {
  let literal = '{'
  for (const item of items) {
    if (literal.length > 1) literal += ','
    literal += pick(item) ?? 'NULL'
  }
  return `${literal}}`
}

function quoted(text: string | undefined): string {
  if (text === undefined) return 'NULL'
  return NEEDS_ESCAPE.test(text) ? `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"` : `"${text}"`
}

const NEEDS_ESCAPE = /["\\]/
