import { describe, expect, test } from 'vitest'
import { startPolling } from '../../src/outbound/poll-loop.ts'

describe('a poll loop', () => {
  test('takes its next turn at once when woken, also when woken during a turn', async () => {
    const turns = recorder()
    const loop = startPolling({ turn: turns.turn, onError: () => {} })
    turns.duringNext(() => loop.wake())
    await turns.reached(2)
    await new Promise((resolve) => setImmediate(resolve)) // now it rests, for a minute
    loop.wake()
    await turns.reached(3)
    await loop.stop()
  })

  test('takes its first turn when it is to begin, or when woken before, and can be stopped before', async () => {
    const begin = Promise.withResolvers<void>()
    const options = { onError: () => expect.unreachable('nothing failed'), begins: begin.promise }
    const [waits, woken, stopped] = [recorder(), recorder(), recorder()]
    const loops = [waits, woken, stopped].map(({ turn }) => startPolling({ ...options, turn }))
    loops[1]?.wake()
    await woken.reached(1)
    await loops[2]?.stop()
    expect([waits.count(), stopped.count()]).toEqual([0, 0])
    begin.resolve()
    await waits.reached(1)
    await Promise.all(loops.map((loop) => loop.stop()))
    expect(stopped.count()).toBe(0)
  })

  test('stops: aborts the turn that is under way, waits for its end and takes no other', async () => {
    let ended = false
    const begun = Promise.withResolvers<void>()
    const loop = startPolling({
      turn: async (signal) => {
        begun.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        ended = true
        throw new Error('cut off')
      },
      onError: () => expect.unreachable('being stopped is no error'),
    })
    await begun.promise
    await Promise.all([loop.stop(), loop.stop()])
    expect(ended).toBe(true)
  })

  test('goes on after a turn that failed', async () => {
    const errors: unknown[] = []
    const turns = recorder()
    turns.duringNext(() => {
      throw new Error('down')
    })
    const loop = startPolling({
      turn: turns.turn,
      onError: (error) => {
        errors.push(error)
      },
    })
    await turns.reached(1)
    loop.wake()
    await turns.reached(2)
    await loop.stop()
    expect(errors.map(String)).toEqual(['Error: down'])
  })
})

/** A turn that asks for a rest of a minute, and a way to wait for the number of turns. */
function recorder() {
  let count = 0
  let inNext: (() => void) | undefined
  const waiting: { readonly count: number; readonly resolve: () => void }[] = []
  return {
    turn: async (): Promise<number> => {
      count += 1
      for (const { resolve } of waiting.filter((wait) => wait.count === count)) resolve()
      await Promise.resolve()
      const run = inNext
      inNext = undefined
      run?.()
      return 60_000
    },
    count: () => count,
    duringNext: (run: () => void): void => {
      inNext = run
    },
    reached: (wanted: number): Promise<void> =>
      wanted <= count
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count: wanted, resolve })),
  }
}
