import { DAY_MS, HOUR_MS, SECOND_MS } from '../usage/duration.ts'
import { hourOfWeek } from '../usage/hour-of-week.ts'
import { Random } from './random.ts'

/** A usage event as a gateway sends it: section 1 of the interfaces. */
export interface WireEvent {
  readonly id: string
  readonly timestamp: string
  readonly key_id: string
  readonly team_id: string
  readonly environment: string
  readonly provider: string
  readonly model: string
  readonly ip: string
  readonly input_tokens: number
  readonly output_tokens: number
  readonly status_code: number
  readonly latency_ms: number
}

/** How one key of the small fleet is used when nobody has stolen it. */
interface DemoKey {
  readonly keyId: string
  readonly teamId: string
  readonly provider: string
  readonly models: readonly string[]
  readonly addresses: readonly string[]
  /** Mean requests per hour in an hour of the week, Monday 00:00 local time being 0. */
  readonly perHour: (slot: number) => number
  readonly timeZone: string
  readonly tokens: readonly [input: number, output: number]
}

export const HISTORY_DAYS = 21
export const STOLEN_KEY_ID = 'docs-bot-prod'

/** The thief: another country, a dear model, many requests. The address belongs to a large Romanian access provider. */
const THIEF = {
  address: '86.120.1.9',
  model: 'claude-opus-4-1',
  perSecond: 6,
  tokens: [3_000, 1_200],
} as const

/**
 * A small fleet whose stolen key belongs to people for whom it is the middle of the night at `nowMs`. Event ids,
 * times, tokens and addresses follow from the seed.
 */
export class DemoFleet {
  readonly #random: Random
  readonly #keys: readonly DemoKey[]
  readonly #startMs: number
  readonly #nowMs: number
  #serial = 0

  constructor({ nowMs, seed = 7 }: { readonly nowMs: number; readonly seed?: number }) {
    this.#random = new Random(seed)
    this.#nowMs = nowMs
    this.#startMs = Math.floor((nowMs - HISTORY_DAYS * DAY_MS) / HOUR_MS) * HOUR_MS
    this.#keys = fleetAt(nowMs)
  }

  get keyCount(): number {
    return this.#keys.length
  }

  /** The time zone in which the stolen key's owners sleep. */
  get ownersTimeZone(): string {
    return nightZone(this.#nowMs)
  }

  /** The past, hour by hour, ascending: what keyhound learns from. */
  *history(): Generator<WireEvent[]> {
    for (let hourMs = this.#startMs; hourMs < this.#nowMs; hourMs += HOUR_MS) {
      const untilMs = Math.min(hourMs + HOUR_MS, this.#nowMs)
      yield this.#keys.flatMap((key) => this.#normalUse(key, hourMs, untilMs)).toSorted(byTimestamp)
    }
  }

  /** What the fleet does between two instants when nobody is stealing. */
  live(fromMs: number, untilMs: number): WireEvent[] {
    return this.#keys.flatMap((key) => this.#normalUse(key, fromMs, untilMs))
  }

  /** What the thief does with the stolen key between two instants. */
  theft(fromMs: number, untilMs: number): WireEvent[] {
    const victim = this.#keys.find((key) => key.keyId === STOLEN_KEY_ID)
    if (victim === undefined) throw new Error(`the demo's fleet has no key ${STOLEN_KEY_ID}`)
    const thief = {
      ...victim,
      provider: 'anthropic',
      models: [THIEF.model],
      addresses: [THIEF.address],
      tokens: THIEF.tokens,
    }
    const requests = Math.round((THIEF.perSecond * (untilMs - fromMs)) / SECOND_MS)
    return this.#requests(thief, requests, fromMs, untilMs)
  }

  #normalUse(key: DemoKey, fromMs: number, untilMs: number): WireEvent[] {
    const mean = (key.perHour(hourOfWeek(fromMs, key.timeZone)) * (untilMs - fromMs)) / HOUR_MS
    return this.#requests(key, this.#random.count(mean), fromMs, untilMs)
  }

  #requests(key: Omit<DemoKey, 'perHour'>, requests: number, fromMs: number, untilMs: number): WireEvent[] {
    return Array.from({ length: requests }, () => {
      this.#serial += 1
      const [input, output] = key.tokens
      return {
        id: `demo-${this.#serial}`,
        timestamp: new Date(this.#random.integer(fromMs, untilMs - 1)).toISOString(),
        key_id: key.keyId,
        team_id: key.teamId,
        environment: 'production',
        provider: key.provider,
        model: this.#random.pick(key.models),
        ip: this.#random.pick(key.addresses),
        input_tokens: this.#random.integer(input / 2, input * 2),
        output_tokens: this.#random.integer(output / 2, output * 2),
        status_code: this.#random.next() < 0.01 ? 500 : 200,
        latency_ms: this.#random.integer(300, 4_000),
      }
    })
  }
}

function fleetAt(nowMs: number): DemoKey[] {
  const openai = { provider: 'openai', models: ['gpt-5-mini'], tokens: [900, 300] } as const
  const anthropic = { provider: 'anthropic', models: ['claude-sonnet-4-5'], tokens: [1_500, 400] } as const
  const germany = ['80.128.10.20', '93.192.4.7']
  const america = ['24.5.66.7', '73.162.10.1', '68.80.2.2']
  return [
    {
      ...openai,
      keyId: STOLEN_KEY_ID,
      teamId: 'docs',
      addresses: germany,
      timeZone: nightZone(nowMs),
      perHour: office(28, 1),
    },
    {
      ...openai,
      keyId: 'billing-prod',
      teamId: 'payments',
      addresses: america,
      timeZone: 'America/New_York',
      perHour: daily(14),
    },
    {
      ...anthropic,
      keyId: 'support-chat',
      teamId: 'support',
      addresses: america,
      timeZone: 'America/New_York',
      perHour: office(40, 2),
    },
    {
      ...openai,
      keyId: 'mobile-app',
      teamId: 'apps',
      addresses: [...germany, '82.64.1.2', '145.53.1.1'],
      timeZone: 'Europe/Paris',
      perHour: daily(18),
    },
    {
      ...openai,
      keyId: 'search-index',
      teamId: 'search',
      addresses: ['17.58.1.1'],
      timeZone: 'UTC',
      perHour: nightly(260),
    },
    {
      ...anthropic,
      keyId: 'dana-dev',
      teamId: 'platform',
      addresses: ['90.80.1.1'],
      timeZone: 'Europe/Paris',
      perHour: office(6, 0),
    },
  ]
}

/** A fixed-offset zone in which it is about three in the morning. Etc/GMT-2 is two hours east of Greenwich. */
function nightZone(nowMs: number): string {
  const utcHour = new Date(nowMs).getUTCHours()
  const shifted = (((3 - utcHour + 12) % 24) + 24) % 24
  const east = shifted - 12
  return east === 0 ? 'Etc/GMT' : `Etc/GMT${east > 0 ? '-' : '+'}${Math.abs(east)}`
}

/** Weekdays from 8 to 18. */
function office(busy: number, quiet: number): (slot: number) => number {
  return (slot) => (slot < 5 * 24 && slot % 24 >= 8 && slot % 24 < 18 ? busy : quiet)
}

/** Round the clock, busiest in the afternoon. */
function daily(mean: number): (slot: number) => number {
  return (slot) => mean * (1 + 0.6 * Math.sin(((slot % 24) - 9) * (Math.PI / 12)))
}

/** A batch at two in the morning. */
function nightly(batch: number): (slot: number) => number {
  return (slot) => (slot % 24 === 2 ? batch : 0)
}

function byTimestamp(a: WireEvent, b: WireEvent): number {
  return a.timestamp < b.timestamp ? -1 : Number(a.timestamp > b.timestamp)
}
