import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { alertToJson, VERDICTS, type Verdict } from '../../alert/alert.ts'
import type { Clock } from '../../clock.ts'
import type { OperatorStore, VerdictOutcome } from '../../store/operator-store.ts'
import { durationMs, MINUTE_MS } from '../../usage/duration.ts'
import { actorOf } from '../actor.ts'
import { addRoute } from '../add-route.ts'
import { storableText, valid } from '../read-body.ts'
import { alertId, noSuchAlert, NOTE_MAX } from './alerts.ts'

export interface FeedbackRoutesParts {
  readonly operators: OperatorStore
  /** How long what a verdict teaches lasts when it does not say, in milliseconds. */
  readonly safeForMs: () => number
  readonly clock: Clock
}

/** `abuse` is what the first version of the interface calls `compromised`. */
const verdictName = z
  .enum([...VERDICTS, 'abuse'])
  .transform((name): Verdict => (name === 'abuse' ? 'compromised' : name))
const feedbackBody = z.object({
  verdict: verdictName,
  comment: storableText(NOTE_MAX).nullish(),
  safe_for: durationMs.refine((ms) => ms >= MINUTE_MS, 'expected 1m or more').nullish(),
})

/** What people say of alerts: `compromised` (or `abuse`), `expected` or `safe`. */
export function feedbackRoutes(
  app: FastifyInstance,
  { operators, safeForMs, clock }: FeedbackRoutesParts,
): void {
  addRoute(app, '/alerts/:id/feedback', {
    POST: async (request) => {
      const body = valid(feedbackBody, request.body, 'Body')
      const outcome = await operators.giveVerdict(alertId(request), {
        verdict: body.verdict,
        comment: body.comment?.trim() === '' ? undefined : (body.comment ?? undefined),
        actor: actorOf(request),
        nowMs: clock.nowMs(),
        safeForMs: body.safe_for ?? safeForMs(),
      })
      if (outcome === undefined) throw noSuchAlert()
      return outcomeToJson(outcome)
    },
  })
}

/** The alert as it is now, and what the verdict did. A compromised key is offered for revocation: that is never done unasked. */
function outcomeToJson({ alert, taught, taughtUntil, frozen }: VerdictOutcome): object {
  return {
    ...alertToJson(alert),
    taught: taught.map(({ kind, value, level }) => ({ kind, value, level: level ?? null })),
    taught_until: taughtUntil?.toISOString() ?? null,
    profile_frozen: frozen,
    offers: frozen
      ? [
          {
            action: 'revoke',
            method: 'POST',
            path: `/api/v1/keys/${encodeURIComponent(alert.keyId)}/revoke`,
            body: { reason: `alert ${alert.id}: compromised` },
          },
        ]
      : [],
  }
}
