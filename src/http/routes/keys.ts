import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Clock } from '../../clock.ts'
import type { DetectorSettings } from '../../detect/detector.ts'
import type { DetectorName } from '../../detect/finding.ts'
import type { Prior } from '../../detect/prior.ts'
import { emptyProfile, type Profile } from '../../detect/profile.ts'
import { readiness, readinessToJson } from '../../detect/readiness.ts'
import { DETECTORS } from '../../detect/registry.ts'
import type { KeyDetail, OperatorStore } from '../../store/operator-store.ts'
import type { OperatorWish, Revocation, RevocationStore } from '../../store/revocation-store.ts'
import { revocationToJson } from '../../store/revocation-json.ts'
import { DAY_MS, durationMs, MINUTE_MS } from '../../usage/duration.ts'
import { NANO_USD_PER_USD, type KeyAttributes } from '../../usage/event.ts'
import { hashSecret, looksLikeSecret } from '../../usage/secret-key-id.ts'
import { addRoute, type Handler } from '../add-route.ts'
import { actorOf } from '../actor.ts'
import { Problem } from '../problem.ts'
import { profileSummary, teachingSummary } from '../profile-summary.ts'
import { storableText, valid } from '../read-body.ts'

export interface KeyRoutesParts {
  readonly operators: OperatorStore
  readonly revocations: RevocationStore
  /** Key of the hash that takes the place of secrets. */
  readonly hashKey: Uint8Array
  readonly clock: Clock
  /** The settings of the detectors for a key: what its learning state and its thresholds follow from. Left out: not told. */
  readonly settingsFor?: (key: KeyAttributes) => ReadonlyMap<DetectorName, DetectorSettings>
  /** What a key is judged by while it is being learnt: the habit of its team or fleet. */
  readonly priorFor?: (key: KeyAttributes & { readonly firstSeenMs: number }) => Promise<Prior | undefined>
}

const REASON_MAX = 1_000
const REVOCATIONS_SHOWN = 10
const wishBody = z.object({
  reason: storableText(REASON_MAX).refine((text) => text.trim() !== '', 'must say why'),
  /** Undoes the revocation by itself after this time. */
  restore_after: durationMs
    .refine((ms) => ms >= MINUTE_MS && ms <= 365 * DAY_MS, 'from 1m to 365d')
    .optional(),
})
const keyIdText = storableText(256)

/** One key: what is usual for it, and revoke and restore. */
export function keyRoutes(
  app: FastifyInstance,
  { operators, revocations, hashKey, clock, settingsFor, priorFor }: KeyRoutesParts,
): void {
  /** Who asks with the secret itself gets the key that is kept under its hash; the secret goes no further. */
  const keyIdOf = (request: FastifyRequest): string => {
    const given = valid(keyIdText, (request.params as { key_id: string }).key_id, 'Path: key_id')
    return looksLikeSecret(given) ? hashSecret(given, hashKey) : given
  }
  addRoute(app, '/keys/:key_id', {
    GET: async (request) => {
      const keyId = keyIdOf(request)
      const [key, past] = await Promise.all([
        operators.key(keyId),
        revocations.forKey(keyId, REVOCATIONS_SHOWN),
      ])
      if (key === undefined) throw new Problem(404, 'No request was ever seen with this key id.')
      const profile = key.profile ?? unlearnt(key)
      const prior = await priorFor?.({ ...key.key, firstSeenMs: profile.firstSeenMs })
      const judged = { profile, prior, nowMs: clock.nowMs() }
      const detectors = settingsFor === undefined ? [] : readiness(judged, DETECTORS, settingsFor(key.key))
      return {
        ...keyToJson(key),
        detectors: detectors.map(readinessToJson),
        revocations: past.map(revocationToJson),
      }
    },
  })
  const wish = (make: (wish: OperatorWish) => Promise<Revocation>): Handler => {
    return async (request, reply) => {
      const { reason, restore_after: restoreAfterMs } = valid(wishBody, request.body, 'Body')
      const nowMs = clock.nowMs()
      const revocation = await make({
        keyId: keyIdOf(request),
        reason,
        actor: actorOf(request),
        nowMs,
        restoreAt: restoreAfterMs === undefined ? undefined : new Date(nowMs + restoreAfterMs),
      })
      return reply.code(202).send(revocationToJson(revocation))
    }
  }
  addRoute(app, '/keys/:key_id/revoke', { POST: wish((given) => revocations.requestRevoke(given)) })
  addRoute(app, '/keys/:key_id/restore', { POST: wish((given) => revocations.requestRestore(given)) })
}

/** Of a key whose first hour is not over yet. */
function unlearnt({ key, firstSeenAt }: KeyDetail): Profile {
  return emptyProfile({ keyId: key.keyId, firstSeenMs: firstSeenAt.getTime(), timeZone: 'UTC' })
}

function keyToJson(detail: KeyDetail): object {
  const { key, lastDay } = detail
  return {
    key_id: key.keyId,
    team_id: key.teamId ?? null,
    environment: key.environment ?? null,
    state: detail.state,
    first_seen_at: detail.firstSeenAt.toISOString(),
    last_seen_at: detail.lastSeenAt?.toISOString() ?? null,
    last_day: {
      requests: lastDay.requests,
      refused: lastDay.refused,
      input_tokens: lastDay.inputTokens,
      output_tokens: lastDay.outputTokens,
      cached_input_tokens: lastDay.cachedInputTokens,
      cost_usd: lastDay.costNanoUsd / NANO_USD_PER_USD,
      unpriced_requests: lastDay.unpriced,
    },
    profile: detail.profile === undefined ? null : profileSummary(detail.profile),
    ...teachingSummary(detail),
  }
}
