import type { Mute } from './mute.ts'
import { plainText } from './plain-text.ts'
import type { RouteMatch } from './route.ts'

export const SILENCE_FIELDS = ['key_id', 'team_id', 'environment', 'detector', 'severity'] as const
export const SILENCE_STATES = ['pending', 'active', 'expired'] as const
export type SilenceState = (typeof SILENCE_STATES)[number]

/** A person's wish that nobody is told of some alerts for a while. */
export interface Silence {
  /** UUID. */
  readonly id: string
  /** At least one field is named, unless it is of one alert. */
  readonly matchers: RouteMatch
  /** Of this alert alone, until it is resolved (or `endsAt`, if that comes first). */
  readonly alertId: string | undefined
  readonly startsAt: Date
  readonly endsAt: Date
  readonly createdAt: Date
  readonly createdBy: string
  readonly comment: string
  /** When it was ended before its time, and by whom. */
  readonly expiredAt: Date | undefined
  readonly expiredBy: string | undefined
}

/** What a list shows of a silence besides what was asked for. */
export interface SilenceUse {
  readonly state: SilenceState
  /** Alerts that it keeps quiet now, and that it has silenced so far. */
  readonly silencing: number
  readonly silenced: number
  /** False when there is no key, and no alert, that it could ever match: probably a slip of the pen. */
  readonly matchesSomething: boolean
}

const COMMENT_SHOWN = 100

/** What the silence is to alerts while it is in force. */
export function muteOfSilence({ id, matchers, alertId, createdBy, comment }: Silence): Mute {
  return {
    id: `silence:${id}`,
    label: `the silence of ${plainText(createdBy, 60)} ("${plainText(comment, COMMENT_SHOWN)}")`,
    match: matchers,
    alertId,
  }
}

/** Where a silence stands at an instant. One of an alert that is resolved is over. */
export function silenceState(
  { startsAt, endsAt, expiredAt }: Pick<Silence, 'startsAt' | 'endsAt' | 'expiredAt'>,
  { nowMs, alertIsOpen = true }: { readonly nowMs: number; readonly alertIsOpen?: boolean },
): SilenceState {
  if (expiredAt !== undefined || endsAt.getTime() <= nowMs || !alertIsOpen) return 'expired'
  return startsAt.getTime() > nowMs ? 'pending' : 'active'
}

/** A silence as the HTTP API and the command line write it. */
export function silenceToJson(silence: Silence, use: SilenceUse): object {
  return {
    id: silence.id,
    state: use.state,
    matchers: silence.matchers,
    alert_id: silence.alertId ?? null,
    starts_at: silence.startsAt.toISOString(),
    ends_at: silence.endsAt.toISOString(),
    created_at: silence.createdAt.toISOString(),
    created_by: silence.createdBy,
    comment: silence.comment,
    expired_at: silence.expiredAt?.toISOString() ?? null,
    expired_by: silence.expiredBy ?? null,
    alerts_silenced_now: use.silencing,
    alerts_silenced: use.silenced,
    matches_something: use.matchesSomething,
  }
}
