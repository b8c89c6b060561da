import { HOUR_MS } from '../usage/duration.ts'
import type { DetectorName } from '../detect/finding.ts'
import type { BacktestAlert } from './backtest.ts'

/** Alerts of one detector on one key not further apart than this are the same alert, raised earlier or later. */
const SAME_MS = HOUR_MS

/** What a second configuration changes. `a` is the first `--config`, `b` the second. */
export interface AlertDiff {
  readonly only_a: readonly BacktestAlert[]
  readonly only_b: readonly BacktestAlert[]
  readonly both: readonly AlertPair[]
  readonly detectors: readonly ({ readonly detector: DetectorName } & DiffCount)[]
  /** Only keys with a difference; the most different first. */
  readonly keys: readonly ({ readonly key_id: string } & DiffCount)[]
}

export interface AlertPair {
  readonly a: BacktestAlert
  readonly b: BacktestAlert
}

export interface DiffCount {
  readonly only_a: number
  readonly only_b: number
  readonly both: number
  /** Of `both`: those with another severity. */
  readonly severity_changed: number
}

/** Pairs the alerts of two configurations, in order of time, by detector and key. Both lists are in order of time. */
export function diffAlerts(a: readonly BacktestAlert[], b: readonly BacktestAlert[]): AlertDiff {
  const waiting = Map.groupBy(a, nameOf)
  const onlyB: BacktestAlert[] = []
  const both: AlertPair[] = []
  for (const alert of b) {
    const candidates = waiting.get(nameOf(alert)) ?? []
    const index = candidates.findIndex(
      (other) => Math.abs(Date.parse(other.at) - Date.parse(alert.at)) <= SAME_MS,
    )
    const [match] = index < 0 ? [] : candidates.splice(index, 1)
    if (match === undefined) onlyB.push(alert)
    else both.push({ a: match, b: alert })
  }
  const left = new Set([...waiting.values()].flat())
  const onlyA = a.filter((alert) => left.has(alert))
  const parts = { onlyA, onlyB, both }
  return {
    only_a: onlyA,
    only_b: onlyB,
    both,
    detectors: countsBy(parts, ({ detector }) => detector)
      .map(([detector, count]) => ({ detector, ...count }))
      .toSorted((x, y) => (x.detector < y.detector ? -1 : 1)),
    keys: countsBy(parts, ({ key_id: keyId }) => keyId)
      .map(([keyId, count]) => ({ key_id: keyId, ...count }))
      .filter((key) => differences(key) > 0)
      .toSorted((x, y) => differences(y) - differences(x) || (x.key_id < y.key_id ? -1 : 1)),
  }
}

function nameOf({ detector, key_id: keyId }: BacktestAlert): string {
  return `${detector} ${keyId}`
}

function differences(count: DiffCount): number {
  return count.only_a + count.only_b + count.severity_changed
}

interface Parts {
  readonly onlyA: readonly BacktestAlert[]
  readonly onlyB: readonly BacktestAlert[]
  readonly both: readonly AlertPair[]
}

function countsBy<Name extends string>(
  { onlyA, onlyB, both }: Parts,
  nameFor: (alert: BacktestAlert) => Name,
): [Name, DiffCount][] {
  const counts = new Map<Name, { -readonly [Field in keyof DiffCount]: DiffCount[Field] }>()
  const count = (alert: BacktestAlert, field: keyof DiffCount): void => {
    const name = nameFor(alert)
    const known = counts.get(name) ?? { only_a: 0, only_b: 0, both: 0, severity_changed: 0 }
    known[field] += 1
    counts.set(name, known)
  }
  for (const alert of onlyA) count(alert, 'only_a')
  for (const alert of onlyB) count(alert, 'only_b')
  for (const { a, b } of both) {
    count(b, 'both')
    if (a.severity !== b.severity) count(b, 'severity_changed')
  }
  return [...counts]
}
