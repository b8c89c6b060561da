/** 10^0 to 10^22: the powers of ten that a double holds exactly. */
const POWERS = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))
/** How near to a half, in units of the sixth digit, the fast way leaves the choice to the exact one. */
const HALF_MARGIN = 1e-6

/**
 * The value with six significant digits, exactly as `Number(value.toPrecision(6))` rounds it, without the text: learning
 * an hour rounds some fifty sums. Six digits are far more than a habit is known to, and keep a stored profile small.
 */
export function sixDigits(value: number): number {
  if (value === 0) return 0
  const size = Math.abs(value)
  if (!(size >= 1e-9 && size < 1e21)) return Number(value.toPrecision(6))
  let exponent = Math.floor(Math.log10(size))
  let scaled = shifted(size, 5 - exponent)
  // The logarithm may be off by one at powers of ten.
  if (scaled < 99_999.9) scaled = shifted(size, 5 - --exponent)
  else if (scaled >= 999_999.9) return Number(value.toPrecision(6))
  const digits = Math.round(scaled)
  if (Math.abs(Math.abs(scaled - digits) - 0.5) < HALF_MARGIN || digits < 100_000)
    return Number(value.toPrecision(6))
  // An integer of six digits times or over an exact power of ten is rounded once: the double that the text would give.
  const rounded = shifted(digits, exponent - 5)
  return value < 0 ? -rounded : rounded
}

function shifted(value: number, exponent: number): number {
  return exponent >= 0 ? value * (POWERS[exponent] ?? 1) : value / (POWERS[-exponent] ?? 1)
}
