import { habitualRate, requestScale } from '../detect/expected-volume.ts'
import { presenceOf } from '../detect/presence.ts'
import type { KnownValue, Profile } from '../detect/profile.ts'
import type { KeyDetail } from '../store/operator-store.ts'
import { NANO_USD_PER_USD } from '../usage/event.ts'
import { HOURS_OF_WEEK, hourOfWeekName } from '../usage/hour-of-week.ts'

/** What is usual for a key, for people and pages: the profile in words and round numbers. */
export function profileSummary(profile: Profile): object {
  const rates = Array.from({ length: HOURS_OF_WEEK }, (_, slot) => habitualRate(profile.week, slot))
  const busiest = rates.indexOf(Math.max(...rates))
  const presence = presenceOf(profile.week)
  const costPerRequest = requestScale(profile.volume.costNanoUsd)?.mean
  return {
    first_seen_at: new Date(profile.firstSeenMs).toISOString(),
    learned_until: new Date(profile.learnedUntilMs).toISOString(),
    requests_learnt: profile.events,
    time_zone: profile.timeZone,
    usual_volume: {
      requests_per_day: rounded(rates.reduce((sum, rate) => sum + rate, 0) / 7, 1),
      requests_in_busiest_hour: rounded(Math.max(...rates), 1),
      busiest_hour: profile.events > 0 ? hourOfWeekName(busiest) : null,
      tokens_per_request: rounded(requestScale(profile.volume.tokens)?.mean, 0),
      cost_usd_per_request: rounded(
        costPerRequest === undefined ? undefined : costPerRequest / NANO_USD_PER_USD,
        6,
      ),
      /** Requests an hour; the first is Monday 00:00 in `time_zone`. */
      by_hour_of_week: rates.map((rate) => rounded(rate, 2)),
    },
    usual_hours: {
      hours_per_day: rounded(presence.hoursPerDay, 1),
      /** The chance, 0 to 1, that the key is used in the hour. */
      by_hour_of_week: presence.chances.map((chance) => rounded(chance, 2)),
    },
    countries: profile.countries.map((known) => ({ country: known.value, ...knownToJson(known) })),
    models: profile.models.map((known) => ({ model: known.value, ...knownToJson(known) })),
  }
}

function knownToJson(known: KnownValue): object {
  return {
    requests: known.requests,
    first_seen_at: new Date(known.firstSeenMs).toISOString(),
    last_seen_at: new Date(known.lastSeenMs).toISOString(),
  }
}

function rounded(value: number | undefined, digits: number): number | null {
  return value === undefined || !Number.isFinite(value) ? null : Number(value.toFixed(digits))
}

/** What people said of a key that bears on its profile. */
export function teachingSummary({ frozenAt, taught = [] }: Pick<KeyDetail, 'frozenAt' | 'taught'>): object {
  return {
    profile_frozen_since: frozenAt?.toISOString() ?? null,
    safe_values: taught.map(({ kind, value, level, until }) => ({
      kind,
      value,
      level: level ?? null,
      until: until.toISOString(),
    })),
  }
}
