import { SECOND_MS } from '../usage/duration.ts'

/** A database that restarts is back within this time, mostly. */
const PAUSES_MS = [200, SECOND_MS, 3 * SECOND_MS, 6 * SECOND_MS]
export const STORE_LIMIT_MS = PAUSES_MS.reduce((sum, ms) => sum + ms, 0)

/** Stores an outcome with a few tries, for what has been done cannot be undone. Throws what the last one threw. */
export async function storeFirmly(store: () => Promise<void>): Promise<void> {
  for (const pauseMs of PAUSES_MS) {
    try {
      await store()
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
  await store()
}
