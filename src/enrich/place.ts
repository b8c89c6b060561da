import { createRequire } from 'node:module'
import type { Lookup } from 'geoip-lite'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import type { Place } from '../usage/event.ts'

/** Says where an address is. One interface, so that an operator's own database can take the place of the built-in one. */
export interface PlaceFinder {
  /** Undefined for private, reserved and unknown addresses, and for what is no address. */
  find(ip: string): Place | undefined
}

/** Addresses whose place is remembered: some 10 MB at the most; a look-up costs ten times as much. */
const ADDRESSES_KEPT = 50_000

/**
 * Places from the GeoLite2 data that comes with geoip-lite. It takes 115 MB of memory and 0.2 s, so it is loaded at the
 * first look-up, once in the process. Where GeoLite2 knows the country only, the coordinates are 0, 0.
 */
export function geoLitePlaces(): PlaceFinder {
  const known = new LRUCache<string, { readonly place: Place | undefined }>({ max: ADDRESSES_KEPT })
  return {
    find(ip) {
      const hit = known.get(ip)
      if (hit !== undefined) return hit.place
      const place = isPublic(ip) ? placeOf(geoip().lookup(ip)) : undefined
      known.set(ip, { place })
      return place
    },
  }
}

/** True for addresses of hosts on the internet: not private, loopback, link-local, carrier NAT, documentation, multicast. */
function isPublic(ip: string): boolean {
  return ipaddr.isValid(ip) && ipaddr.process(ip).range() === 'unicast'
}

function placeOf(found: Lookup | null): Place | undefined {
  if (found === null || !/^[A-Z]{2}$/.test(found.country)) return undefined
  return { country: found.country, latitude: found.ll[0], longitude: found.ll[1] }
}

const require = createRequire(import.meta.url)

/** The module is required late because loading it reads its data; Node keeps it, so that happens once. */
function geoip(): { lookup(ip: string): Lookup | null } {
  return require('geoip-lite') as { lookup(ip: string): Lookup | null }
}
