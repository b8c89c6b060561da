import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import {
  ALERT_STATUSES,
  alertToJson,
  VERDICTS,
  type Alert,
  type AlertStatus,
  type Verdict,
} from '../alert/alert.ts'
import { shellWord } from '../alert/message-response.ts'
import { plainText } from '../alert/plain-text.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import type { VerdictOutcome } from '../store/operator-store.ts'
import { durationOption } from './duration-option.ts'
import { instantOption } from './instant-option.ts'
import { cliActor, withSession } from './with-session.ts'

const LIMIT_MAX = 200
const SUMMARY_CHARACTERS = 160

/** `keyhound alerts list|show|ack|resolve|feedback`. */
export function alertsCommand(): Command {
  return new Command('alerts')
    .description('list, show, acknowledge, judge and resolve alerts')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(ackCommand())
    .addCommand(resolveCommand())
    .addCommand(feedbackCommand())
}

function listCommand(): Command {
  return new Command('list')
    .description('newest first')
    .option('--status <statuses>', `comma-separated part of ${ALERT_STATUSES.join(', ')}`, parseStatuses)
    .option('--key <key_id>', 'only of this key')
    .option('--detector <name>', 'only of this detector')
    .option('--limit <n>', `at most so many, up to ${LIMIT_MAX}`, parseLimit, 50)
    .addOption(
      new Option('--format <format>', 'how to print them')
        .choices(['table', 'json', 'ndjson'])
        .default('table'),
    )
    .action(async (options: ListOptions) => {
      await withSession(async ({ operators }) => {
        const { alerts } = await operators.listAlerts({
          status: options.status,
          keyId: options.key,
          detector: options.detector,
          limit: options.limit,
        })
        process.stdout.write(printed(alerts, options.format))
        if (alerts.length === 0) console.error('no alerts')
      })
    })
}

interface ListOptions {
  readonly status?: AlertStatus[]
  readonly key?: string
  readonly detector?: string
  readonly limit: number
  readonly format: 'table' | 'json' | 'ndjson'
}

function showCommand(): Command {
  return new Command('show')
    .description('one alert with everything that happened to it')
    .argument('<id>', 'the alert')
    .action(async (id: string) => {
      await withSession(async ({ operators }) => {
        const { alert, history } = found(await operators.alert(id), id)
        const lines = history.map(({ at, change, actor, note }) =>
          plainText(
            `${at.toISOString()}  ${change.padEnd(12)} ${actor}${note === undefined ? '' : `: ${note}`}`,
            500,
          ),
        )
        process.stdout.write(printed([alert], 'table') + lines.map((line) => `  ${line}\n`).join(''))
      })
    })
}

interface AckOptions {
  readonly note?: string
  readonly until?: number
  readonly for?: number
  readonly incident?: boolean
}

function ackCommand(): Command {
  return new Command('ack')
    .description('tell that somebody looks after it: no more repeats and no escalation')
    .argument('<id>', 'the alert')
    .option('--note <text>', 'why; kept in the history')
    .addOption(
      new Option('--for <duration>', 'it fires again if it is still open after, such as 4h')
        .argParser(durationOption)
        .conflicts('until'),
    )
    .option('--until <time>', 'it fires again if it is still open then', instantOption)
    .option('--incident', 'the other alerts of its message too')
    .action(async (id: string, options: AckOptions) => {
      await withSession(async ({ operators }) => {
        const nowMs = systemClock.nowMs()
        const untilMs = options.for === undefined ? options.until : nowMs + options.for
        if (untilMs !== undefined && untilMs <= nowMs) throw new Error('--until: must be later than now')
        const alert = await operators.acknowledge(id, {
          actor: cliActor(),
          note: options.note,
          nowMs,
          until: untilMs === undefined ? undefined : new Date(untilMs),
          wholeIncident: options.incident,
        })
        process.stdout.write(printed([found(alert, id)], 'table'))
      })
    })
}

function resolveCommand(): Command {
  return new Command('resolve')
    .description('end it; the next finding opens a new one')
    .argument('<id>', 'the alert')
    .option('--note <text>', 'why; kept in the history')
    .action(async (id: string, { note }: { readonly note?: string }) => {
      await withSession(async ({ operators }) => {
        const nowMs = systemClock.nowMs()
        const alert = await operators.resolve(id, { actor: cliActor(), note, nowMs })
        process.stdout.write(printed([found(alert, id)], 'table'))
      })
    })
}

interface FeedbackOptions {
  readonly comment?: string
  readonly safeFor?: number
  readonly config?: string
}

function feedbackCommand(): Command {
  return new Command('feedback')
    .description(
      'say what it was: compromised (or abuse) freezes what is usual for the key, expected closes it this once, safe closes it and makes the same no news',
    )
    .argument('<id>', 'the alert')
    .addArgument(new Argument('<verdict>', 'what it was').choices([...VERDICTS, 'abuse']))
    .option('--comment <text>', 'why; kept in the history')
    .option(
      '--safe-for <duration>',
      'how long safe lasts, such as 30d (default: notify.safe_for)',
      durationOption,
    )
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .action(async (id: string, name: Verdict | 'abuse', options: FeedbackOptions) => {
      const { notify } = await loadConfig(options.config, process.env)
      await withSession(async ({ operators }) => {
        const outcome = await operators.giveVerdict(id, {
          verdict: name === 'abuse' ? 'compromised' : name,
          comment: options.comment,
          actor: cliActor(),
          nowMs: systemClock.nowMs(),
          safeForMs: options.safeFor ?? notify.safeForMs,
        })
        process.stdout.write(judged(found(outcome, id)))
      })
    })
}

/** The alert as it is now, what the verdict taught, and for a key that is compromised the command that ends it. */
function judged({ alert, taught, taughtUntil, frozen }: VerdictOutcome): string {
  const taughtLine =
    taughtUntil === undefined
      ? []
      : [
          `safe until ${taughtUntil.toISOString()}: ${taught.map(({ kind, value }) => `${kind} ${plainText(value, 100)}`).join(', ')}`,
        ]
  const frozenLines = frozen
    ? [
        `${plainText(alert.keyId, 256)} learns nothing more. To revoke it: keyhound keys revoke ${shellWord(alert.keyId)}`,
      ]
    : []
  return printed([alert], 'table') + [...taughtLine, ...frozenLines].map((line) => `${line}\n`).join('')
}

function found<Result>(result: Result | undefined, id: string): Result {
  if (result === undefined)
    throw new Error(`no alert ${plainText(id, 60)}; "keyhound alerts list" shows their ids`)
  return result
}

function printed(alerts: readonly Alert[], format: ListOptions['format']): string {
  const json = alerts.map((alert) => alertToJson(alert))
  if (format === 'json') return `${JSON.stringify(json, undefined, 2)}\n`
  if (format === 'ndjson') return json.map((alert) => `${JSON.stringify(alert)}\n`).join('')
  return alerts.map(row).join('')
}

/** One line: what a tired person needs to see, text of attackers made harmless. */
function row(alert: Alert): string {
  const opened = alert.openedAt.toISOString().slice(0, 16).replace('T', ' ')
  const state = `${alert.severity.toUpperCase()} ${alert.status}`.padEnd(22)
  return `${alert.id}  ${opened}Z  ${state}${alert.detector.padEnd(17)}${plainText(alert.summary, SUMMARY_CHARACTERS)}\n`
}

function parseStatuses(text: string): AlertStatus[] {
  return text.split(',').map((name) => {
    const status = ALERT_STATUSES.find((known) => known === name.trim())
    if (status === undefined) {
      throw new InvalidArgumentError(`no status "${name}"; allowed: ${ALERT_STATUSES.join(', ')}`)
    }
    return status
  })
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    throw new InvalidArgumentError(`expected a whole number from 1 to ${LIMIT_MAX}`)
  }
  return limit
}
