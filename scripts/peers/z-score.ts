import { hourlyBoundPeer, REQUESTS_MIN } from './hourly-bound-peer.ts'
import type { HourlyHistory } from './hourly-history.ts'
import type { Peer } from './peer.ts'

const WINDOW_HOURS = 7 * 24
const HISTORY_MIN_HOURS = 3 * 24

/** The requests of the running hour against mean and standard deviation of the key's last seven days of hours. */
export function zScore(z: number): Peer {
  return hourlyBoundPeer({
    detector: 'z_score',
    name: `z-score above ${z}`,
    rule: `requests of the hour, trailing 7 days, at least ${REQUESTS_MIN}`,
    boundOf: (history) => boundOf(history, z),
  })
}

function boundOf({ counts }: HourlyHistory, z: number): number {
  if (counts.length < HISTORY_MIN_HOURS) return Infinity
  const window = counts.slice(-WINDOW_HOURS)
  const mean = window.reduce((sum, count) => sum + count, 0) / window.length
  const variance = window.reduce((sum, count) => sum + (count - mean) ** 2, 0) / window.length
  return mean + z * Math.max(1, Math.sqrt(variance))
}
