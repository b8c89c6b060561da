import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A number from 0 up to 1, the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A message that the sink took: it answered 2xx, or took it and lost its answer. */
export interface Taken {
  readonly atMs: number
  readonly id: string
  readonly type: string
  /** The alert that leads it. */
  readonly alertId: string
  /** Every alert that it tells of. */
  readonly alertIds: readonly string[]
}

interface Body {
  readonly type: string
  readonly data: {
    readonly alert?: { readonly id: string }
    readonly alerts?: readonly { readonly id: string }[]
  }
}

/** How a sink that is not well answers, as shares of all requests; the rest are taken. */
const MOODS = [
  ['429', 0.04],
  ['500', 0.05],
  ['reset', 0.03],
  ['lost answer', 0.03],
] as const
type Mood = (typeof MOODS)[number][0] | 'hang' | 'take'

/**
 * A receiver of webhooks on a bad day, on a port that stays the same: it answers 429 with Retry-After, 500, cuts the
 * connection, takes a message and loses its answer, never answers, and goes away for a while. Its moods follow from
 * the seed; `getWell` ends them.
 */
export class ChaosSink {
  readonly taken: Taken[] = []
  /** Requests by how they were answered. */
  readonly moods = new Map<Mood, number>()
  readonly #random: () => number
  readonly #hangAt: number
  #server: Server
  #port = 0
  #requests = 0
  #well = false

  private constructor(seed: number) {
    this.#random = seeded(seed)
    // Once: the lane of the channel stands still for the whole time-out.
    this.#hangAt = 20 + Math.floor(this.#random() * 40)
    this.#server = this.#newServer()
  }

  static async start(seed: number): Promise<ChaosSink> {
    const sink = new ChaosSink(seed)
    await sink.comeBack()
    return sink
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** From now on every message is taken. */
  getWell(): void {
    this.#well = true
  }

  /** Connections are refused until it comes back. */
  async goAway(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async comeBack(): Promise<void> {
    this.#server = this.#newServer()
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  #newServer(): Server {
    return createServer((message, response) => {
      this.#answer(message, response).catch(() => message.socket.destroy()) // the sender was killed
    })
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk as Buffer)
    const mood = this.#nextMood()
    this.moods.set(mood, (this.moods.get(mood) ?? 0) + 1)
    if (mood === 'take' || mood === 'lost answer') this.#take(message, Buffer.concat(chunks).toString('utf8'))
    switch (mood) {
      case 'take':
        return void response.writeHead(204).end()
      case '429':
        return void response.writeHead(429, { 'retry-after': '1' }).end()
      case '500':
        return void response.writeHead(500).end()
      case 'reset':
      case 'lost answer':
        return void message.socket.resetAndDestroy()
      case 'hang':
        return undefined
      default:
        return mood satisfies never
    }
  }

  #nextMood(): Mood {
    this.#requests += 1
    if (this.#well) return 'take'
    if (this.#requests === this.#hangAt) return 'hang'
    let chance = this.#random()
    for (const [mood, share] of MOODS) {
      if (chance < share) return mood
      chance -= share
    }
    return 'take'
  }

  #take({ headers }: IncomingMessage, text: string): void {
    const { type, data } = JSON.parse(text) as Body
    // What keyhound says about itself (a channel is late, say) is no alert.
    if (data.alert === undefined) return
    this.taken.push({
      atMs: performance.now(),
      id: String(headers['webhook-id']),
      type,
      alertId: data.alert.id,
      alertIds: [data.alert.id, ...(data.alerts ?? []).map(({ id }) => id)],
    })
  }
}
