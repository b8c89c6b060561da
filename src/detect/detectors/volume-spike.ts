import { z } from 'zod'
import { DAY_MS, durationMs, formatDuration, HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'
import { hourOfWeek } from '../../usage/hour-of-week.ts'
import { rollupsWithin } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { budgetNats } from '../alert-budget.ts'
import { breakdownOf } from '../breakdown.ts'
import { calmUnlessKnown, type Calm } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf, isLearning } from '../profile.ts'
import { counted, dollars, durationInWords, grouped, hourInWords } from '../sentence.ts'
import { budgetedSettings, learningSettings, severityOf } from '../settings.ts'
import type { Trace } from '../trace.ts'
import { volumeCalm } from '../least-volume.ts'
import { volumeExcesses, type Excess } from '../volume-test.ts'
import { sizeCalm, sizeFindings } from './request-size.ts'
import { sourceCalm, sourceFindings } from './new-addresses.ts'
import { newKeyCalm, newKeyFindings } from './new-key-volume.ts'

const settings = z.strictObject({
  ...budgetedSettings(),
  metrics: z
    .array(z.enum(['requests', 'tokens', 'cost']))
    .min(1)
    .default(['requests', 'tokens', 'cost'])
    .describe('What is counted.'),
  windows: z
    .array(
      durationMs.refine(
        (ms) => ms >= MINUTE_MS && ms <= DAY_MS && ms % (ms > HOUR_MS ? HOUR_MS : MINUTE_MS) === 0,
        {
          message: 'expected whole minutes from 1m to 1h, or whole hours up to 24h',
        },
      ),
    )
    .min(1)
    .max(6)
    .prefault(['5m', '1h'])
    .describe(
      'Sliding windows that end now: whole minutes from 1m to 1h, or whole hours up to 24h (no tokens in these).',
    ),
  sensitivity: z
    .enum(['low', 'medium', 'high'])
    .default('medium')
    .describe('How unlikely a volume must be: low raises only the grossest, high also what may be chance.'),
  min_requests: z
    .number()
    .int()
    .min(1)
    .default(20)
    .describe(
      'Windows with less than so many successful requests (or tokens or cost worth less than that) are never a spike.',
    ),
  ...learningSettings({ history: '3d', events: 20 }),
})

export const volumeSpike = defineDetector({
  name: 'volume_spike',
  description:
    'Far more successful requests, tokens or cost than is usual for this key at this hour of the week.',
  settings,
  usesPrior: true,
  detect: (detection, trace) => {
    const { profile, settings: chosen, nowMs } = detection
    if (isLearning(profile, chosen, nowMs)) return newKeyFindings(detection, trace)
    const byVolume = volumeFindings(detection, trace)
    const bySource = sourceFindings(detection, trace)
    const bySize = sizeFindings(detection, trace)
    // Nearly always nothing is found.
    if (byVolume.length + bySource.length + bySize.length === 0) return NOTHING
    return [...byVolume, ...bySource, ...bySize]
  },
  calm: (detection) =>
    calmUnlessKnown(
      detection,
      () => knownKeyCalm(detection),
      () => newKeyCalm(detection),
    ),
})

const NOTHING: Finding[] = []

type Chosen = z.output<typeof settings>

function knownKeyCalm(detection: Detection<Chosen>): Calm | undefined {
  if (sourceCalm(detection) === undefined) return undefined
  const { windows, min_requests: minRequests } = detection.settings
  return both(volumeCalm(detection, windows, { minRequests }), sizeCalm(detection))
}

function both(byVolume: Calm | undefined, bySize: Calm): Calm | undefined {
  return byVolume && ((usage, nowMs) => byVolume(usage, nowMs) && bySize(usage, nowMs))
}

function volumeFindings(detection: Detection<Chosen>, trace: Trace | undefined): Finding[] {
  const { settings: chosen } = detection
  const thresholds = {
    logChance: Math.min(LOG_CHANCE_MAX, LOG_CHANCE[chosen.sensitivity] + budgetNats('volume_spike', chosen)),
    minRequests: chosen.min_requests,
  }
  const excesses = volumeExcesses(detection, chosen, thresholds, trace)
  const lead = excesses[0]
  return lead === undefined ? [] : [findingOf(detection, lead, excesses)]
}

/** ln of the chance below which a volume is no chance. Medium is measured to stay under 1 false alert per 100 key-days. */
const LOG_CHANCE = { low: Math.log(1e-10), medium: Math.log(1e-8), high: Math.log(1e-5) } as const
/** Whatever the budget, a volume that comes by chance once in a hundred looks is none. */
const LOG_CHANCE_MAX = Math.log(1e-2)
/** Smaller chances are written as this: past it the number says nothing more. */
const CHANCE_MIN = 1e-300

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  lead: Excess,
  excesses: readonly Excess[],
): Finding {
  const slot = hourOfWeek(bucketStart(nowMs, HOUR_MS), profile.timeZone)
  const zone = profile.timeZone === 'UTC' ? '' : ` ${profile.timeZone}`
  return {
    detector: 'volume_spike',
    keyId: usage.key.keyId,
    scope: '',
    severity: severityOf(chosen, 'warning'),
    score: lead.score,
    summary:
      `${usage.key.keyId} ${deed(lead)} in ${durationInWords(lead.windowMs)}; ` +
      `${range(lead)} usual on ${hourInWords(slot)}${zone}`,
    evidence: {
      ...measured(lead),
      window: windowOf(lead.windowMs, nowMs),
      history: historyOf(profile, nowMs),
      setting: `detectors.volume_spike.sensitivity: ${chosen.sensitivity}`,
      fired: excesses.map((excess) => ({ ...measured(excess), window: formatDuration(excess.windowMs) })),
      ...breakdownOf(rollupsWithin(usage, lead.windowMs, nowMs)),
    },
  }
}

function measured(excess: Excess) {
  const shown = (amount: number): number =>
    excess.metric === 'cost' ? Number((amount / NANO_USD_PER_USD).toPrecision(4)) : Math.round(amount)
  return {
    metric: excess.metric === 'cost' ? 'cost_usd' : excess.metric,
    observed: shown(excess.observed),
    expected: { low: shown(excess.low), high: shown(excess.high) },
    times_usual: excess.usual > 0 ? Number((excess.observed / excess.usual).toPrecision(3)) : null,
    chance: Number(Math.max(CHANCE_MIN, Math.exp(excess.logChance)).toPrecision(2)),
  }
}

function deed({ metric, observed }: Excess): string {
  switch (metric) {
    case 'requests':
      return `made ${counted(observed, 'request')}`
    case 'tokens':
      return `used ${counted(observed, 'token')}`
    case 'cost':
      return `spent ${dollars(observed)}`
    default:
      return metric satisfies never
  }
}

/** `4 to 18 are`, `up to $0.50 is`, `none is`. */
function range({ metric, low, high }: Excess): string {
  const text = metric === 'cost' ? dollars : grouped
  const verb = metric === 'cost' ? 'is' : 'are'
  if (text(high) === text(0)) return `none ${verb}`
  return text(low) === text(0) ? `up to ${text(high)} ${verb}` : `${text(low)} to ${text(high)} ${verb}`
}

function windowOf(windowMs: number, nowMs: number): { readonly start: string; readonly end: string } {
  return {
    start: new Date(bucketStart(nowMs) + MINUTE_MS - windowMs).toISOString(),
    end: new Date(nowMs).toISOString(),
  }
}
