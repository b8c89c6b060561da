import { createReadStream } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { backtestToFile, readAlerts, runKit, type Kit, type KitScore, type Level } from './kit.ts'

/** One large fleet, judged in one process as the daemon would: what teams and the fleet do in common is known of all its keys. */
export interface LargeFleet {
  readonly keys: number
  readonly seed: number
  readonly events: number
  readonly minutes: number
  readonly score: KitScore
}

/**
 * Generates a fleet of `keys` keys over 28 days with the kit's own rate of attacks, and backtests it on the default
 * configuration. 2,000 keys are some 12 million events and 3 GB on disk, removed at the end; about 3 GB of memory.
 */
export async function measureLargeFleet(
  kit: Kit,
  { keys, seed, directory }: { readonly keys: number; readonly seed: number; readonly directory: string },
): Promise<LargeFleet> {
  const started = performance.now()
  const out = join(directory, 'large-fleet')
  const events = join(out, 'events.ndjson')
  const alerts = join(out, 'alerts.ndjson')
  try {
    await runKit(kit, 'generate.mjs', ['--seed', String(seed), '--keys', String(keys), '--out', out])
    await backtestToFile(events, alerts)
    const labels = JSON.parse(await readFile(join(out, 'labels.json'), 'utf8')) as unknown
    return {
      keys,
      seed,
      events: await countLines(events),
      minutes: (performance.now() - started) / 60_000,
      score: kit.score([{ labels, alerts: await readAlerts(alerts) }]),
    }
  } finally {
    await rm(out, { recursive: true, force: true })
  }
}

/** Lines of a file of any size. */
export async function countLines(file: string): Promise<number> {
  let lines = 0
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>)
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1
  return lines
}

/** Share of the alerts of a severity and worse that are false; undefined when there are none. */
export function falseShare({ levels }: KitScore, level: Level): number | undefined {
  const { precision_alerts: precision } = levels[level]
  return precision === null ? undefined : 1 - precision
}

/**
 * The same share, had there been an attack on one key in `keysPerAttack`: as many alerts on an attack, and the same false ones,
 * which have nothing to do with attacks.
 */
export function falseShareAt(
  { keys, score }: Pick<LargeFleet, 'keys' | 'score'>,
  level: Level,
  keysPerAttack: number,
): number | undefined {
  const { attacks, false_alerts: wrong } = score.levels[level]
  const right = (alertsOnAttacks(score, level) / Math.max(1, attacks)) * (keys / keysPerAttack)
  return right + wrong === 0 ? undefined : wrong / (right + wrong)
}

/** Alerts of a severity and worse on keys under attack, counted as the scorer does: repeats within 6 hours once. */
export function alertsOnAttacks({ levels }: KitScore, level: Level): number {
  return Object.values(levels[level].detectors).reduce(
    (sum, { alerts, false_alerts: wrong }) => sum + alerts - wrong,
    0,
  )
}
