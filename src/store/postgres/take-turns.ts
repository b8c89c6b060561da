/** Gives a function that runs work at once, but after the work that shares an identity with it. */
export function takeTurns() {
  const underWay = new Map<string, Promise<unknown>>()
  return async function run<Result>(
    identities: readonly string[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    for (;;) {
      const before = new Set(identities.flatMap((identity) => underWay.get(identity) ?? []))
      if (before.size === 0) break
      await Promise.allSettled(before)
    }
    const result = work()
    for (const identity of identities) underWay.set(identity, result)
    try {
      return await result
    } finally {
      for (const identity of identities) underWay.delete(identity)
    }
  }
}
