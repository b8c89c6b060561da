import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { SOURCE_BUCKET_MS, type SourceUsage } from '../../usage/source.ts'
import { digestOf } from '../../usage/usage-digest.ts'
import { CALM } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf } from '../profile.ts'
import { counted, listed } from '../sentence.ts'
import { commonSettings } from '../settings.ts'
import { addressesOf, type Address } from '../top-addresses.ts'
import { check } from '../trace.ts'
import { span } from '../window.ts'

const settings = z.strictObject({
  ...commonSettings('critical'),
  ranges: z
    .array(
      z.string().refine((text) => rangeOf(text) !== undefined, {
        message: 'expected an address or a range such as 203.0.113.7, 10.1.2.0/24 or 2001:db8::/32',
      }),
    )
    .max(1_000)
    .default([])
    .describe(
      'Addresses and ranges from which a key may be used, best set by override for a key or team. Empty: from everywhere.',
    ),
})

/** Addresses seen within this time are judged; the alert goes on for as long as there are such. */
const WINDOW_MS = SOURCE_BUCKET_MS
const NAMED_IN_SUMMARY = 3
const NAMED_IN_EVIDENCE = 12

export const ipAllowlist = defineDetector({
  name: 'ip_allowlist',
  description: 'Use from an address outside the ranges that are allowed for this key.',
  settings,
  detect: (detection, trace) => {
    const { usage, settings: chosen, nowMs } = detection
    const isSet = check(trace, chosen.ranges.length > 0, () => ({
      kind: 'applies',
      what: 'allowed ranges',
      observed: 0,
      needed: 'at least one range',
      setting: 'detectors.ip_allowlist.ranges: []',
    }))
    if (!isSet) return []
    const ranges = parsed(chosen.ranges)
    const recent = usage.sources.filter(
      ({ lastMs, firstMs, requests, refused }) =>
        lastMs > nowMs - WINDOW_MS && firstMs <= nowMs && requests > refused,
    )
    const outside = addressesOf(
      recent.filter(({ address }) => !ranges.some((range) => holds(range, address))),
    )
    const isOutside = check(trace, outside.length > 0, () => ({
      kind: 'unusual',
      what: `addresses outside the allowed ranges in the last 10 minutes, of ${addressesOf(recent).length}`,
      observed: outside.length,
      needed: 'at least 1',
      setting: settingOf(chosen.ranges),
    }))
    return isOutside ? [findingOf(detection, outside, recent)] : []
  },
  calm: ({ usage, settings: chosen, nowMs }) => {
    if (chosen.ranges.length === 0) return CALM
    const ranges = parsed(chosen.ranges)
    const { addresses } = digestOf(usage, nowMs)
    const isInside = (address: string): boolean => ranges.some((range) => holds(range, address))
    return addresses?.every(isInside) === true ? CALM : undefined
  },
})

type Range = readonly [network: ipaddr.IPv4 | ipaddr.IPv6, bits: number]

const parsedRanges = new WeakMap<readonly string[], readonly Range[]>()

/** The ranges of a setting, read once. */
function parsed(texts: readonly string[]): readonly Range[] {
  const known = parsedRanges.get(texts)
  if (known !== undefined) return known
  const ranges = texts.map(rangeOf).filter((range) => range !== undefined)
  parsedRanges.set(texts, ranges)
  return ranges
}

/** Undefined for what is neither an address nor a range. An IPv4 address inside IPv6 (`::ffff:`) is the IPv4 address. */
function rangeOf(text: string): Range | undefined {
  if (ipaddr.isValidCIDR(text)) {
    const [network, bits] = ipaddr.parseCIDR(text)
    if (network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress() && bits >= 96)
      return [network.toIPv4Address(), bits - 96]
    return [network, bits]
  }
  if (!ipaddr.isValid(text)) return undefined
  const address = ipaddr.process(text)
  return [address, address instanceof ipaddr.IPv4 ? 32 : 128]
}

function holds([network, bits]: Range, address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const at = ipaddr.process(address)
  if (at instanceof ipaddr.IPv4 && network instanceof ipaddr.IPv4) return at.match(network, bits)
  if (at instanceof ipaddr.IPv6 && network instanceof ipaddr.IPv6) return at.match(network, bits)
  return false
}

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  outside: readonly Address[],
  recent: readonly SourceUsage[],
): Finding {
  const requests = outside.reduce((sum, address) => sum + address.requests, 0)
  const named = listed(
    outside.map(({ address, country }) => (country === null ? address : `${address} (${country})`)),
    NAMED_IN_SUMMARY,
  )
  const firstMs = Math.min(...recent.map((source) => source.firstMs), nowMs)
  return {
    detector: 'ip_allowlist',
    keyId: usage.key.keyId,
    scope: '',
    severity: chosen.severity,
    summary:
      `${usage.key.keyId} was used from ${named}, outside the ranges that are allowed for it ` +
      `(${counted(requests, 'request')})`,
    evidence: {
      metric: 'address',
      observed: outside.slice(0, NAMED_IN_EVIDENCE).map((address) => ({ ...address })),
      expected: { ranges: chosen.ranges.slice(0, NAMED_IN_EVIDENCE), ranges_in_all: chosen.ranges.length },
      window: span(firstMs, nowMs),
      history: historyOf(profile, nowMs),
      setting: settingOf(chosen.ranges),
      addresses_outside: outside.length,
      addresses: addressesOf(recent).length,
      requests,
    },
  }
}

function settingOf(ranges: readonly string[]): string {
  return `detectors.ip_allowlist.ranges: [${listed(ranges, NAMED_IN_SUMMARY)}]`
}
