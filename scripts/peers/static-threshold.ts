import { HOUR_MS, OncePerHour, peerAlert, PerKey, type Peer } from './peer.ts'

const REQUESTS_MAX = 500
const USD_MAX = 5

/** What gateways offer: a limit on requests or dollars in the clock's hour, the same for every key. */
export function staticThreshold(): Peer {
  const hours = new PerKey(() => ({ hour: 0, requests: 0, usd: 0 }))
  const once = new OncePerHour()
  return {
    name: 'static threshold',
    rule: `${REQUESTS_MAX} requests or $${USD_MAX} in an hour`,
    add(event) {
      const state = hours.of(event)
      const hour = Math.floor(event.atMs / HOUR_MS)
      if (hour !== state.hour) Object.assign(state, { hour, requests: 0, usd: 0 })
      state.requests += 1
      state.usd += event.costUsd
      const isOver = state.requests > REQUESTS_MAX || state.usd > USD_MAX
      return isOver && once.allows(event)
        ? [peerAlert('static_threshold', event, `${state.requests} requests, $${state.usd.toFixed(2)}`)]
        : []
    },
  }
}
