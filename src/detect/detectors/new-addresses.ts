import type { Detection, DetectorSettings } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf } from '../profile.ts'
import { counted, durationInWords, grouped, listed } from '../sentence.ts'
import { sourceExcess, type SourceExcess } from '../source-excess.ts'

export interface NewAddressesSettings extends DetectorSettings {
  readonly sensitivity: 'low' | 'medium' | 'high'
  readonly min_requests: number
  readonly min_history: number
}

/** How much likelier it must be that new addresses add to the key's own work than that they take it over. */
const LOG_RATIO = { low: 5, medium: 3, high: 1.5 } as const
const ADDRESSES_SHOWN = 5

/** The finding of volume_spike about what totals hide: new addresses with work of their own, while the key's own go on. */
export function sourceFindings({
  usage,
  profile,
  settings,
  nowMs,
}: Detection<NewAddressesSettings>): Finding[] {
  const excess = sourceExcess(profile, {
    logRatio: LOG_RATIO[settings.sensitivity],
    minRequests: settings.min_requests,
    knownFromMs: profile.firstSeenMs + settings.min_history,
  })
  if (excess === undefined || !isInUse(usage, excess)) return []
  const { keyId } = usage.key
  const shown = excess.addresses.slice(0, ADDRESSES_SHOWN)
  return [
    {
      detector: 'volume_spike',
      keyId,
      scope: 'new_addresses',
      // Measured: as a warning it raises as many false alerts as all else together. It weighs with other evidence.
      severity: 'info',
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
        log_likelihood_ratio: Number(excess.logRatio.toPrecision(3)),
        addresses: shown,
      },
    },
  ]
}

/** True while the addresses are at work: an excess fades slowly, and must not be told for a day after it ended. */
function isInUse(usage: Detection<NewAddressesSettings>['usage'], { addresses }: SourceExcess): boolean {
  return usage.sources.some(
    ({ address, requests, refused }) => requests > refused && addresses.includes(address),
  )
}
