import { HourlyCounts, type HourlyHistory } from './hourly-history.ts'
import { OncePerHour, peerAlert, PerKey, type Peer } from './peer.ts'

const WINDOW_HOURS = 7 * 24
const HISTORY_MIN_HOURS = 3 * 24
const REQUESTS_MIN = 10

/** The requests of the running hour against mean and standard deviation of the key's last seven days of hours. */
export function zScore(z: number): Peer {
  const counts = new HourlyCounts()
  const bounds = new PerKey(() => ({ hours: -1, bound: Infinity }))
  const once = new OncePerHour()
  return {
    name: `z-score above ${z}`,
    rule: `requests of the hour, trailing 7 days, at least ${REQUESTS_MIN}`,
    add(event) {
      const history = counts.add(event)
      const known = bounds.of(event)
      if (known.hours !== history.counts.length)
        Object.assign(known, { hours: history.counts.length, bound: boundOf(history, z) })
      const isOver = history.current >= REQUESTS_MIN && history.current > known.bound
      return isOver && once.allows(event)
        ? [peerAlert('z_score', event, `${history.current} requests, bound ${known.bound.toFixed(0)}`)]
        : []
    },
  }
}

function boundOf({ counts }: HourlyHistory, z: number): number {
  if (counts.length < HISTORY_MIN_HOURS) return Infinity
  const window = counts.slice(-WINDOW_HOURS)
  const mean = window.reduce((sum, count) => sum + count, 0) / window.length
  const variance = window.reduce((sum, count) => sum + (count - mean) ** 2, 0) / window.length
  return mean + z * Math.max(1, Math.sqrt(variance))
}
