import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ALERT_STATUSES, alertToJson } from '../../alert/alert.ts'
import type { Clock } from '../../clock.ts'
import {
  type AlertDetail,
  InvalidCursorError,
  type OperatorAct,
  type OperatorStore,
} from '../../store/operator-store.ts'
import { addRoute, type Handler } from '../add-route.ts'
import { actorOf } from '../actor.ts'
import { Problem } from '../problem.ts'
import { storableText, valid } from '../read-body.ts'

export interface AlertRoutesParts {
  readonly operators: OperatorStore
  readonly clock: Clock
}

const LIMIT_DEFAULT = 50
const LIMIT_MAX = 200
export const NOTE_MAX = 1_000

const listQuery = z.object({
  status: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => [value].flat().flatMap((text) => text.split(',')))
    .pipe(z.array(z.enum(ALERT_STATUSES)))
    .optional(),
  key_id: storableText(256).optional(),
  detector: storableText(256).optional(),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT),
  cursor: storableText(1_000).optional(),
})
const actBody = z.object({ note: storableText(NOTE_MAX).nullish() }).optional()
const acknowledgeBody = z
  .object({
    note: storableText(NOTE_MAX).nullish(),
    until: z.iso
      .datetime({ offset: true, error: 'expected a time such as 2026-03-02T22:00:00Z' })
      .transform((text) => new Date(text))
      .nullish(),
    whole_incident: z.boolean().nullish(),
  })
  .optional()

/** The alerts: list, one, acknowledge, resolve. */
export function alertRoutes(app: FastifyInstance, { operators, clock }: AlertRoutesParts): void {
  addRoute(app, '/alerts', {
    GET: async (request) => {
      const query = valid(listQuery, request.query, 'Query')
      const page = await listOrRefuse(operators, {
        status: query.status,
        keyId: query.key_id || undefined,
        detector: query.detector || undefined,
        limit: query.limit,
        cursor: query.cursor || undefined,
      })
      return { alerts: page.alerts.map((alert) => alertToJson(alert)), next_cursor: page.cursor ?? null }
    },
  })
  addRoute(app, '/alerts/:id', {
    GET: async (request) => {
      const detail = await operators.alert(alertId(request))
      if (detail === undefined) throw noSuchAlert()
      return alertDetailToJson(detail)
    },
  })
  const act = (change: (id: string, act: OperatorAct) => ReturnType<OperatorStore['resolve']>): Handler => {
    return async (request) => {
      const { note } = valid(actBody, request.body ?? undefined, 'Body') ?? {}
      const alert = await change(alertId(request), {
        actor: actorOf(request),
        note: note ?? undefined,
        nowMs: clock.nowMs(),
      })
      if (alert === undefined) throw noSuchAlert()
      return alertToJson(alert)
    }
  }
  addRoute(app, '/alerts/:id/acknowledge', {
    POST: async (request) => {
      const body = valid(acknowledgeBody, request.body ?? undefined, 'Body') ?? {}
      const nowMs = clock.nowMs()
      if (body.until != null && body.until.getTime() <= nowMs)
        throw new Problem(400, 'Body: until: must be later than now.')
      const alert = await operators.acknowledge(alertId(request), {
        actor: actorOf(request),
        note: body.note ?? undefined,
        nowMs,
        until: body.until ?? undefined,
        wholeIncident: body.whole_incident ?? false,
      })
      if (alert === undefined) throw noSuchAlert()
      return alertToJson(alert)
    },
  })
  addRoute(app, '/alerts/:id/resolve', { POST: act((id, given) => operators.resolve(id, given)) })
}

async function listOrRefuse(
  operators: OperatorStore,
  query: Parameters<OperatorStore['listAlerts']>[0],
): ReturnType<OperatorStore['listAlerts']> {
  try {
    return await operators.listAlerts(query)
  } catch (error) {
    if (error instanceof InvalidCursorError) {
      throw new Problem(400, 'Query: cursor: is not one that this list gave out.', { cause: error })
    }
    throw error
  }
}

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** What is no UUID names no alert; the database would call it an error. */
export function alertId(request: FastifyRequest): string {
  const { id } = request.params as { id: string }
  if (!UUID.test(id)) throw noSuchAlert()
  return id.toLowerCase()
}

export function noSuchAlert(): Problem {
  return new Problem(404, 'There is no alert with this id.')
}

function alertDetailToJson({ alert, deliveries, history }: AlertDetail): object {
  return {
    ...alertToJson(alert),
    deliveries: deliveries.map((delivery) => ({
      id: delivery.id,
      channel: delivery.channel,
      type: delivery.type,
      state: delivery.state,
      attempts: delivery.attempts,
      due_at: delivery.dueAt.toISOString(),
      delivered_at: delivery.deliveredAt?.toISOString() ?? null,
      last_error: delivery.lastError ?? null,
      receipt: delivery.receipt ?? null,
      instead_of: delivery.insteadOf ?? null,
      channel_broken_since: delivery.channelBrokenAt?.toISOString() ?? null,
    })),
    history: history.map(({ at, change, actor, note }) => ({
      at: at.toISOString(),
      change,
      actor,
      note: note ?? null,
    })),
  }
}
