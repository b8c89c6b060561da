import { median } from './bench.ts'
import { processorSeconds } from './processor-time.ts'

type Part = 'node' | 'postgres' | 'redis'
const PARTS: readonly Part[] = ['node', 'postgres', 'redis']

/** Processor time per event of this process and of its servers, by contestant. */
export class CostMeter {
  readonly #servers: { readonly postgres: number; readonly redis: number }
  readonly #measured = new Map<string, Record<Part, number>[]>()

  constructor(servers: { readonly postgres: number; readonly redis: number }) {
    this.#servers = servers
  }

  /** Starts a measurement when it is called with the number of events; what that returns ends it. */
  of(contestant: string): (events: number) => () => void {
    return (events) => {
      const before = this.#now()
      return () => {
        const after = this.#now()
        const cost = (part: Part): number => ((after[part] - before[part]) * 1e6) / events
        const measured = this.#measured.get(contestant) ?? []
        this.#measured.set(contestant, measured)
        measured.push({ node: cost('node'), postgres: cost('postgres'), redis: cost('redis') })
      }
    }
  }

  /** `keyhound: 41 µs of processor time an event (node 6, postgres 33, redis 2)`, medians. */
  text(contestant: string): string {
    const measured = this.#measured.get(contestant) ?? []
    const of = (part: Part): number => median(measured.map((each) => each[part]))
    const parts = PARTS.map((part) => `${part} ${of(part).toFixed(1)}`)
    const all = PARTS.reduce((sum, part) => sum + of(part), 0)
    return `${contestant}: ${all.toFixed(1)} µs of processor time an event (${parts.join(', ')})`
  }

  #now(): Record<Part, number> {
    const { user, system } = process.cpuUsage()
    return {
      node: (user + system) / 1e6,
      postgres: processorSeconds(this.#servers.postgres),
      redis: processorSeconds(this.#servers.redis),
    }
  }
}
