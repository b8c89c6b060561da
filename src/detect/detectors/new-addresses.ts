import { DAY_MS, formatDuration } from '../../usage/duration.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'
import { CALM, type Calm } from '../calm.ts'
import type { Detection, DetectorSettings } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { isNoneNew, joinedAddresses, mostAtOnce } from '../joined-addresses.ts'
import { historyOf, type Profile } from '../profile.ts'
import { scoreOfRate } from '../score.ts'
import { counted, durationInWords, grouped, listed } from '../sentence.ts'
import { severityOf } from '../settings.ts'
import { newAddressRate, type SourceHabit } from '../source-habit.ts'
import { addressesOf } from '../top-addresses.ts'
import { check, type Trace } from '../trace.ts'
import { sourceExcess, type SourceExcess, type SourceThresholds } from '../source-excess.ts'

export interface NewAddressesSettings extends DetectorSettings {
  readonly sensitivity: 'low' | 'medium' | 'high'
  readonly min_requests: number
  readonly min_history: number
}

/** How much likelier it must be that new addresses add to the key's own work than that they take it over. */
const LOG_RATIO = { low: 5, medium: 3, high: 1.5 } as const
/**
 * Of the new addresses that a key meets by habit, so many add to its work. The likelihood ratio finds them and orders
 * them, but as a chance it is worth nothing: what tells a thief from an egress that changes is how seldom the key meets a
 * new address. Measured on seeds 11, 12 and 31: 18 of 18 findings on keys that meet one in ten days or more seldom were
 * thieves (one of them back on the second day after), and 12 of 33 on the others.
 */
const ADDING_SHARE = 0.01
/**
 * Ten times as many where no more addresses are in use at once than ever were: there one that shared an egress with another
 * may have got one of its own. On six tuning fleets such findings were 14 false warnings, and no attack's first.
 */
const ADDING_SHARE_WITHIN = 0.1
/** What a key that was watched for some days never did, it may yet do at up to this rate over those days. */
const EVENTS_UNSEEN = 1.5
const ADDRESSES_SHOWN = 5

/**
 * The finding of volume_spike about what totals hide: new addresses with work of their own, while the key's own go on. By
 * how much they add in hours, or by their number as soon as they come; the rarer of the two.
 */
export function sourceFindings(detection: Detection<NewAddressesSettings>, trace?: Trace): Finding[] {
  const added = addedFindings(detection, trace)
  const joined = joinedFindings(detection, trace)
  // Nearly always there is neither.
  if (added.length === 0) return joined
  return joined.length > 0 && (joined[0]?.score ?? 0) > (added[0]?.score ?? 0) ? joined : added
}

/** Calm while no address is new, and none adds to the work of the key in what has been learnt. */
export function sourceCalm({
  usage,
  profile,
  settings,
  nowMs,
}: Detection<NewAddressesSettings>): Calm | undefined {
  const isCalm =
    isNoneNew({ usage, profile, nowMs }, knownFrom(profile, settings)) &&
    sourceExcess(profile, thresholdsOf(profile, settings)) === undefined
  return isCalm ? CALM : undefined
}

function knownFrom(profile: Profile, settings: NewAddressesSettings): number {
  return profile.firstSeenMs + settings.min_history
}

function thresholdsOf(profile: Profile, settings: NewAddressesSettings): SourceThresholds {
  return {
    logRatio: LOG_RATIO[settings.sensitivity],
    minRequests: settings.min_requests,
    knownFromMs: knownFrom(profile, settings),
  }
}

function joinedFindings(
  { usage, profile, settings, nowMs }: Detection<NewAddressesSettings>,
  trace: Trace | undefined,
): Finding[] {
  const joined = joinedAddresses({ usage, profile, nowMs }, knownFrom(profile, settings))
  const isMore = check(trace, joined !== undefined, () => ({
    kind: 'unusual',
    what: 'addresses in use since one came that is new within two hours, that one too',
    observed: joined === undefined ? null : joined.inUse,
    needed: 'more than were ever in use at once, or a new one after several were kept for long',
    setting: minHistory(settings),
  }))
  if (joined === undefined || !isMore) return []
  const { keyId } = usage.key
  const shown = joined.addresses.slice(0, ADDRESSES_SHOWN)
  const history = historyOf(profile, nowMs)
  const isMoreAtOnce = joined.inUse > joined.atOnce
  return [
    {
      detector: 'volume_spike',
      keyId,
      scope: 'new_addresses',
      severity: severityOf(settings, 'warning'),
      score: scoreOfRate(joined.perDay),
      summary: isMoreAtOnce
        ? `${keyId} is used from ${joined.inUse} addresses at once, ` +
          `${joined.addresses.length === 1 ? 'one of them' : `${joined.addresses.length} of them`} new ` +
          `(${listed(shown, 2)}); at most ${joined.atOnce} were ever in use together ` +
          `(${counted(Math.floor(history.days), 'day')} of history)`
        : `${keyId} is used from a new address (${listed(shown, 2)}), after its ${joined.kept} addresses ` +
          `had been the same for ${counted(Math.floor(joined.keptDays), 'day')}`,
      evidence: {
        metric: isMoreAtOnce ? 'addresses_at_once' : 'new_addresses',
        observed: isMoreAtOnce ? joined.inUse : joined.addresses.length,
        expected: { at_most: isMoreAtOnce ? joined.atOnce : 0 },
        window: { start: new Date(joined.sinceMs).toISOString(), end: new Date(nowMs).toISOString() },
        history,
        setting: minHistory(settings),
        addresses_kept: joined.kept,
        kept_days: Number(joined.keptDays.toPrecision(2)),
        watched_days: Number(joined.watchedDays.toPrecision(2)),
        new_addresses_per_day: Number(joined.newPerDay.toPrecision(2)),
        expected_per_day: Number(joined.perDay.toPrecision(2)),
        addresses: shown,
        ...workOf(usage, joined.addresses),
      },
    },
  ]
}

function minHistory(settings: NewAddressesSettings): string {
  return `detectors.volume_spike.min_history: ${formatDuration(settings.min_history)}`
}

function addedFindings(
  { usage, profile, settings, nowMs }: Detection<NewAddressesSettings>,
  trace: Trace | undefined,
): Finding[] {
  const excess = sourceExcess(profile, thresholdsOf(profile, settings))
  const isAdding = check(trace, excess !== undefined && isInUse(usage, excess), () => ({
    kind: 'unusual',
    what: 'work that addresses new within five days add to that of the key itself, in requests',
    observed: excess === undefined ? 0 : Math.round(excess.added),
    needed: `at least ${settings.min_requests} and a quarter of the usual, while the own addresses go on, and still in use`,
    setting: `detectors.volume_spike.sensitivity: ${settings.sensitivity}`,
  }))
  if (excess === undefined || !isAdding) return []
  const { keyId } = usage.key
  const newPerDay = newAddressRate(profile.sources, { ...profile, nowMs: excess.sinceMs + DAY_MS })
  const share = isWithinHabit(profile.sources, excess.sinceMs) ? ADDING_SHARE_WITHIN : ADDING_SHARE
  const watchedDays = Math.max(1, (excess.sinceMs - profile.firstSeenMs) / DAY_MS - 1)
  const shown = excess.addresses.slice(0, ADDRESSES_SHOWN)
  return [
    {
      detector: 'volume_spike',
      keyId,
      scope: 'new_addresses',
      severity: severityOf(settings, 'warning'),
      score: scoreOfRate(share * Math.max(newPerDay, EVENTS_UNSEEN / watchedDays)),
      summary:
        `${keyId} makes ${grouped(excess.added)} more ${excess.added === 1 ? 'request' : 'requests'} in about ${durationInWords(excess.spanMs)} ` +
        `from ${counted(excess.addresses.length, 'new address').replace('addresss', 'addresses')} ` +
        `(${listed(shown, 2)}), while its own addresses go on as usual (${grouped(excess.byOwn)} of ${grouped(excess.usual)})`,
      evidence: {
        metric: 'requests_from_new_addresses',
        observed: Math.round(excess.made),
        expected: { at_most: Math.round(excess.made - excess.added) },
        window: { start: new Date(excess.sinceMs).toISOString(), end: new Date(nowMs).toISOString() },
        history: historyOf(profile, nowMs),
        setting: `detectors.volume_spike.sensitivity: ${settings.sensitivity}`,
        half_life: durationInWords(excess.spanMs),
        by_own_addresses: Math.round(excess.byOwn),
        usual: Math.round(excess.usual),
        new_addresses_per_day: Number(newPerDay.toPrecision(2)),
        log_likelihood_ratio: Number(excess.logRatio.toPrecision(3)),
        addresses: shown,
        ...workOf(usage, excess.addresses),
      },
    },
  ]
}

/** True when the addresses that were in use since then, and a new one, are no more than were ever in use at once. */
function isWithinHabit(sources: SourceHabit, sinceMs: number): boolean {
  const beside = sources.addresses.filter(({ firstMs, lastMs }) => firstMs < sinceMs && lastMs > sinceMs)
  return beside.length + 1 <= mostAtOnce(sources, sinceMs).atOnce
}

/** What the addresses did of late, the busiest first, for the evidence; their known cost with it. */
function workOf(usage: Detection<NewAddressesSettings>['usage'], addresses: readonly string[]) {
  const theirs = usage.sources.filter(({ address }) => addresses.includes(address))
  const costNanoUsd = theirs.reduce((sum, source) => sum + source.costNanoUsd, 0)
  return {
    by_address: addressesOf(theirs).slice(0, ADDRESSES_SHOWN),
    cost_usd: Number((costNanoUsd / NANO_USD_PER_USD).toPrecision(6)),
  }
}

/** True while the addresses are at work: an excess fades slowly, and must not be told for a day after it ended. */
function isInUse(usage: Detection<NewAddressesSettings>['usage'], { addresses }: SourceExcess): boolean {
  return usage.sources.some(
    ({ address, requests, refused }) => requests > refused && addresses.includes(address),
  )
}
