import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Private addresses that serve people's own machines. Not link-local ones: clouds give out credentials there. */
const OWN_NETWORK = ['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']
const LOOPBACK = ['127.0.0.0/8', '::1/128']

/**
 * The private addresses that URLs of the configuration name literally, as CIDR ranges: who writes
 * `http://10.0.0.7/revoke` or `localhost` means it. A name that merely resolves to a private address is another matter:
 * what it resolves to is decided elsewhere. What is no http URL is passed over.
 */
export function writtenAddresses(urls: readonly string[]): string[] {
  return [...new Set(urls.flatMap(rangesOf))]
}

function rangesOf(url: string): readonly string[] {
  if (!/^https?:/.test(url) || !URL.canParse(url)) return []
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  if (host === 'localhost') return LOOPBACK
  if (isIP(host) === 0) return []
  const address = ipaddr.process(host)
  if (!OWN_NETWORK.includes(address.range())) return []
  return [`${address.toString()}/${address.kind() === 'ipv4' ? 32 : 128}`]
}
