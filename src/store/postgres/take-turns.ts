/**
 * Gives a function that waits until nobody else holds any of the identities, and then holds them. What it resolves to
 * lets go of them; call it in any case.
 */
export function takeTurns(): (identities: readonly string[]) => Promise<() => void> {
  const held = new Map<string, Promise<void>>()
  return async (identities) => {
    for (;;) {
      const before = new Set(identities.flatMap((identity) => held.get(identity) ?? []))
      if (before.size === 0) break
      await Promise.all(before)
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    for (const identity of identities) held.set(identity, promise)
    return () => {
      for (const identity of identities) held.delete(identity)
      resolve()
    }
  }
}
