import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseNdjson, readNdjson, type NdjsonLine } from '../../src/backtest/ndjson.ts'
import fc from '../harness/fast-check.ts'

async function linesOf(...chunks: (string | Buffer)[]): Promise<NdjsonLine[]> {
  async function* stream() {
    yield* chunks
  }
  const lines: NdjsonLine[] = []
  for await (const batch of parseNdjson(stream())) lines.push(...batch)
  return lines
}

describe('reading NDJSON', () => {
  test('numbers lines from one, passes over empty ones, and goes on after a broken one', async () => {
    const lines = await linesOf('{"a":1}\n\nnot json\r\n  [2]  \n3')
    expect(lines).toMatchObject([
      { line: 1, ok: true, value: { a: 1 } },
      { line: 3, ok: false, error: 'not JSON' },
      { line: 4, ok: true, value: [2] },
      { line: 5, ok: true, value: 3 },
    ])
  })

  test('takes a byte order mark off, and reads characters that two chunks share', async () => {
    const bytes = Buffer.from('\uFEFF{"name":"zürich 🦊"}\n')
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const [line] = await linesOf(bytes.subarray(0, cut), bytes.subarray(cut))
      expect(line).toMatchObject({ ok: true, value: { name: 'zürich 🦊' } })
    }
  })

  test('a line that never ends is refused without being kept', async () => {
    const chunk = Buffer.alloc(600_000, 'x')
    const lines = await linesOf(chunk, chunk, chunk, '\n1\n')
    expect(lines).toMatchObject([
      { line: 1, ok: false, error: 'the line is longer than 1 MiB' },
      { line: 2, ok: true, value: 1 },
    ])
  })

  test('however the bytes are cut, the lines are the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.jsonValue(), { maxLength: 8 }),
        fc.nat({ max: 50 }),
        async (values, size) => {
          const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
          const chunks = Array.from({ length: Math.ceil(bytes.length / (size + 1)) }, (_, i) =>
            bytes.subarray(i * (size + 1), (i + 1) * (size + 1)),
          )
          const lines = await linesOf(...chunks)
          expect(lines.map((line) => (line.ok ? line.value : 'broken'))).toEqual(
            values.map((value) => JSON.parse(JSON.stringify(value)) as unknown),
          )
        },
      ),
    )
  })

  test('a file of many chunks is read as it was written, the last line without its end too', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'keyhound-ndjson-'))
    const values = Array.from({ length: 9_000 }, (_, index) => ({
      index,
      text: 'zürich 🦊'.repeat(index % 7),
    }))
    const file = join(directory, 'events.ndjson')
    await writeFile(file, values.map((value) => JSON.stringify(value)).join('\n'))
    const read: unknown[] = []
    for await (const lines of readNdjson(file)) for (const line of lines) read.push(line.ok && line.value)
    await rm(directory, { recursive: true })
    expect(read).toEqual(values)
  })
})
