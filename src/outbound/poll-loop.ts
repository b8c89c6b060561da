import { SECOND_MS } from '../usage/duration.ts'

/** A loop that has been started. */
export interface PollLoop {
  /** Something is due: do not wait for the next turn. */
  wake(): void
  /** Ends the loop; resolves when the turn that is under way, whose signal is aborted, has ended. Safe to repeat. */
  stop(): Promise<void>
}

/** When a loop is started together with others. */
export interface LoopStart {
  /**
   * The first turn is not taken before this, unless the loop is woken; absent: at once. Nine loops that look at the
   * database while a process starts make that take a tenth longer.
   */
  readonly begins?: Promise<void> | undefined
}

const FIRST_PAUSE_MS = SECOND_MS
const LONGEST_PAUSE_MS = 30 * SECOND_MS

/**
 * Runs `turn` again and again, one at a time: at once when woken, else after the milliseconds it returns. A turn that
 * throws is told to `onError` and followed by a pause that doubles up to 30 s; the loop never ends by itself.
 */
export function startPolling({
  turn,
  onError,
  begins,
}: LoopStart & {
  readonly turn: (signal: AbortSignal) => Promise<number>
  readonly onError: (error: unknown) => void
}): PollLoop {
  const stopping = new AbortController()
  // Resolved by wake(); a new one before each turn, so that a wake during a turn leads to the next one at once.
  let woken = Promise.withResolvers<void>()

  const run = async (): Promise<void> => {
    let failures = 0
    if (begins !== undefined) await Promise.race([begins, woken.promise])
    while (!isAborted(stopping.signal)) {
      let waitMs: number
      woken = Promise.withResolvers()
      try {
        waitMs = await turn(stopping.signal)
        failures = 0
      } catch (error) {
        // A turn that fails because it was told to stop is no failure.
        if (isAborted(stopping.signal)) break
        onError(error)
        waitMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS)
        failures += 1
      }
      if (!isAborted(stopping.signal)) await firstOf(woken.promise, waitMs)
    }
  }
  const ended = run()
  return {
    wake: () => woken.resolve(),
    stop: async () => {
      stopping.abort()
      woken.resolve()
      await ended
    },
  }
}

async function firstOf(woken: Promise<void>, waitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([woken, new Promise((resolve) => (timer = setTimeout(resolve, waitMs)))])
  clearTimeout(timer)
}

/** In a function of its own because the compiler thinks that the flag cannot change while we wait. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}
