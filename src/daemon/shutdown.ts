import type { Logger } from './log.ts'

/** Ctrl-C reaches the launcher and this process alike, and the launcher passes signals on: one wish, two signals. */
const ONE_WISH_MS = 1_000

/**
 * Waits for SIGINT or SIGTERM, then runs `stop`. A second signal, later than the echo of the first, or `limitMs`
 * without an end, ends the process at once: everything that matters is in the database and the queue.
 */
export async function runUntilSignal(
  stop: () => Promise<void>,
  { log, limitMs, nowMs }: { readonly log: Logger; readonly limitMs: number; readonly nowMs: () => number },
): Promise<void> {
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    let firstAtMs: number | undefined
    const onSignal = (name: NodeJS.Signals): void => {
      if (firstAtMs === undefined) {
        firstAtMs = nowMs()
        resolve(name)
      } else if (nowMs() - firstAtMs > ONE_WISH_MS) {
        log.warn({ signal: name }, 'second signal: ending at once')
        process.exit(1)
      }
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
  log.info({ signal }, 'stopping')
  const limit = setTimeout(() => {
    log.error(
      { limitMs },
      'not stopped in time: ending at once; what was under way will be taken up again at the next start',
    )
    process.exit(1)
  }, limitMs)
  try {
    await stop()
    log.info('stopped')
  } finally {
    clearTimeout(limit)
  }
}

/** When the launcher that started this process is killed with -9, this process ends the same way instead of living on unseen. */
export function endWithLauncher(): void {
  if (process.env['KEYHOUND_LAUNCHER'] !== '1' || process.channel === undefined) return
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // Listening keeps the channel, and with it the process, alive; a command that is done must still end.
  process.channel.unref()
}
