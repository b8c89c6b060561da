import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { Problem } from './problem.ts'

/** A body that is newline-delimited JSON: its lines, blank ones left out. */
export class JsonLines {
  readonly lines: readonly string[]

  constructor(text: string) {
    this.lines = text.split('\n').filter((line) => line.trim() !== '')
  }
}

/** Reads JSON (an absent body is undefined) and NDJSON, UTF-8 only. Fastify's own parser would quote the body in its errors. */
export function addBodyParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseJson(textOf(body)))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addContentTypeParser('application/x-ndjson', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, new JsonLines(textOf(body)))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity'
    if (encoding === 'identity') done(null, payload)
    else done(new Problem(415, 'The body is compressed; send it as it is, without Content-Encoding.'))
  })
}

function textOf(body: string | Buffer): string {
  try {
    return typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch (cause) {
    throw new Problem(400, 'The body is not UTF-8.', { cause })
  }
}

function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    // The engine's message quotes the body, and that may hold a secret: only the place is passed on.
    const position = /position (\d+)/.exec(String(cause))?.[1]
    throw new Problem(
      400,
      `The body is not valid JSON${position === undefined ? '' : ` (character ${position})`}.`,
    )
  }
}

/** Text that Postgres takes. */
export function storableText(max: number): z.ZodType<string> {
  return z
    .string()
    .max(max)
    .refine(
      (text) => text.isWellFormed() && !text.includes('\0'),
      'holds a NUL character or half a surrogate pair',
    )
}

/** What the schema makes of the value; throws a Problem with status 400 that names every field that is wrong. */
export function valid<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  )
  throw new Problem(400, `${what}: ${faults.join('; ')}.`)
}
