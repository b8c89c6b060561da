// Tails in log space: at the chances that matter here, 1 - cdf is 0 in floating point.
// Tested against 60-digit arithmetic (test/detect/statistics.test.ts).

const HALF_LOG_TWO_PI = 0.9189385332046727

/** ln Γ(x) for x > 0, by Stirling's series (Abramowitz and Stegun 6.1.41) after shifting x above 10. */
export function logGamma(x: number): number {
  let shift = 0
  let at = x
  while (at < 10) {
    shift += Math.log(at)
    at += 1
  }
  const inverse = 1 / at
  const square = inverse * inverse
  const series =
    inverse *
    (1 / 12 -
      square *
        (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188 - (square * 691) / 360360)))))
  return (at - 0.5) * Math.log(at) - at + HALF_LOG_TWO_PI + series - shift
}

/** ln P(X >= count) for a Poisson X of that mean. 0 for a count of 0, -Infinity when the mean is 0. */
export function logPoissonTail(count: number, mean: number): number {
  if (count <= 0) return 0
  if (mean <= 0) return -Infinity
  // Below the mean the other side is the small one: P(X < count), summed downwards from count - 1.
  if (count <= mean)
    return logOneMinusExp(logPoissonPmf(count - 1, mean) + Math.log(sumRatios((i) => (count - i) / mean)))
  return logPoissonPmf(count, mean) + Math.log(sumRatios((i) => mean / (count + i)))
}

/**
 * ln P(X >= count) for a negative binomial X (failures before the `size`-th success of chance `success`): the
 * regularised incomplete beta function of 1 - success at (count, size). `count` and `size` need not be whole.
 */
export function logNegativeBinomialTail(count: number, size: number, success: number): number {
  return logBetaTail(count, size, 1 - success, success)
}

/** ln P(X >= count) for a negative binomial X of that mean and variance mean + mean^2 / size; Poisson as size grows. */
export function logOverdispersedTail(count: number, mean: number, size: number): number {
  if (count <= 0) return 0
  if (mean <= 0) return -Infinity
  if (size > 1e7) return logPoissonTail(Math.max(1, Math.floor(count)), mean)
  return logBetaTail(count, size, mean / (size + mean), size / (size + mean))
}

/** ln P(X >= count) for the successes X of `trials` tries of chance `success`. */
export function logBinomialTail(count: number, trials: number, success: number): number {
  if (count <= 0) return 0
  if (count > trials || success <= 0) return -Infinity
  return logBetaTail(count, trials - count + 1, success, 1 - success)
}

/** ln P(T >= t) for Student's T with that many degrees of freedom (Abramowitz and Stegun 26.7.1, by the beta function). */
export function logStudentTail(t: number, degrees: number): number {
  const square = t * t
  const half =
    -Math.LN2 + logBetaTail(degrees / 2, 0.5, degrees / (degrees + square), square / (degrees + square))
  return t >= 0 ? half : logOneMinusExp(half)
}

/** The largest count whose upper tail is still at least `chance`, for the distribution of logOverdispersedTail. */
export function overdispersedQuantile(chance: number, mean: number, size: number): number {
  if (mean <= 0) return 0
  const level = Math.log(chance)
  let low = 0
  let high = Math.max(1, Math.ceil(2 * mean))
  while (logOverdispersedTail(high, mean, size) >= level) {
    low = high
    high *= 2
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (logOverdispersedTail(middle, mean, size) >= level) low = middle
    else high = middle
  }
  return low
}

function logPoissonPmf(count: number, mean: number): number {
  return count * Math.log(mean) - mean - logGamma(count + 1)
}

/** 1 + r(1) + r(1) r(2) + ... until the terms vanish. */
function sumRatios(ratio: (step: number) => number): number {
  let sum = 1
  let term = 1
  for (let step = 1; term > sum * 1e-17; step += 1) {
    term *= ratio(step)
    sum += term
  }
  return sum
}

/** ln I_x(a, b); `y` is 1 - x, given apart so that nothing cancels. */
function logBetaTail(a: number, b: number, x: number, y: number): number {
  if (a <= 0 || y <= 0) return 0
  if (x <= 0) return -Infinity
  if (x <= (a + 1) / (a + b + 2)) return logBetaFraction(a, b, x, y)
  return logOneMinusExp(logBetaFraction(b, a, y, x))
}

/** The continued fraction of the incomplete beta function by Lentz's method (Numerical Recipes, 6.4). */
function logBetaFraction(a: number, b: number, x: number, y: number): number {
  const front = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(y) - Math.log(a)
  let c = 1
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1))
  let fraction = d
  for (let m = 1; m <= 100_000; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / nonZero(1 + even * d)
    c = nonZero(1 + even / c)
    fraction *= d * c
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / nonZero(1 + odd * d)
    c = nonZero(1 + odd / c)
    fraction *= d * c
    if (Math.abs(d * c - 1) < 1e-15) break
  }
  return front + Math.log(fraction)
}

function nonZero(value: number): number {
  return Math.abs(value) < 1e-300 ? 1e-300 : value
}

/** ln(1 - e^logValue), exact for values near 0 and near 1. */
function logOneMinusExp(logValue: number): number {
  if (logValue >= 0) return -Infinity
  return logValue > -Math.LN2 ? Math.log(-Math.expm1(logValue)) : Math.log1p(-Math.exp(logValue))
}
