import { priorFor } from '../../detect/prior.ts'
import { priorsAt } from '../../engine/priors.ts'
import { startHttpServer, type ApiParts } from '../../http/server.ts'
import type { EngineStore } from '../../store/engine-store.ts'
import { pingDatabase } from '../../store/postgres/database.ts'
import { readHabits } from '../../store/postgres/key-habits.ts'
import { keyHashSecret } from '../../store/postgres/key-hash-secret.ts'
import { linkKey } from '../../store/postgres/link-key.ts'
import { apiTokens } from '../api-tokens.ts'
import type { Part, PartContext } from './part.ts'

/** Jobs that may wait before posts of events are answered 429: about a minute of work for one ingest process. */
const BACKLOG_MAX = 200_000

/**
 * Health and metrics, which every process serves, and with the role `api` the API. Without that role a port that is
 * taken is no reason not to work: several processes may run on one machine.
 */
export async function startHttp(context: PartContext, role: 'api' | undefined): Promise<Part> {
  const { session, environment, clock, log, metrics } = context
  const { queues } = session.backends
  const api = role === undefined ? undefined : await apiOf(context)
  try {
    const server = await startHttpServer({
      host: environment.host,
      port: environment.port,
      checks: {
        database: () => pingDatabase(session.database),
        queue: () => queues.ping(),
      },
      metricsText: () => metrics.text(),
      metrics: metrics.http,
      log,
      clock,
      api: api?.parts,
    })
    log.info(
      { url: server.url, ...(api?.tokenFile === undefined ? {} : { tokenFile: api.tokenFile }) },
      'listening',
    )
    return { url: server.url, stop: () => server.close() }
  } catch (error) {
    if (role === 'api') throw error
    log.warn({ err: error }, 'this process serves no health and no metrics')
    return { stop: () => Promise.resolve() }
  }
}

async function apiOf({ session, environment, live, clock }: PartContext): Promise<{
  readonly parts: ApiParts
  readonly tokenFile: string | undefined
}> {
  const { backends, database, operators, revocations, silences, channelStates } = session
  const habits = { habits: (range: Parameters<EngineStore['habits']>[0]) => readHabits(database, range) }
  const { tokens, file } = await apiTokens(environment.apiTokens, backends.dataDir)
  return {
    parts: {
      tokens,
      operators,
      revocations,
      silences,
      linkKey: await linkKey(database),
      channelStates,
      channels: () => [...live.config.channels].map(([name, { type }]) => ({ name, type })),
      silenceMaxMs: () => live.config.notify.silenceMaxMs,
      safeForMs: () => live.config.notify.safeForMs,
      events: backends.queues.queue(environment.queueName),
      backlogMax: BACKLOG_MAX,
      hashKey: await keyHashSecret(database),
      settingsFor: (key) => live.tick.settingsFor(key),
      priorFor: async (key) => priorFor(await priorsAt(habits, clock.nowMs()), key),
    },
    tokenFile: file,
  }
}
