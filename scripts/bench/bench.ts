import type { Machine } from './machine.ts'

/** How a bench is to be run. */
export interface BenchRun {
  readonly rounds: number
  /** A tenth of the work. */
  readonly quick: boolean
  /** How many events a part works through, where it can be told; its own size when undefined. */
  readonly events?: number | undefined
  /** Parts whose name does not hold this text are left out. */
  readonly only: string | undefined
  /** A line for people, on standard error. */
  readonly progress: (line: string) => void
}

/** How much a part has to do. */
export function inSize(
  { events, quick }: Pick<BenchRun, 'events' | 'quick'>,
  sizes: { readonly full: number; readonly quick: number },
): number {
  return events ?? (quick ? sizes.quick : sizes.full)
}

export type Bench = (run: BenchRun) => Promise<{ readonly results: readonly BenchResult[] }>

export interface BenchReport {
  readonly bench: string
  readonly machine: Machine
  readonly results: readonly BenchResult[]
}

/** One comparison, or one figure that stands alone. */
export interface BenchResult {
  readonly name: string
  /** Of the figures: `events/s`, `ms`, `MB`. */
  readonly unit: string
  readonly figures: readonly Figure[]
  readonly goals: readonly Goal[]
  /** What a reader must know: sizes, settings. */
  readonly notes: readonly string[]
}

export interface Figure {
  readonly name: string
  readonly median: number
  /** As measured, one a round. */
  readonly rounds: readonly number[]
}

/** What was asked for, and what came. A ratio is the median of the ratios within each round. */
export interface Goal {
  readonly name: string
  readonly measured: number
  readonly gate: number
  readonly goal: number
  readonly better: 'higher' | 'lower'
  readonly unit: string
}

/** What takes part in a comparison: measures once and gives the figure. */
export interface Contestant {
  readonly name: string
  run(round: number): Promise<number>
}

/** Lets the contestants run in turns, each round in another order, so that a slow minute of the machine hits all of them. */
export async function inTurns(
  contestants: readonly Contestant[],
  { rounds, progress }: BenchRun,
  unit: string,
): Promise<Figure[]> {
  const figures = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    const start = round % contestants.length
    for (const contestant of [...contestants.slice(start), ...contestants.slice(0, start)]) {
      const figure = await contestant.run(round)
      figures.get(contestant.name)?.push(figure)
      progress(`  round ${round + 1}/${rounds}  ${contestant.name}: ${shown(figure)} ${unit}`)
    }
  }
  return [...figures].map(([name, measured]) => ({ name, median: median(measured), rounds: measured }))
}

/** The median over the rounds of a contestant's figure divided by another's of the same round. */
export function ratioOf(figures: readonly Figure[], name: string, to: string): number {
  const above = figures.find((figure) => figure.name === name)?.rounds ?? []
  const below = figures.find((figure) => figure.name === to)?.rounds ?? []
  return median(above.map((figure, round) => figure / (below[round] ?? Number.NaN)))
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** The report as a table for people. */
export function asText({ bench, machine, results }: BenchReport): string {
  const lines = [
    `${bench}: ${machine.cores} x ${machine.cpu}, ${machine.memoryGiB} GiB, node ${machine.node}, ${machine.system}`,
  ]
  for (const { name, unit, figures, goals, notes } of results) {
    lines.push('', name, ...notes.map((note) => `  ${note}`))
    for (const figure of figures) {
      const spread = figure.rounds.length > 1 ? `  (${figure.rounds.map(shown).join(', ')})` : ''
      lines.push(`  ${figure.name.padEnd(44)} ${shown(figure.median).padStart(9)} ${unit}${spread}`)
    }
    for (const goal of goals) lines.push(`  ${goalText(goal)}`)
  }
  return lines.join('\n')
}

function goalText({ name, measured, gate, goal, better, unit }: Goal): string {
  const reaches = (limit: number): boolean => (better === 'higher' ? measured >= limit : measured <= limit)
  const verdict = reaches(goal) ? 'goal reached' : reaches(gate) ? 'gate passed' : 'BELOW THE GATE'
  return `${name.padEnd(44)} ${shown(measured).padStart(9)} ${unit}  (gate ${gate}, goal ${goal}): ${verdict}`
}

/** Three digits that count. */
function shown(figure: number): string {
  if (!Number.isFinite(figure)) return String(figure)
  return Math.abs(figure) >= 100
    ? Math.round(figure).toLocaleString('en-US')
    : String(Number(figure.toPrecision(3)))
}
