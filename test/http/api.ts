import { onTestFinished } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import type { HttpMetrics } from '../../src/http/metrics.ts'
import { type ApiParts, type HttpServerParts, startHttpServer } from '../../src/http/server.ts'
import type { JobQueue } from '../../src/queue/queues.ts'
import { Secret } from '../../src/secret.ts'
import type { ChannelStateStore } from '../../src/store/channel-state-store.ts'
import type { OperatorStore } from '../../src/store/operator-store.ts'
import type { RevocationStore } from '../../src/store/revocation-store.ts'
import type { SilenceStore } from '../../src/store/silence-store.ts'
import { DAY_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'

export const TOKEN = 'a-token-of-the-first-operator'
export const HASH_KEY = Buffer.alloc(32, 7)
export const LINK_KEY = Buffer.alloc(32, 9)

/** What one test needs different from the usual. */
export interface ApiOptions {
  readonly events?: JobQueue
  readonly operators?: OperatorStore
  readonly revocations?: RevocationStore
  readonly channels?: ApiParts['channels']
  readonly channelStates?: ChannelStateStore
  readonly silences?: SilenceStore
  readonly backlogMax?: number
  readonly checks?: HttpServerParts['checks']
  readonly tokens?: readonly string[]
  readonly settingsFor?: NonNullable<ApiParts['settingsFor']>
  readonly priorFor?: NonNullable<ApiParts['priorFor']>
  readonly clock?: ManualClock
  readonly withoutApi?: boolean
}

/** The fields of answers that tests read; which of them are there depends on the answer. */
export interface AnswerJson {
  readonly [field: string]: unknown
  readonly detail: string
  readonly alerts: readonly { readonly id: string; readonly opened_at: string }[]
  readonly next_cursor: string | null
  readonly history: readonly { readonly actor: string }[]
  readonly profile: {
    readonly usual_volume: { readonly by_hour_of_week: readonly number[]; readonly requests_per_day: number }
    readonly usual_hours: { readonly by_hour_of_week: readonly number[] }
  }
}

/** An answer, its body read. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: AnswerJson
}

export interface Api {
  readonly url: string
  readonly answered: string[]
  readonly errors: object[]
  secrets: number
  readonly call: (path: string, init?: RequestInit & { token?: string | undefined }) => Promise<Answer>
  readonly post: (path: string, body: unknown, headers?: Record<string, string>) => Promise<Answer>
}

const NO_JSON = {} as AnswerJson

/** A port that no test of this file calls. */
function unused<Port extends object>(): Port {
  return new Proxy({} as Port, {
    get(_target, name) {
      throw new Error(`not expected to be used: ${String(name)}`)
    },
  })
}

/** A real server on a free port, closed when the test ends. */
export async function startApi(options: ApiOptions = {}): Promise<Api> {
  const answered: string[] = []
  const errors: object[] = []
  const metrics: HttpMetrics = {
    answered: (route, status) => void answered.push(`${route} ${status}`),
    secretReplaced: (count) => void (api.secrets += count),
  }
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    checks: options.checks ?? {},
    metricsText: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'keyhound_up 1\n' }),
    metrics,
    log: { debug: () => {}, info: () => {}, error: (fields) => void errors.push(fields) },
    clock: options.clock ?? new ManualClock(SOME_TIME_MS),
    api: options.withoutApi
      ? undefined
      : {
          tokens: (options.tokens ?? [TOKEN]).map((token) => new Secret(token)),
          events: options.events ?? unused<JobQueue>(),
          operators: options.operators ?? unused<OperatorStore>(),
          revocations: options.revocations ?? unused<RevocationStore>(),
          silences: options.silences ?? unused<SilenceStore>(),
          silenceMaxMs: () => 30 * DAY_MS,
          safeForMs: () => 90 * DAY_MS,
          backlogMax: options.backlogMax ?? 1_000,
          hashKey: HASH_KEY,
          ...(options.settingsFor === undefined ? {} : { settingsFor: options.settingsFor }),
          ...(options.priorFor === undefined ? {} : { priorFor: options.priorFor }),
          linkKey: LINK_KEY,
          channels: options.channels ?? (() => []),
          channelStates: options.channelStates ?? unused<ChannelStateStore>(),
        },
  })
  onTestFinished(async () => server.close())
  const api: Api = {
    url: server.url,
    answered,
    errors,
    secrets: 0,
    call: async (path, { token = TOKEN, ...init } = {}) => {
      const headers = new Headers(init.headers)
      if (token !== '') headers.set('authorization', `Bearer ${token}`)
      const response = await fetch(server.url + path, { ...init, headers })
      const text = await response.text()
      const isJson = text !== '' && /json/.test(response.headers.get('content-type') ?? '')
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: isJson ? (JSON.parse(text) as AnswerJson) : NO_JSON,
      }
    },
    post: async (path, body, headers = {}) =>
      api.call(path, {
        method: 'POST',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
  }
  return api
}
