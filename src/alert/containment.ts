import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'

/** How an abuse was stopped, step by step; a step that has not been, or is not known, is undefined. */
export interface Containment {
  /** The first request of the abuse: the key's first one in the window that the alert judged. */
  readonly firstAbuseAt: Date | undefined
  readonly alertAt: Date | undefined
  /** When the other side said that the key was revoked. */
  readonly revokedAt: Date | undefined
  /** When the key's silence, or refusals, had proved it. */
  readonly confirmedAt: Date | undefined
}

export const CONTAINMENT_STAGES = ['alert', 'revoked', 'confirmed'] as const
export type ContainmentStage = (typeof CONTAINMENT_STAGES)[number]

/** Milliseconds from the first abusive request to the stage; undefined when one of them is not known. */
export function containmentMs(
  { firstAbuseAt, alertAt, revokedAt, confirmedAt }: Containment,
  stage: ContainmentStage,
): number | undefined {
  const at = { alert: alertAt, revoked: revokedAt, confirmed: confirmedAt }[stage]
  if (at === undefined || firstAbuseAt === undefined) return undefined
  // The clocks of the gateway and of keyhound need not agree.
  return Math.max(0, at.getTime() - firstAbuseAt.getTime())
}

/** `From the first abusive request: alert after 14 s, revoked after 16 s, confirmed after 12 min.`; undefined when nothing is known. */
export function containmentText(containment: Containment): string | undefined {
  const steps = CONTAINMENT_STAGES.flatMap((stage) => {
    const ms = containmentMs(containment, stage)
    return ms === undefined ? [] : [`${stage} after ${span(ms)}`]
  })
  return steps.length === 0 ? undefined : `From the first abusive request: ${steps.join(', ')}.`
}

function span(ms: number): string {
  if (ms < 2 * MINUTE_MS) return `${Math.round(ms / SECOND_MS)} s`
  if (ms < 2 * HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min`
  if (ms < 2 * DAY_MS) return `${Math.round(ms / HOUR_MS)} h`
  return `${Math.round(ms / DAY_MS)} d`
}
