import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * What takes longest, mostly by waiting: programs that are started and killed, servers that go away. Begun last, one of
 * them would keep the whole run waiting. vitest knows how long a file takes only where it ran before; a fresh clone has
 * nothing but this list.
 */
export const LONGEST = [
  'test/e2e/',
  'test/ingest/',
  'test/embedded/',
  'test/respond/kill.test.ts',
  'test/notify/pace.test.ts',
  'test/backtest/',
  'test/queue/',
  'test/cli/',
]

/** Begins with the tests that take longest, in the order of the list; the others follow in vitest's own order. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rank(a.moduleId) - rank(b.moduleId))
  }
}

function rank(file: string): number {
  const at = LONGEST.findIndex((part) => file.includes(`/${part}`))
  return at < 0 ? LONGEST.length : at
}
