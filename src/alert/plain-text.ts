// Invisible characters that change what a reader sees: bidirectional overrides, zero-width spaces, tags. The two joiners
// stay, words and emoji of many languages need them.
const INVISIBLE = /(?![\u200C\u200D])\p{Cf}/gu
// Line breaks and control characters, ESC of terminal sequences among them.
const BREAKING = /[\p{Cc}\u2028\u2029\s]+/gu

/**
 * A text that may have been chosen by an attacker as one harmless line: no control characters, line breaks, invisible
 * or direction-changing characters or broken surrogates; at most `maxCodePoints` long, a cut marked by `…`.
 */
export function plainText(text: string, maxCodePoints: number): string {
  const line = text.toWellFormed().replace(BREAKING, ' ').replace(INVISIBLE, '').trim()
  // A code point takes two units at most: what fits in units fits in code points.
  if (line.length <= maxCodePoints) return line
  const points = Array.from(line)
  return points.length <= maxCodePoints ? line : `${points.slice(0, maxCodePoints - 1).join('')}…`
}
