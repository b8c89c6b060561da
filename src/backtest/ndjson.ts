import { isAscii } from 'node:buffer'
import { closeSync, openSync, readSync } from 'node:fs'

/** One line of an NDJSON file: a value, or why it is none. Lines count from 1; empty ones are passed over. */
export type NdjsonLine =
  | {
      readonly line: number
      readonly ok: true
      readonly value: unknown
      /** The JSON that the value was read from. */
      readonly text: string
      readonly endByte: number
    }
  | { readonly line: number; readonly ok: false; readonly error: string; readonly endByte: number }

/** A line longer than this is refused without being kept: an event has 64 KiB at the most. */
const LINE_CHARS_MAX = 1024 * 1024
/** So many bytes are more characters than that, whatever they are: none takes more than three for each of its UTF-16 units. */
const LINE_BYTES_MAX = 3 * (LINE_CHARS_MAX + 1)
const NEWLINE = 0x0a

/** Reads NDJSON from a file, or from standard input for `-`, as a stream. Throws what opening or reading throws. */
export function readNdjson(file: string): AsyncGenerator<NdjsonLine[]> {
  return parseNdjson(file === '-' ? process.stdin : chunksOf(file))
}

/** Large enough that what is done per chunk does not matter, and small enough for its text to die young. */
const CHUNK_BYTES = 128 * 1024

/**
 * The bytes of a file in one buffer that is filled again and again: each chunk is valid until the next. Read at once and
 * not by another thread: nothing else is done meanwhile, and to hand a chunk over takes longer than to copy it.
 */
async function* chunksOf(file: string): AsyncGenerator<Buffer> {
  const descriptor = openSync(file, 'r')
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    for (;;) {
      const bytesRead = readSync(descriptor, buffer, 0, CHUNK_BYTES, null)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    closeSync(descriptor)
  }
}

/** The lines of a byte stream, a chunk's worth at a time: an await per line would cost more than the line. */
export async function* parseNdjson(chunks: AsyncIterable<Buffer | string>): AsyncGenerator<NdjsonLine[]> {
  let rest: Buffer = Buffer.alloc(0)
  let line = 0
  let endByte = 0
  for await (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    endByte += bytes.length
    const end = bytes.lastIndexOf(NEWLINE)
    if (end < 0) {
      // No more is kept of a line than shows, later, that it was too long.
      rest = Buffer.concat([rest, bytes]).subarray(0, LINE_BYTES_MAX)
      continue
    }
    const start = bytes.indexOf(NEWLINE)
    const texts = end === start ? [] : textOf(bytes.subarray(start + 1, end)).split('\n')
    texts.unshift(textOf(Buffer.concat([rest, bytes.subarray(0, start)])))
    rest = Buffer.from(bytes.subarray(end + 1))
    const lines: NdjsonLine[] = []
    for (const text of texts) {
      line += 1
      const parsed = parseLine(text, { line, endByte })
      if (parsed !== undefined) lines.push(parsed)
    }
    if (lines.length > 0) yield lines
  }
  const last = parseLine(textOf(rest), { line: line + 1, endByte })
  if (last !== undefined) yield [last]
}

/** Nearly all bytes are ASCII, which need not be decoded. No character is cut: a line ends where no other does. */
function textOf(bytes: Buffer): string {
  return bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8')
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
    const { line, endByte } = at
    return { line, ok: true, value: JSON.parse(trimmed) as unknown, text: trimmed, endByte }
  } catch {
    return { ...at, ok: false, error: 'not JSON' }
  }
}
