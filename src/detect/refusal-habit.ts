import type { Rollup, UsageTotals } from '../usage/rollup.ts'
import { settleKnown, withSeen } from './known-values.ts'
import type { KnownValue } from './profile.ts'
import { sixDigits } from './six-digits.ts'

/** How often, and for which models, calls of the key are refused (status 400 and above). */
export interface RefusalHabit {
  /** Fading numbers of requests and of refused ones. */
  readonly requests: number
  readonly refused: number
  /** The fading largest share of refused calls in an hour of HOUR_REQUESTS_MIN requests or more, 0 to 1. */
  readonly peakShare: number
  /** Models that were asked for and refused, in order of first sight; `requests` counts the refused ones. */
  readonly models: readonly KnownValue[]
}

export const NO_REFUSALS: RefusalHabit = { requests: 0, refused: 0, peakShare: 0, models: [] }

/** The share of an hour with fewer requests says nothing. */
const HOUR_REQUESTS_MIN = 20
/** Half-life: two weeks of learnt hours, as for the volume. */
const FADE_PER_HOUR = 0.5 ** (1 / (14 * 24))

/** The habit after one more hour. */
export function withRefusals(
  habit: RefusalHabit,
  hour: { readonly hourMs: number; readonly rollups: readonly Rollup[] },
  totals: UsageTotals,
): RefusalHabit {
  const models = withSeen(settleKnown(habit.models, hour.hourMs), refusedOnly(hour), (rollup) => rollup.model)
  if (totals.requests === 0) return models === habit.models ? habit : { ...habit, models }
  const share = totals.requests < HOUR_REQUESTS_MIN ? 0 : totals.refused / totals.requests
  return {
    requests: sixDigits(habit.requests * FADE_PER_HOUR + totals.requests),
    refused: sixDigits(habit.refused * FADE_PER_HOUR + totals.refused),
    peakShare: sixDigits(Math.max(habit.peakShare * FADE_PER_HOUR, share)),
    models,
  }
}

/** Turns the refused calls into the only ones, so that they are counted as successful ones are elsewhere. */
function refusedOnly({ hourMs, rollups }: { readonly hourMs: number; readonly rollups: readonly Rollup[] }) {
  const refused = rollups.filter((rollup) => rollup.refused > 0)
  return {
    hourMs,
    rollups: refused.map((rollup) => ({ ...rollup, requests: rollup.refused, refused: 0 })),
  }
}
