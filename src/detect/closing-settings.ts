import type { DetectorSettings } from './detector.ts'
import type { DetectorName } from './finding.ts'

/** The thresholds of each detector that a measured value is held against. What is merely new has none: it is over when it is over. */
const THRESHOLDS: Partial<Record<string, readonly string[]>> = {
  volume_spike: ['min_requests'],
  error_rate: ['min_refused', 'min_share'],
  distinct_addresses: ['min_addresses', 'times_usual'],
  unpriced_traffic: ['min_requests', 'min_share'],
}
const MORE_SENSITIVE: Readonly<Record<string, string>> = { low: 'medium', medium: 'high', high: 'high' }

/**
 * The settings that an open alert is held to: it ends when the key is below this share of what opened it, so that a value
 * at the threshold opens one alert and not one after the other. Undefined for a detector that measures no value, or
 * carries its own end in its evidence (`spend_threshold`).
 */
export function closingSettings(
  detector: DetectorName,
  settings: DetectorSettings,
  closeAt: number,
): DetectorSettings | undefined {
  const thresholds = THRESHOLDS[detector]
  if (thresholds === undefined) return undefined
  const relaxed: Record<string, unknown> = { ...settings }
  for (const name of thresholds) {
    const value = relaxed[name]
    if (typeof value === 'number') relaxed[name] = value * closeAt
  }
  const { sensitivity } = relaxed
  if (typeof sensitivity === 'string' && closeAt < 1) relaxed['sensitivity'] = MORE_SENSITIVE[sensitivity]
  // Only settings that the schema checked were scaled, and every detector compares them as numbers.
  return relaxed as unknown as DetectorSettings
}
