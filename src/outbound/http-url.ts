import { z } from 'zod'
import { Secret } from '../secret.ts'

/** True for an absolute http:// or https:// URL that carries no user name or password. */
export function isHttpUrl(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.username === '' &&
    url.password === ''
  )
}

/** An address in the configuration that messages are sent to. Kept as a secret: such addresses often contain a token. */
export const secretHttpUrl = z
  .string()
  .refine(isHttpUrl, { error: 'expected an http:// or https:// address without user name and password' })
  .transform((text) => new Secret(text))
  .meta({ description: 'An http:// or https:// address; write "${NAME}" to take it from the environment.' })
