import { Command, Option } from 'commander'
import { elapsed, minute } from '../alert/message-values.ts'
import { plainText } from '../alert/plain-text.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import { channelReports, type ChannelReport } from '../store/channel-report.ts'
import { withSession } from './with-session.ts'

const ERROR_CHARACTERS = 120

/** `keyhound channels list`. */
export function channelsCommand(): Command {
  return new Command('channels')
    .description('the channels that messages go to, and whether they work')
    .addCommand(
      new Command('list')
        .description('every channel of the configuration: does it work, since when not and why, what waits')
        .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
        .addOption(
          new Option('--format <format>', 'how to print them').choices(['table', 'json']).default('table'),
        )
        .action(async (options: { config?: string; format: 'table' | 'json' }) => {
          const config = await loadConfig(options.config, process.env)
          const channels = [...config.channels].map(([name, { type }]) => ({ name, type }))
          await withSession(async ({ channelStates }) => {
            const [states, waiting] = await Promise.all([channelStates.list(), channelStates.waiting()])
            const nowMs = systemClock.nowMs()
            const reports = channelReports(channels, { states, waiting, nowMs })
            process.stdout.write(
              options.format === 'json'
                ? `${JSON.stringify({ channels: reports }, undefined, 2)}\n`
                : channelTable(reports, nowMs),
            )
          })
        }),
    )
}

/** One line for each channel; of one that fails, since when and why in a second line. */
export function channelTable(reports: readonly ChannelReport[], nowMs: number): string {
  if (reports.length === 0) return 'no channel is defined\n'
  const wide = (part: (report: ChannelReport) => string): number =>
    Math.max(...reports.map((report) => part(report).length))
  const nameWidth = wide(({ name }) => name)
  const typeWidth = wide(({ type }) => type)
  return reports
    .flatMap((report) => {
      const { name, type, state, waiting, last_delivered_at: delivered } = report
      const last = delivered === null ? 'nothing delivered yet' : `last delivered ${ago(delivered, nowMs)}`
      const line = `${name.padEnd(nameWidth)}  ${type.padEnd(typeWidth)}  ${state.padEnd(7)}  ${waiting} waiting, ${last}`
      return [line, ...troubleOf(report, nameWidth)]
    })
    .map((line) => `${line}\n`)
    .join('')
}

function troubleOf(
  { since, last_error: error, told_on: told, next_probe_at: probe }: ChannelReport,
  indent: number,
): string[] {
  if (since === null) return []
  const parts = [
    `since ${minute(new Date(since))}: ${plainText(error ?? 'unknown', ERROR_CHARACTERS)}`,
    ...(told === null ? [] : [`told on ${told}`]),
    ...(probe === null ? [] : [`next probe ${minute(new Date(probe))}`]),
  ]
  return [`${' '.repeat(indent)}  ${parts.join('; ')}`]
}

function ago(iso: string, nowMs: number): string {
  const span = elapsed(nowMs - Date.parse(iso))
  return span === undefined ? 'just now' : `${span} ago`
}
