import { inspect } from 'node:util'
import { z } from 'zod'

const REDACTED = '[secret]'

/** A text that no log, error or JSON may show. `reveal()` is called only where it is used. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

/** A secret in the configuration: a text, parsed into a `Secret`. */
export const secretText = z
  .string()
  .min(1, 'must not be empty')
  .transform((text) => new Secret(text))
  .meta({ description: 'A secret; write "${NAME}" to take it from the environment.' })
