import { Command, InvalidArgumentError, Option } from 'commander'
import { ALERT_STATUSES, alertToJson, type Alert, type AlertStatus } from '../alert/alert.ts'
import { plainText } from '../alert/plain-text.ts'
import { systemClock } from '../clock.ts'
import type { OperatorStore } from '../store/operator-store.ts'
import { cliActor, withSession } from './with-session.ts'

const LIMIT_MAX = 200
const SUMMARY_CHARACTERS = 160

/** `keyhound alerts list|ack|resolve`. */
export function alertsCommand(): Command {
  return new Command('alerts')
    .description('list, acknowledge and resolve alerts')
    .addCommand(listCommand())
    .addCommand(
      actCommand('ack', 'tell that somebody looks after it: no more repeats', (operators, id, act) =>
        operators.acknowledge(id, act),
      ),
    )
    .addCommand(
      actCommand('resolve', 'end it; the next finding opens a new one', (operators, id, act) =>
        operators.resolve(id, act),
      ),
    )
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

function actCommand(name: string, description: string, act: Act): Command {
  return new Command(name)
    .description(description)
    .argument('<id>', 'the alert')
    .option('--note <text>', 'why; kept in the history')
    .action(async (id: string, options: { note?: string }) => {
      await withSession(async ({ operators }) => {
        const nowMs = systemClock.nowMs()
        const alert = await act(operators, id, { actor: cliActor(), note: options.note, nowMs })
        if (alert === undefined) throw new Error(`no alert ${id}; "keyhound alerts list" shows their ids`)
        process.stdout.write(printed([alert], 'table'))
      })
    })
}

type Act = (
  operators: OperatorStore,
  id: string,
  act: Parameters<OperatorStore['acknowledge']>[1],
) => Promise<Alert | undefined>

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
