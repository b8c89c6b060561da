/** Start of the span, successful requests, known cost, successful requests whose cost nobody knows. */
export type LedgerEntry = readonly [startMs: number, requests: number, costNanoUsd: number, unpriced: number]

/**
 * Spans with usage, ascending: the numbers of one entry after those of another. Flat, because a process keeps the ledgers
 * of a hundred thousand keys: with an array for each of its hundred spans, a ledger had four of five objects of a profile,
 * and every full collection of garbage visits them all.
 */
export type Spans = readonly number[]

const WIDTH = 4

/** How many spans there are. */
export function spanCount(spans: Spans): number {
  return spans.length / WIDTH
}

/** A negative index counts from the end; undefined where there is none. */
export function entryAt(spans: Spans, index: number): LedgerEntry | undefined {
  const at = (index < 0 ? index + spanCount(spans) : index) * WIDTH
  const startMs = spans[at]
  if (startMs === undefined) return undefined
  return [startMs, spans[at + 1] ?? 0, spans[at + 2] ?? 0, spans[at + 3] ?? 0]
}

/** The entries of spans that start from `fromMs` up to, not with, `untilMs`. */
export function entriesOf(spans: Spans, fromMs = -Infinity, untilMs = Infinity): LedgerEntry[] {
  const entries: LedgerEntry[] = []
  for (let index = 0; index < spanCount(spans); index += 1) {
    const entry = entryAt(spans, index)
    if (entry !== undefined && entry[0] >= fromMs && entry[0] < untilMs) entries.push(entry)
  }
  return entries
}

/** The spans for whose start `isKept` holds, and the entry after them. */
export function spansWith(spans: Spans, entry: LedgerEntry, isKept: (startMs: number) => boolean): Spans {
  const kept: number[] = []
  // Runs of spans are copied at once.
  let from = 0
  for (let at = 0; at < spans.length; at += WIDTH) {
    if (isKept(spans[at] ?? Infinity)) continue
    for (let index = from; index < at; index += 1) kept.push(spans[index] ?? 0)
    from = at + WIDTH
  }
  return from === 0 ? spans.concat(entry) : kept.concat(spans.slice(from), entry)
}

/** With another entry in place of the last. */
export function spansWithLast(spans: Spans, entry: LedgerEntry): Spans {
  return spans.slice(0, -WIDTH).concat(entry)
}

/** As an earlier keyhound stored them: an array for each entry. */
export type StoredSpans = Spans | readonly LedgerEntry[]

/** The spans, however they were stored. */
export function asSpans(stored: StoredSpans): Spans {
  return isFlat(stored) ? stored : stored.flat()
}

function isFlat(stored: StoredSpans): stored is Spans {
  return !Array.isArray(stored[0])
}
