import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { Agent, buildConnector, fetch as undiciFetch, RequestInit as UndiciRequestInit } from 'undici'
import { SECOND_MS } from '../usage/duration.ts'
import { isHttpUrl } from './http-url.ts'
import { OutboundError } from './outbound-error.ts'
import { addressGuard, type AddressGuard } from './public-address.ts'

export interface OutboundFetchOptions {
  /** CIDR ranges of private addresses that may be reached all the same. */
  readonly allowPrivate: readonly string[]
  /** Limit for one whole exchange: name look-up, connection, request and answer. */
  readonly timeoutMs?: number
  /** What is read of an answer; the rest is cut off. */
  readonly maxBodyBytes?: number
  /** Asks for all addresses of a name; the system's resolver when absent. */
  readonly lookup?: LookupAll
}

export type LookupAll = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** A `fetch`, and how to free its connections. */
export type OutboundFetch = typeof fetch & {
  /** Loads what it sends with, which the first request would do: for who must know before that it can. */
  load(): Promise<void>
  close(): Promise<void>
}

/**
 * A `fetch` for addresses that come from the configuration. It connects to public addresses only, unless allowed: a
 * literal address is judged as it is, of a name every answer of the DNS is judged, and the connection goes to an
 * address that was judged, so that a second look-up cannot change it. Redirects are not followed but returned as
 * they are. It throws nothing but OutboundError.
 */
export function outboundFetch({
  allowPrivate,
  timeoutMs = 10 * SECOND_MS,
  maxBodyBytes = 64 * 1_024,
  lookup = systemLookup,
}: OutboundFetchOptions): OutboundFetch {
  const isWanted = addressGuard(allowPrivate)
  let opened: Promise<Opened> | undefined
  const open = (): Promise<Opened> => (opened ??= openAgent(isWanted, { lookup, timeoutMs }))
  const guardedFetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    if (input instanceof Request || !isHttpUrl(String(input))) {
      throw new OutboundError(
        'invalid_url',
        'the address is not an http:// or https:// URL without credentials',
      )
    }
    let deadline: AbortSignal | undefined
    try {
      const { dispatcher, fetch } = await open()
      // Begins here: loading is not the other side's time.
      deadline = AbortSignal.timeout(timeoutMs)
      const signal = init?.signal ? AbortSignal.any([deadline, init.signal]) : deadline
      // The same standard under two sets of type declarations: Node's and undici's own.
      const request = { ...init, dispatcher, signal, redirect: 'manual' } as UndiciRequestInit
      const response = await fetch(input, request)
      const body = await readUpTo(response.body, maxBodyBytes)
      return new Response(body.length === 0 ? null : body, {
        status: response.status,
        headers: keptHeaders(response.headers),
      })
    } catch (error) {
      throw explain(error, {
        timedOut: deadline?.aborted === true,
        timeoutMs,
        cancelled: init?.signal?.aborted === true,
      })
    }
  }
  return Object.assign(guardedFetch, {
    load: async () => {
      await open()
    },
    close: async () => (await opened)?.dispatcher.close(),
  })
}

interface Opened {
  readonly dispatcher: Agent
  readonly fetch: typeof undiciFetch
}

/** undici is loaded by those who send something: it takes a tenth of a second and ten megabytes. */
async function openAgent(
  isWanted: AddressGuard,
  { lookup, timeoutMs }: { readonly lookup: LookupAll; readonly timeoutMs: number },
): Promise<Opened> {
  const undici = await import('undici')
  const dispatcher = new undici.Agent({
    connect: guardedConnector(undici.buildConnector, isWanted, { lookup, timeoutMs }),
    allowH2: false,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: 4 * SECOND_MS,
  })
  return { dispatcher, fetch: undici.fetch }
}

class BlockedAddressError extends Error {}

function guardedConnector(
  makeConnector: typeof buildConnector,
  isWanted: AddressGuard,
  { lookup, timeoutMs }: { readonly lookup: LookupAll; readonly timeoutMs: number },
): buildConnector.connector {
  const connect = makeConnector({
    lookup: guardedLookup(isWanted, lookup),
    timeout: timeoutMs,
    allowH2: false,
  })
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '')
    // net.connect looks up names only; a literal address never reaches guardedLookup.
    if (isIP(host) !== 0 && !isWanted(host)) {
      callback(new BlockedAddressError(host), null)
      return
    }
    connect(options, callback)
  }
}

function guardedLookup(isWanted: AddressGuard, lookup: LookupAll): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) {
        callback(error, '')
        return
      }
      const blocked = addresses.find(({ address }) => !isWanted(address))
      if (blocked) callback(new BlockedAddressError(blocked.address), '')
      else if (options.all) callback(null, addresses)
      else callback(null, addresses[0]?.address ?? '', addresses[0]?.family)
    })
  }
}

async function readUpTo(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  if (body === null) return Buffer.alloc(0)
  // Leaving the loop cancels the stream, and with it the connection.
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= maxBytes) break
  }
  return Buffer.from(Buffer.concat(chunks).subarray(0, maxBytes))
}

/** Without the headers that describe the body as it was sent: it has been unpacked, and perhaps cut. */
function keptHeaders(headers: Iterable<[string, string]>): [string, string][] {
  return [...headers].filter(
    ([name]) => !['content-encoding', 'content-length', 'transfer-encoding'].includes(name),
  )
}

function explain(
  error: unknown,
  {
    timedOut,
    timeoutMs,
    cancelled,
  }: { readonly timedOut: boolean; readonly timeoutMs: number; readonly cancelled: boolean },
): OutboundError {
  if (cancelled) return new OutboundError('cancelled', 'the request was cancelled')
  if (timedOut) return new OutboundError('timeout', `no answer within ${timeoutMs / SECOND_MS} s`)
  for (const cause of causesOf(error)) {
    if (cause instanceof BlockedAddressError) {
      return new OutboundError(
        'blocked',
        `the address ${cause.message} is not a public one; if it is meant, allow its range under network.allow_private`,
      )
    }
    const code = codeOf(cause)
    if (code !== undefined && /TIMEOUT|ETIMEDOUT/.test(code)) {
      return new OutboundError('timeout', `no answer within ${timeoutMs / SECOND_MS} s (${code})`)
    }
    if (code !== undefined) return new OutboundError('network', `${meaningOf(code)} (${code})`)
  }
  return new OutboundError('network', 'the connection failed')
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = []
  for (let next = error; next instanceof Error && causes.length < 8; next = next.cause) {
    causes.push(next, ...(next instanceof AggregateError ? (next.errors as unknown[]) : []))
  }
  return causes.reverse()
}

function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

function meaningOf(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'the connection was refused'
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
    case 'EPIPE':
      return 'the connection was closed before an answer came'
    case 'ENOTFOUND':
      return 'the host name is unknown'
    case 'EAI_AGAIN':
      return 'the host name could not be looked up'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'the host cannot be reached'
    default:
      return /CERT|TLS|SSL/.test(code) ? 'no secure connection could be made' : 'the connection failed'
  }
}
