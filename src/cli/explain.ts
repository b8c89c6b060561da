import { Command, Option } from 'commander'
import type { Alert } from '../alert/alert.ts'
import { plainText } from '../alert/plain-text.ts'
import type { BacktestAlert, KeyExplanation } from '../backtest/backtest.ts'
import { fileEvents, HASH_KEY, storedEvents } from '../backtest/event-source.ts'
import { explainKey } from '../backtest/explain-key.ts'
import { systemClock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { tickSettings } from '../config/tick-settings.ts'
import type { Session } from '../daemon/session.ts'
import { explain, type Explanation } from '../detect/explain.ts'
import { priorFor } from '../detect/prior.ts'
import { emptyProfile, historyOf } from '../detect/profile.ts'
import { calibrationToJson } from '../detect/readiness.ts'
import { DETECTORS } from '../detect/registry.ts'
import type { Check } from '../detect/trace.ts'
import { priorsAt } from '../engine/priors.ts'
import { createEnricher } from '../enrich/enrich-event.ts'
import { geoLitePlaces } from '../enrich/place.ts'
import { bundledPriceList } from '../enrich/price.ts'
import { createEventReader } from '../store/postgres/event-reader.ts'
import { readHabits } from '../store/postgres/key-habits.ts'
import { keyHashSecret } from '../store/postgres/key-hash-secret.ts'
import { recentUsageOf } from '../store/postgres/recent-usage.ts'
import type { UsageEvent } from '../usage/event.ts'
import { hashSecretsIn } from '../usage/secret-key-id.ts'
import { TIMESTAMP_MIN_MS } from '../usage/timestamp.ts'
import { instantOption } from './instant-option.ts'
import { withSession } from './with-session.ts'

interface Options {
  readonly at?: number
  readonly events?: string
  readonly config?: string
  readonly format: 'text' | 'json'
  readonly checks?: boolean
}

/** A key, what is said of it, and what that rests on. */
interface Told extends KeyExplanation {
  readonly atMs: number
  /** `the stored profile`, `3,120 events of events.ndjson up to then`. */
  readonly basis: string
  readonly alerts: readonly AlertLine[]
}
type AlertLine = Pick<BacktestAlert, 'at' | 'detector' | 'severity' | 'summary'>

const TEXT_CHARACTERS = 400
const ALERTS_SHOWN = 10

/**
 * `keyhound explain KEY_ID`: why each detector fired or not. Now, by what the database knows of the key; at `--at`, by its
 * stored events up to then; with `--events`, by those of a file.
 */
export function explainCommand(): Command {
  return new Command('explain')
    .description('why each detector fired for a key, or why it did not')
    .argument('<key_id>')
    .option('--at <time>', 'at this time, from the events up to it (default: now)', instantOption)
    .option('--events <file>', 'an NDJSON file of events instead of the database, - for standard input')
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .option('--checks', 'show every comparison, also of detectors that found nothing')
    .addOption(new Option('--format <format>', 'how to print it').choices(['text', 'json']).default('text'))
    .action(async (keyId: string, options: Options) => {
      const config = await loadConfig(options.config, process.env)
      const told =
        options.events === undefined
          ? await withSession((session) => fromDatabase(session, { keyId, config, atMs: options.at }))
          : await fromEvents(fileEvents(options.events, FILE_EVENTS), {
              keyId: hashSecretsIn(keyId, HASH_KEY),
              config,
              atMs: options.at,
              source: options.events === '-' ? 'standard input' : options.events,
            })
      if (told === undefined)
        throw new Error(
          `no usage of a key "${plainText(hashSecretsIn(keyId, HASH_KEY), TEXT_CHARACTERS)}" is known`,
        )
      process.stdout.write(options.format === 'json' ? asJson(told) : asText(told, options.checks === true))
    })
}

const FILE_EVENTS = {
  onRejected: ({ line, error }: { readonly line: number; readonly error: string }) =>
    console.error(`line ${line}: ${error}`),
  onProgress: () => undefined,
}

interface Question {
  readonly keyId: string
  readonly config: Config
  readonly atMs: number | undefined
}

async function fromEvents(
  events: AsyncIterable<readonly UsageEvent[]>,
  { source, ...question }: Question & { readonly source: string },
): Promise<Told | undefined> {
  const explained = await explainKey({
    ...question,
    events,
    enrich: createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() }),
    onDetectorError: ({ detector, error }) => console.error(`${detector} failed: ${String(error)}`),
  })
  if (explained === undefined) return undefined
  return {
    ...explained,
    basis: `${explained.events.toLocaleString('en-US')} events of ${source} up to then, without what other keys do`,
  }
}

/** The past is judged again from the raw events, as far back as they are kept; the present by what the daemon knows. */
async function fromDatabase({ database, operators }: Session, asked: Question): Promise<Told | undefined> {
  const keyId = hashSecretsIn(asked.keyId, await keyHashSecret(database))
  if (asked.atMs !== undefined) {
    const range = { fromMs: TIMESTAMP_MIN_MS, toMs: asked.atMs + 1, keyId }
    return fromEvents(storedEvents(createEventReader(database), range), {
      ...asked,
      keyId,
      source: 'the database',
    })
  }
  const detail = await operators.key(keyId)
  if (detail === undefined) return undefined
  const nowMs = systemClock.nowMs()
  const usage = await recentUsageOf(database, detail.key, nowMs)
  const { settingsFor, timeZoneFor } = tickSettings(asked.config, () => nowMs)
  const profile =
    detail.profile ??
    emptyProfile({ keyId, firstSeenMs: detail.firstSeenAt.getTime(), timeZone: timeZoneFor(usage.key) })
  const priors = await priorsAt({ habits: (range) => readHabits(database, range) }, nowMs)
  const prior = priorFor(priors, { ...usage.key, firstSeenMs: profile.firstSeenMs })
  const { alerts } = await operators.listAlerts({ keyId, limit: ALERTS_SHOWN })
  return {
    usage,
    profile,
    atMs: nowMs,
    explanations: explain(
      { usage, profile, prior, sites: priors.sites, nowMs },
      DETECTORS,
      settingsFor(usage.key),
    ),
    basis: 'its stored profile and recent usage',
    alerts: alerts.map(alertLine).toReversed(),
  }
}

function alertLine({ openedAt, detector, severity, summary }: Alert): AlertLine {
  return { at: openedAt.toISOString(), detector, severity, summary }
}

function asJson({ usage, profile, atMs, explanations, basis, alerts }: Told): string {
  const shown = {
    key_id: usage.key.keyId,
    team_id: usage.key.teamId ?? null,
    environment: usage.key.environment ?? null,
    at: new Date(atMs).toISOString(),
    basis,
    history: historyOf(profile, atMs),
    detectors: explanations.map(({ calibration, ...explanation }) => ({
      ...explanation,
      calibration: calibration === undefined ? null : calibrationToJson(calibration),
    })),
    alerts: alerts.map(({ at, detector, severity, summary }) => ({ detector, at, severity, summary })),
  }
  return `${JSON.stringify(shown, undefined, 2)}\n`
}

function asText({ usage, profile, atMs, explanations, basis, alerts }: Told, showsChecks: boolean): string {
  const { days, events } = historyOf(profile, atMs)
  const recent = usage.rollups.reduce((sum, { requests }) => sum + requests, 0)
  const width = Math.max(...explanations.map(({ detector }) => detector.length))
  const lines = [
    `${usage.key.keyId} at ${new Date(atMs).toISOString()}, by ${basis}`,
    `known for ${days} days, ${events.toLocaleString('en-US')} requests learnt, ${recent.toLocaleString('en-US')} in the last 2 hours`,
    '',
    ...explanations.flatMap((explanation) => [
      `${explanation.detector.padEnd(width)}  ${VERDICTS[explanation.verdict].padEnd(VERDICT_WIDTH)}  ${explanation.because}`,
      ...(showsChecks ? detailsOf(explanation).map((line) => `${' '.repeat(width)}  ${line}`) : []),
    ]),
    ...(alerts.length === 0
      ? []
      : [
          '',
          'alerts',
          ...alerts.map(({ at, severity, summary }) => `${at}  ${severity.padEnd(8)}  ${summary}`),
        ]),
  ]
  return lines.map((line) => `${indented(line)}\n`).join('')
}

const VERDICTS: Readonly<Record<Explanation['verdict'], string>> = {
  fired: 'FIRED',
  off: 'off',
  learning: 'learning',
  not_applicable: 'nothing to judge',
  below_floor: 'too little',
  usual: 'usual',
  failed: 'FAILED',
}
const VERDICT_WIDTH = Math.max(...Object.values(VERDICTS).map((text) => text.length))

/** The comparisons, and from which score on a finding is a warning. */
function detailsOf({ checks, calibration }: Explanation): string[] {
  const lines = checks.map(checkLine)
  if (calibration === undefined) return lines
  const { threshold, falseAlertsPer100KeyDays, scale } = calibration
  const past = scale === undefined ? '' : `; its past strays ${scale} times as far as the model says`
  const budget = `${Number(falseAlertsPer100KeyDays.toPrecision(3))} false alerts per 100 key-days`
  return [...lines, `a warning from score ${threshold} on, for ${budget}${past}`]
}

function checkLine({ what, holds, observed, needed, setting }: Check): string {
  const shown = typeof observed === 'object' ? JSON.stringify(observed) : String(observed)
  return `${holds ? 'yes' : 'no '}  ${what}: ${shown}; needed: ${needed}${setting === undefined ? '' : ` (${setting})`}`
}

/** plainText, which a line of a table needs too, takes the indentation off. */
function indented(line: string): string {
  const indent = /^ */.exec(line)?.[0] ?? ''
  return indent + keepColumns(line.slice(indent.length))
}

/** Columns are set off by two spaces and more, which plainText would fold into one. */
function keepColumns(line: string): string {
  return line
    .split(/( {2,})/)
    .map((part) => (/^ {2,}$/.test(part) ? part : plainText(part, TEXT_CHARACTERS)))
    .join('')
}
