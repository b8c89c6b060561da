import { Problem } from '../problem.ts'

/** The fields of a form that was sent, by name. */
export interface Form {
  /** The text of a field, without space around it; empty when it was left out. Throws a Problem when it is too long. */
  text(name: string, maxLength: number): string
}

/** Reads a body of type application/x-www-form-urlencoded; any other body has no fields. */
export function readForm(body: unknown): Form {
  const fields = new URLSearchParams(typeof body === 'string' ? body : '')
  return {
    text(name, maxLength) {
      // Postgres takes neither NUL nor half a surrogate pair.
      const text = (fields.get(name) ?? '').toWellFormed().replaceAll('\0', '').trim()
      if (text.length > maxLength)
        throw new Problem(
          400,
          `"${name}" may have ${maxLength} characters at the most. Go back and shorten it.`,
        )
      return text
    },
  }
}
