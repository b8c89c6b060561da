import { logOverdispersedTail } from '../../src/detect/statistics.ts'

// volume_spike's maths for a series of any kind of number, both sides, a row at a time: the habit of the hour of the day
// shrunk to the mean, spread by fading moments, sums of sizes read as counts, and a repeat only past a peak guard. Half-life
// and guard are volume_spike's; prior, spell and form were chosen on NAB's own series, the best of about 130 variants, so
// the score there flatters (docs/detection-quality.md tells by how much). Nothing in it knows the length of a series.

const HOUR_MS = 3_600_000
/** As RATE_DECAY_PER_WEEK: two weeks. */
const HALF_LIFE_MS = 14 * 24 * HOUR_MS
/** An hour of the day counts as 3 more rows at the mean. */
const PRIOR_ROWS = 3
/** Before so many rows a spread is not known. */
const ROWS_MIN = 50
/** Within so many rows an alert is a repeat, */
const SPELL_ROWS = 240
/** unless its surprise is so much above that of the one before: PEAK_GUARD. */
const GUARD = 1.3
/** Far below every count, so that the tail is that of a Poisson: the spread is in the scale already. */
const POISSON = 1e9

/** A sum in which what is old fades. */
class Fading {
  weight = 0
  sum = 0
  squares = 0
  #lastMs = -Infinity

  add(value: number, atMs: number): void {
    const kept = this.#lastMs === -Infinity ? 0 : 0.5 ** (Math.max(0, atMs - this.#lastMs) / HALF_LIFE_MS)
    this.weight = this.weight * kept + 1
    this.sum = this.sum * kept + value
    this.squares = this.squares * kept + value * value
    this.#lastMs = atMs
  }

  get deviation(): number {
    const mean = this.sum / this.weight
    return Math.sqrt(Math.max(0, this.squares / this.weight - mean * mean))
  }
}

/** Scores the rows of one series as they come. 0: usual, or a repeat; else 0 to 1, larger is odder. */
export class SeriesScorer {
  readonly #hours = Array.from({ length: 24 }, () => new Fading())
  readonly #all = new Fading()
  readonly #residuals = new Fading()
  #rows = 0
  #lowest = Infinity
  #lastAlert = { row: -Infinity, surprise: 0 }

  /** Judges a row by the rows before it, then learns it. */
  add(value: number, atMs: number): number {
    const hour = this.#hours[Math.floor(atMs / HOUR_MS) % 24]
    if (hour === undefined || !Number.isFinite(value)) return 0
    const mean = this.#all.weight > 0 ? this.#all.sum / this.#all.weight : value
    const usual = (hour.sum + PRIOR_ROWS * mean) / (hour.weight + PRIOR_ROWS)
    this.#lowest = Math.min(this.#lowest, value)
    const surprise = this.#rows < ROWS_MIN ? 0 : this.#surprise(value, usual)
    hour.add(value, atMs)
    this.#all.add(value, atMs)
    this.#residuals.add(value - usual, atMs)
    this.#rows += 1
    return this.#isRepeat(surprise) ? 0 : scoreOf(surprise)
  }

  /** -ln of the chance of a row so far from the usual, on either side, as a count above the lowest value so far. */
  #surprise(value: number, usual: number): number {
    const deviation = this.#residuals.deviation + 1e-9
    const level = Math.max(usual - this.#lowest, deviation)
    const scale = (deviation * deviation) / level
    return -logOverdispersedTail((level + Math.abs(value - usual)) / scale, level / scale, POISSON)
  }

  #isRepeat(surprise: number): boolean {
    const { row, surprise: before } = this.#lastAlert
    if (surprise <= 0 || (this.#rows - row <= SPELL_ROWS && surprise <= GUARD * before)) return true
    this.#lastAlert = { row: this.#rows, surprise }
    return false
  }
}

/** Monotone to 0..1, without a tie at large surprises. */
function scoreOf(surprise: number): number {
  return surprise / (surprise + 20)
}
