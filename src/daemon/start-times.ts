/** The steps of a start, in the order in which they end. */
export type StartStep = 'modules' | 'database' | 'schema and queue' | 'roles' | 'ready'

const PREFIX = 'keyhound start: '

/** Notes that a step of the start has ended. */
export function markStart(step: StartStep): void {
  performance.mark(`${PREFIX}${step}`)
}

/** When each step ended, in milliseconds since this process began: for the log, and for whoever finds a start slow. */
export function startTimesMs(): Readonly<Partial<Record<StartStep, number>>> {
  const marks = performance.getEntriesByType('mark').filter(({ name }) => name.startsWith(PREFIX))
  return Object.fromEntries(
    marks.map(({ name, startTime }) => [name.slice(PREFIX.length), Math.round(startTime)]),
  )
}
