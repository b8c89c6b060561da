import ipaddr from 'ipaddr.js'

// All of the public internet over IPv6 lies in here; what ipaddr.js calls unicast also holds IPv4-compatible and unassigned space.
const GLOBAL_UNICAST_V6 = ipaddr.parseCIDR('2000::/3')

/** Says whether a connection to an IP address (a literal, brackets removed) is wanted. */
export type AddressGuard = (address: string) => boolean

/**
 * Lets public addresses through and, of the private, loopback, link-local and reserved ones, only those within the
 * CIDR ranges of `allowPrivate`. Throws RangeError for a range that is not one.
 */
export function addressGuard(allowPrivate: readonly string[]): AddressGuard {
  const allowed = allowPrivate.map((cidr) => {
    if (!ipaddr.isValidCIDR(cidr)) throw new RangeError(`"${cidr}" is not a CIDR range such as 10.0.0.0/8`)
    return ipaddr.parseCIDR(cidr)
  })
  return (address) => {
    if (!ipaddr.isValid(address)) return false
    // process() turns ::ffff:10.0.0.1 into 10.0.0.1, so that a mapped address is judged as what it reaches.
    const parsed = ipaddr.process(address)
    if (allowed.some((range) => range[0].kind() === parsed.kind() && parsed.match(range))) return true
    if (parsed.range() !== 'unicast') return false
    return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_UNICAST_V6)
  }
}
