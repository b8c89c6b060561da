import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Secret } from '../secret.ts'
import { Problem } from './problem.ts'

/** Finds out who asks. Throws a Problem with status 401 when nobody known does. */
export type Authenticate = (request: FastifyRequest) => string

/**
 * Bearer tokens, any of several. Digests are compared, all of them, in constant time: neither the length nor the first
 * characters of a token can be found out by timing. The name that goes into the audit is `api:` and the first eight
 * characters of the SHA-256 of the token, so that an operator can tell which token acted.
 */
export function bearerTokens(tokens: readonly Secret[]): Authenticate {
  const known = tokens.map((token) => digestOf(token.reveal()))
  return (request) => {
    const given = /^Bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? '')?.[1]
    if (given === undefined) {
      throw new Problem(401, 'Send the header "Authorization: Bearer <token>".', {
        headers: { 'www-authenticate': 'Bearer realm="keyhound"' },
      })
    }
    const digest = digestOf(given)
    const matches = known.filter((each) => timingSafeEqual(each, digest))
    if (matches.length === 0) {
      throw new Problem(401, 'The token is not one of those that this server accepts.', {
        headers: { 'www-authenticate': 'Bearer realm="keyhound", error="invalid_token"' },
      })
    }
    return `api:${digest.toString('hex').slice(0, 8)}`
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
