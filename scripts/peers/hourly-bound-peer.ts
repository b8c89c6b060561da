import { HourlyCounts, type HourlyHistory } from './hourly-history.ts'
import { OncePerHour, peerAlert, PerKey, type Peer } from './peer.ts'

/** Fewer requests in an hour than these are no spike, whatever the habit. */
export const REQUESTS_MIN = 10

export interface HourlyBound {
  readonly detector: string
  readonly name: string
  readonly rule: string
  /** The most requests an hour that the closed hours of a key explain. */
  readonly boundOf: (history: HourlyHistory) => number
}

/** Alerts, once an hour and key, on more requests in the running hour than a bound that each closed hour renews. */
export function hourlyBoundPeer({ detector, name, rule, boundOf }: HourlyBound): Peer {
  const counts = new HourlyCounts()
  const bounds = new PerKey(() => ({ hours: -1, bound: Infinity }))
  const once = new OncePerHour()
  return {
    name,
    rule,
    add(event) {
      const history = counts.add(event)
      const known = bounds.of(event)
      if (known.hours !== history.counts.length)
        Object.assign(known, { hours: history.counts.length, bound: boundOf(history) })
      const isOver = history.current >= REQUESTS_MIN && history.current > known.bound
      return isOver && once.allows(event)
        ? [peerAlert(detector, event, `${history.current} requests, bound ${known.bound.toFixed(0)}`)]
        : []
    },
  }
}
