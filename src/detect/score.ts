/** Larger scores say nothing more; a chance of 0 is written as this. */
const SCORE_MAX = 300

/**
 * How rare a finding is for this key by itself, and the same for every detector: -log10 of how many such findings a
 * day of the key is expected to bring by its own habit. 2 is once in a hundred days, 3 once in a thousand; 0 is daily.
 * `logChance` is ln of the chance in one look, `looksPerDay` how many looks of a day are independent of one another.
 */
export function scoreOfChance(logChance: number, looksPerDay: number): number {
  return scoreOfSurprise(-logChance - Math.log(looksPerDay))
}

/** The same for what happens at a rate: that many times a day. */
export function scoreOfRate(perDay: number): number {
  return scoreOfSurprise(-Math.log(perDay))
}

/** The same for a surprise in nats: -ln of how many such findings are expected in a day. */
export function scoreOfSurprise(nats: number): number {
  const score = nats / Math.LN10
  if (Number.isNaN(score)) return 0
  return Math.round(100 * Math.min(SCORE_MAX, Math.max(0, score))) / 100
}

/**
 * The rate of rare events of a key, per day: those it had over the days it was watched, with a prior of PRIOR_DAYS in
 * which PRIOR_EVENTS happened (a Gamma-Poisson mean). A key that never had one is so not taken to be incapable of it,
 * the less the longer it is known.
 */
export function habitRate(events: number, days: number): number {
  return (events + PRIOR_EVENTS) / (Math.max(0, days) + PRIOR_DAYS)
}

/**
 * Of what detectors count (first countries, models and pairs of places after the first days), keys of the evaluation
 * fleets have about one in 400 days; the weight of two events keeps the estimate from being ruled by the key's first one.
 */
const PRIOR_EVENTS = 2
const PRIOR_DAYS = 800

/**
 * The rate at which a quantity that has a fading largest value `peak` reaches `observed`: the peak was reached once in
 * the days watched, and beyond it tails of use fall with a power of it.
 */
export function beyondPeakRate(
  { observed, peak, days }: { readonly observed: number; readonly peak: number; readonly days: number },
  power: number,
): number {
  const times = peak > 0 ? Math.max(1, observed / peak) : Math.max(1, observed)
  return times ** -power / Math.max(1, days)
}
