import type { SourceUsage } from '../usage/source.ts'

/** One address with what it did, for the evidence. Null where the place is unknown. */
export interface Address {
  readonly address: string
  readonly country: string | null
  /** Successful requests. */
  readonly requests: number
  readonly [name: string]: string | number | null
}

/** The addresses of sources with their successful requests, most used first; each address once. */
export function addressesOf(sources: readonly SourceUsage[]): Address[] {
  const sums = new Map<string, Address>()
  for (const { address, country, requests, refused } of sources) {
    const before = sums.get(address)
    sums.set(address, {
      address,
      country: before?.country ?? country ?? null,
      requests: requests - refused + (before?.requests ?? 0),
    })
  }
  return [...sums.values()].toSorted((a, b) => b.requests - a.requests || (a.address < b.address ? -1 : 1))
}
