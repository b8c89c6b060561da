import { createReadStream } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'

/** One line of an NDJSON file: a value, or why it is none. Lines count from 1; empty ones are passed over. */
export type NdjsonLine =
  | { readonly line: number; readonly ok: true; readonly value: unknown; readonly endByte: number }
  | { readonly line: number; readonly ok: false; readonly error: string; readonly endByte: number }

/** A line longer than this is refused without being kept: an event has 64 KiB at the most. */
const LINE_CHARS_MAX = 1024 * 1024

/** Reads NDJSON from a file, or from standard input for `-`, as a stream. Throws what opening or reading throws. */
export function readNdjson(file: string): AsyncGenerator<NdjsonLine[]> {
  return parseNdjson(file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 256 * 1024 }))
}

/** The lines of a byte stream, a chunk's worth at a time: an await per line would cost more than the line. */
export async function* parseNdjson(chunks: AsyncIterable<Buffer | string>): AsyncGenerator<NdjsonLine[]> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let line = 0
  let endByte = 0
  for await (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    endByte += bytes.length
    const texts = (rest + decoder.write(bytes)).split('\n')
    rest = texts.pop() ?? ''
    // Keeps one character more than is allowed: enough to know, later, that the line was too long.
    if (rest.length > LINE_CHARS_MAX) rest = rest.slice(0, LINE_CHARS_MAX + 1)
    const lines: NdjsonLine[] = []
    for (const text of texts) {
      line += 1
      const parsed = parseLine(text, { line, endByte })
      if (parsed !== undefined) lines.push(parsed)
    }
    if (lines.length > 0) yield lines
  }
  const last = parseLine(rest + decoder.end(), { line: line + 1, endByte })
  if (last !== undefined) yield [last]
}

function parseLine(
  text: string,
  at: { readonly line: number; readonly endByte: number },
): NdjsonLine | undefined {
  if (text.length > LINE_CHARS_MAX) return { ...at, ok: false, error: 'the line is longer than 1 MiB' }
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  try {
    // A byte order mark is what editors put before the first line; trim() takes it off.
    return { ...at, ok: true, value: JSON.parse(trimmed) as unknown }
  } catch {
    return { ...at, ok: false, error: 'not JSON' }
  }
}
