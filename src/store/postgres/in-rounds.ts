/** Rows that one round of a long clean-up works on, so that no transaction is long. */
export const ROWS_PER_ROUND = 20_000

/** Repeats a round, which returns how many rows it worked on, until one finds no more than it can take; returns how many they were. */
export async function inRounds(round: () => Promise<number>): Promise<number> {
  let all = 0
  for (;;) {
    const rows = await round()
    all += rows
    if (rows < ROWS_PER_ROUND) return all
  }
}
