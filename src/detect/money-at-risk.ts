import { HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { NANO_USD_PER_USD } from '../usage/event.ts'
import { hourOfWeek } from '../usage/hour-of-week.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { bucketStart, type Rollup } from '../usage/rollup.ts'
import { evidenceKind } from './corroborate.ts'
import { habitualRate, requestScale } from './expected-volume.ts'
import { severityRank, type DetectorName, type Finding, type JsonValue, type Severity } from './finding.ts'
import type { Profile } from './profile.ts'

/** What money decides about severity; the section `severity` of the configuration. US dollars an hour. */
export interface MoneySettings {
  /** From here on a finding is a warning at the least. */
  readonly warningUsdPerHour: number
  /** From here on a finding is critical. */
  readonly criticalUsdPerHour: number
  /** Below this, two signals are not yet critical; it takes more of them. */
  readonly pageFromUsdPerHour: number
}

/** A burst of this length is taken for its rate; a shorter one is not yet a pace. */
const PACE_MS = 10 * MINUTE_MS
/** With so many independent kinds of evidence beside its own, a finding is critical however little it costs. */
const KINDS_ABOVE_MONEY = 2

/** What a finding may cost if nobody does anything. */
export interface MoneyAtRisk {
  readonly usdPerHour: number
  /** False when much of the use has no known price: then little money proves nothing. */
  readonly isKnown: boolean
}

/**
 * US dollars an hour that the finding is about, at the pace of the last ten minutes or the last hour, whichever is higher:
 * what the new country or model costs, and for all other findings what is spent above what is usual at this hour.
 */
export function moneyAtRisk(
  finding: Pick<Finding, 'detector' | 'evidence'>,
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
): MoneyAtRisk {
  const isAbout = aboutOf(finding)
  const recent = usage.rollups.filter(({ bucketMs }) => bucketMs > nowMs - HOUR_MS)
  const concerned = isAbout === undefined ? recent : recent.filter(isAbout)
  const sinceMs = bucketStart(nowMs) - PACE_MS + MINUTE_MS
  const pace = costOf(concerned.filter(({ bucketMs }) => bucketMs >= sinceMs)) * (HOUR_MS / PACE_MS)
  const usual = isAbout === undefined ? usualCostPerHour(profile, nowMs) : 0
  const made = sum(concerned, ({ requests, refused }) => requests - refused)
  return {
    usdPerHour: Math.max(0, Math.max(pace, costOf(concerned)) - usual) / NANO_USD_PER_USD,
    isKnown: made > 0 && sum(concerned, ({ unpriced }) => unpriced) <= made / 10,
  }
}

/**
 * Lets money speak about graded findings of evidence: what costs much an hour is worse than what was found alone tells,
 * and what costs next to nothing does not wake anybody because two oddities came together. What is kept shows why.
 */
export function weighMoney(
  findings: readonly Finding[],
  {
    settings,
    riskOf,
    isGraded,
  }: {
    readonly settings: MoneySettings
    readonly riskOf: (finding: Finding) => MoneyAtRisk
    readonly isGraded: (detector: DetectorName) => boolean
  },
): readonly Finding[] {
  return findings.map((finding) => {
    if (!isGraded(finding.detector) || evidenceKind(finding) === undefined) return finding
    const risk = riskOf(finding)
    const severity = severityWith(finding, risk, settings)
    if (severity === finding.severity) return finding
    const evidence = { ...finding.evidence, usd_per_hour_at_risk: Number(risk.usdPerHour.toPrecision(3)) }
    return { ...finding, severity, evidence }
  })
}

function severityWith(
  finding: Finding,
  { usdPerHour, isKnown }: MoneyAtRisk,
  settings: MoneySettings,
): Severity {
  const { severity, evidence } = finding
  // An address can be made up in a header: a place alone is never critical, whatever it costs.
  if (usdPerHour >= settings.criticalUsdPerHour && evidenceKind(finding) !== 'place') return 'critical'
  if (usdPerHour >= settings.warningUsdPerHour && severityRank(severity) < severityRank('warning'))
    return 'warning'
  const agreeing = evidence['corroborated_by']
  const isCheap = isKnown && usdPerHour < settings.pageFromUsdPerHour
  const isLonely = Array.isArray(agreeing) && agreeing.length < KINDS_ABOVE_MONEY
  return severity === 'critical' && isCheap && isLonely ? 'warning' : severity
}

/** Which usage a finding is about: undefined for all of it. */
function aboutOf({
  detector,
  evidence,
}: Pick<Finding, 'detector' | 'evidence'>): ((rollup: Rollup) => boolean) | undefined {
  const names = new Set(namesOf(evidence.observed))
  if (detector === 'unusual_geo') return ({ country }) => country !== undefined && names.has(country)
  if (detector === 'unfamiliar_model' || detector === 'model_probe') return ({ model }) => names.has(model)
  return undefined
}

function namesOf(observed: JsonValue): string[] {
  return typeof observed === 'object' && observed !== null && !Array.isArray(observed)
    ? Object.keys(observed)
    : []
}

function usualCostPerHour(profile: Profile, nowMs: number): number {
  const perRequest = requestScale(profile.volume.costNanoUsd)?.mean ?? 0
  return habitualRate(profile.week, hourOfWeek(nowMs, profile.timeZone)) * perRequest
}

function costOf(rollups: readonly Rollup[]): number {
  return sum(rollups, ({ costNanoUsd }) => costNanoUsd)
}

function sum(rollups: readonly Rollup[], of: (rollup: Rollup) => number): number {
  let total = 0
  for (const rollup of rollups) total += of(rollup)
  return total
}
