/**
 * Waits until the condition holds, asking every few milliseconds: for what happens in a loop that tells nobody. Fails
 * after 30 seconds.
 * @param nudge is called before each further look.
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  nudge: () => void = () => {},
): Promise<void> {
  const deadline = AbortSignal.timeout(30_000)
  while (!(await condition())) {
    deadline.throwIfAborted()
    nudge()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
