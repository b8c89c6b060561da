import type { FastifyInstance } from 'fastify'
import { silenceRequest } from '../../alert/silence-request.ts'
import { silenceToJson } from '../../alert/silence.ts'
import type { Clock } from '../../clock.ts'
import { NoSuchAlertError, type ListedSilence, type SilenceStore } from '../../store/silence-store.ts'
import { actorOf } from '../actor.ts'
import { addRoute } from '../add-route.ts'
import { Problem } from '../problem.ts'
import { valid } from '../read-body.ts'

export interface SilenceRoutesParts {
  readonly silences: SilenceStore
  /** How long a silence may last, in milliseconds; asked anew for each, as the configuration may be reloaded. */
  readonly silenceMaxMs: () => number
  readonly clock: Clock
}

/** The silences: list, add, end. */
export function silenceRoutes(
  app: FastifyInstance,
  { silences, silenceMaxMs, clock }: SilenceRoutesParts,
): void {
  addRoute(app, '/silences', {
    GET: async () => ({ silences: (await silences.list({ nowMs: clock.nowMs() })).map(listedToJson) }),
    POST: async (request, reply) => {
      const nowMs = clock.nowMs()
      const asked = valid(silenceRequest({ nowMs, maxMs: silenceMaxMs() }), request.body, 'Body')
      const created = await orRefuse(silences.create({ ...asked, actor: actorOf(request), nowMs }))
      return reply.code(201).send(listedToJson(created))
    },
  })
  addRoute(app, '/silences/:id', {
    DELETE: async (request) => {
      const { id } = request.params as { id: string }
      const ended = await silences.expire(id, { actor: actorOf(request), nowMs: clock.nowMs() })
      if (ended === undefined) throw new Problem(404, 'There is no silence with this id.')
      return listedToJson(ended)
    },
  })
}

function listedToJson({ silence, use }: ListedSilence): object {
  return silenceToJson(silence, use)
}

async function orRefuse(created: Promise<ListedSilence>): Promise<ListedSilence> {
  try {
    return await created
  } catch (error) {
    if (error instanceof NoSuchAlertError)
      throw new Problem(409, `Body: alert_id: ${error.message}.`, { cause: error })
    throw error
  }
}
