import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Clock } from '../../clock.ts'
import { haltToJson, ledgerToJson, revocationToJson } from '../../store/revocation-json.ts'
import { ledgerSummary } from '../../store/ledger-summary.ts'
import { REVOCATION_STATES, type RevocationStore } from '../../store/revocation-store.ts'
import { DAY_MS, durationMs } from '../../usage/duration.ts'
import { actorOf } from '../actor.ts'
import { addRoute } from '../add-route.ts'
import { Problem } from '../problem.ts'
import { storableText, valid } from '../read-body.ts'

export interface RevocationRoutesParts {
  readonly revocations: RevocationStore
  readonly clock: Clock
}

const LIMIT_MAX = 200
const REASON_MAX = 1_000
const SINCE_DEFAULT_MS = 7 * DAY_MS

const listQuery = z.object({
  state: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(REVOCATION_STATES)))
    .optional(),
  key_id: storableText(256).optional(),
  since: durationMs.optional(),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(50),
})
const sinceQuery = z.object({ since: durationMs.optional() })
const reasonBody = z.object({
  reason: storableText(REASON_MAX).refine((text) => text.trim() !== '', 'must say why'),
})

/** Revocations of all keys, the dry-run ledger, approval of one proposal, and the halt switch. */
export function revocationRoutes(app: FastifyInstance, { revocations, clock }: RevocationRoutesParts): void {
  addRoute(app, '/revocations', {
    GET: async (request) => {
      const query = valid(listQuery, request.query, 'Query')
      const found = await revocations.list({
        states: query.state,
        keyId: query.key_id,
        sinceMs: query.since === undefined ? undefined : clock.nowMs() - query.since,
        limit: query.limit,
      })
      return { revocations: found.map(revocationToJson) }
    },
  })
  addRoute(app, '/revocations/ledger', {
    GET: async (request) => {
      const { since = SINCE_DEFAULT_MS } = valid(sinceQuery, request.query, 'Query')
      const entries = await revocations.ledger({ sinceMs: clock.nowMs() - since })
      return { summary: ledgerSummary(entries), keys: entries.map(ledgerToJson) }
    },
  })
  addRoute(app, '/revocations/:id/approve', {
    POST: async (request, reply) => {
      const { reason } = valid(reasonBody, request.body, 'Body')
      const { id } = request.params as { id: string }
      const approved = await revocations.approve(id, {
        reason,
        actor: actorOf(request),
        nowMs: clock.nowMs(),
      })
      if (approved === undefined) {
        throw new Problem(409, 'This proposal does not wait for an approval (any more); look at the key.')
      }
      return reply.code(202).send(revocationToJson(approved))
    },
  })
  haltRoutes(app, { revocations, clock })
}

function haltRoutes(app: FastifyInstance, { revocations, clock }: RevocationRoutesParts): void {
  addRoute(app, '/revocations/halts', {
    GET: async () => ({ halts: (await revocations.halts()).map(haltToJson) }),
    POST: async (request, reply) => {
      const { reason } = valid(reasonBody, request.body, 'Body')
      const halt = await revocations.halt({ reason, actor: actorOf(request), nowMs: clock.nowMs() })
      return reply.code(201).send(haltToJson(halt))
    },
    // All of them: a halt of keyhound's own begins again by itself while its cause lasts.
    DELETE: async (request) => {
      const open = await revocations.halts()
      const ended = await revocations.resume(
        open.map(({ cause }) => cause),
        { actor: actorOf(request), nowMs: clock.nowMs() },
      )
      return { ended: ended.map(haltToJson) }
    },
  })
}
