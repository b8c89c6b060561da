import { describe, expect, test } from 'vitest'
import { startProgress } from '../../src/cli/progress.ts'

function recorder(isTTY: boolean): {
  stream: { write: (text: string) => boolean; isTTY: boolean }
  lines: () => string[]
} {
  let text = ''
  return {
    stream: { isTTY, write: (chunk: string) => Boolean((text += chunk)) },
    lines: () => text.split(isTTY ? '\r' : '\n').filter((line) => line !== ''),
  }
}

describe('progress', () => {
  test('in a log there is a line per ten per cent, however often it is updated', () => {
    const { stream, lines } = recorder(false)
    const progress = startProgress('learning', 1_000, stream)
    for (let done = 0; done <= 1_000; done += 1) progress.update(done)
    progress.end()
    expect(lines()).toHaveLength(11)
    expect(lines().at(-1)).toContain('100 %')
  })

  test('on a terminal one line is drawn over, and ended once', () => {
    const { stream, lines } = recorder(true)
    const progress = startProgress('learning', 10, stream)
    progress.update(5)
    progress.update(10)
    progress.end()
    expect(lines().at(0)).toContain(' 50 %')
    expect(lines().at(-1)).toMatch(/100 %\n$/)
    expect(lines().join('').match(/\n/g)).toHaveLength(1)
  })

  test('without a known total it counts', () => {
    const { stream, lines } = recorder(false)
    const progress = startProgress('events', 0, stream)
    progress.update(250_000)
    progress.end()
    expect(lines().at(-1)).toBe('events 250,000')
  })
})
