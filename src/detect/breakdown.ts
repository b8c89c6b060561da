import type { Rollup } from '../usage/rollup.ts'
import { countByValue } from './known-values.ts'

/** What most of the requests of a window have in common, for the evidence. Null where nothing is known. */
export interface Breakdown {
  readonly top_country: TopValue | null
  readonly top_model: TopValue | null
}

interface TopValue {
  readonly value: string
  /** 0 to 1, of the successful requests. */
  readonly share: number
  readonly [name: string]: string | number
}

export function breakdownOf(rollups: readonly Rollup[]): Breakdown {
  return {
    top_country: topOf(rollups, (rollup) => rollup.country),
    top_model: topOf(rollups, (rollup) => rollup.model),
  }
}

function topOf(rollups: readonly Rollup[], valueOf: (rollup: Rollup) => string | undefined): TopValue | null {
  const total = rollups.reduce((sum, rollup) => sum + rollup.requests - rollup.refused, 0)
  const [top] = [...countByValue(rollups, valueOf)].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
  return top === undefined ? null : { value: top[0], share: Number((top[1] / total).toPrecision(2)) }
}
