import { hourlyBoundPeer, REQUESTS_MIN } from './hourly-bound-peer.ts'
import type { HourlyHistory } from './hourly-history.ts'
import type { Peer } from './peer.ts'

const WEEK_HOURS = 168
/** Until two weeks are known, the same hour of the day stands for the hour of the week. */
const SAMPLES_MIN = 2
/** Makes the median absolute deviation a standard deviation for normal data. */
const MAD_TO_SIGMA = 1.4826

/** The requests of the running hour against median and MAD of the same hour of the week. */
export function hourOfWeekMedian(z: number): Peer {
  return hourlyBoundPeer({
    detector: 'median_mad',
    name: `hour-of-week median and MAD, above ${z}`,
    rule: `requests of the hour, same hour of the week (or of the day, in the first two weeks), at least ${REQUESTS_MIN}`,
    boundOf: (history) => boundOf(history, z),
  })
}

function boundOf({ counts }: HourlyHistory, z: number): number {
  const same = (period: number): number[] => {
    const samples: number[] = []
    for (let at = counts.length - period; at >= 0; at -= period) samples.push(counts[at] ?? 0)
    return samples
  }
  const week = same(WEEK_HOURS)
  const samples = week.length >= SAMPLES_MIN ? week : same(24)
  if (samples.length < SAMPLES_MIN + 1 && week.length < SAMPLES_MIN) return Infinity
  const median = medianOf(samples)
  const mad = medianOf(samples.map((sample) => Math.abs(sample - median)))
  // A floor of a Poisson's spread: a habit without any deviation in three samples is no certainty.
  return median + z * Math.max(MAD_TO_SIGMA * mad, Math.sqrt(Math.max(1, median)))
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}
