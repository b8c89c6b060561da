import { Command, Option } from 'commander'
import type { z } from 'zod'
import { plainText } from '../alert/plain-text.ts'
import { silenceRequest } from '../alert/silence-request.ts'
import { silenceToJson, type Silence } from '../alert/silence.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import type { ListedSilence, SilenceStore } from '../store/silence-store.ts'
import { durationOption } from './duration-option.ts'
import { instantOption } from './instant-option.ts'
import { cliActor, withSession } from './with-session.ts'

const COMMENT_CHARACTERS = 80

/** `keyhound silence add|list|expire`. */
export function silenceCommand(): Command {
  return new Command('silence')
    .description('keep people from being told of some alerts for a while; keys are revoked all the same')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(expireCommand())
}

interface AddOptions {
  readonly key?: string[]
  readonly team?: string[]
  readonly environment?: string[]
  readonly detector?: string[]
  readonly severity?: string[]
  readonly alert?: string
  readonly from?: number
  readonly until?: number
  readonly for?: number
  readonly by?: string
  readonly comment: string
  readonly config?: string
  readonly format: 'table' | 'json'
}

function addCommand(): Command {
  return new Command('add')
    .description('silence alerts that match everything named; patterns take * as a wildcard')
    .option('--key <pattern...>', 'keys')
    .option('--team <pattern...>', 'teams')
    .option('--environment <pattern...>', 'environments')
    .option('--detector <pattern...>', 'detectors')
    .option('--severity <pattern...>', 'severities')
    .option('--alert <id>', 'this alert alone, until it is resolved')
    .option('--from <time>', 'when it begins (default: now)', instantOption)
    .addOption(
      new Option('--for <duration>', 'how long, such as 4h').argParser(durationOption).conflicts('until'),
    )
    .option('--until <time>', 'when it ends', instantOption)
    .option('--by <name>', 'whose wish it is (default: your account)')
    .requiredOption('--comment <text>', 'why')
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .addOption(formatOption())
    .action(async (options: AddOptions) => {
      const { notify } = await loadConfig(options.config, process.env)
      const nowMs = systemClock.nowMs()
      const parsed = silenceRequest({ nowMs, maxMs: notify.silenceMaxMs }).safeParse(bodyOf(options, nowMs))
      if (!parsed.success) throw new Error(faultsOf(parsed.error))
      await withSession(async ({ silences }) => {
        const created = await silences.create({ ...parsed.data, actor: cliActor(), nowMs })
        process.stdout.write(printed([created], options.format))
        if (!created.use.matchesSomething) console.error('no key that is known matches it: is it misspelt?')
      })
    })
}

/** The options as the body of `POST /silences`: one check for both. */
function bodyOf(options: AddOptions, nowMs: number): object {
  const { key, team, environment, detector, severity } = options
  const fields = { key_id: key, team_id: team, environment, detector, severity }
  const named = Object.fromEntries(Object.entries(fields).filter(([, patterns]) => patterns !== undefined))
  const startsMs = options.from ?? nowMs
  const endsMs = options.for === undefined ? options.until : startsMs + options.for
  return {
    matchers: named,
    alert_id: options.alert,
    starts_at: new Date(startsMs).toISOString(),
    ends_at: endsMs === undefined ? undefined : new Date(endsMs).toISOString(),
    created_by: options.by ?? cliActor(),
    comment: options.comment,
  }
}

/** The fields of the request under the names of the options. */
const OPTION_OF: Readonly<Record<string, string>> = {
  matchers: '--key, --team, --environment, --detector, --severity',
  alert_id: '--alert',
  ends_at: '--for, --until',
  starts_at: '--from',
  created_by: '--by',
  comment: '--comment',
}

function faultsOf(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => `${OPTION_OF[String(path[0])] ?? path.join('.')}: ${message}`)
    .join('; ')
}

function listCommand(): Command {
  return new Command('list')
    .description('those in force or to come, then those that ended in the last week')
    .addOption(formatOption())
    .action(async ({ format }: { readonly format: 'table' | 'json' }) => {
      await withSession(async ({ silences }) => {
        const listed = await silences.list({ nowMs: systemClock.nowMs() })
        process.stdout.write(printed(listed, format))
        if (listed.length === 0) console.error('no silences')
      })
    })
}

function expireCommand(): Command {
  return new Command('expire')
    .description('end a silence now; what it kept quiet and is still open is told')
    .argument('<id>', 'the silence')
    .action(async (id: string) => {
      await withSession(async ({ silences }) => {
        const ended = await expireOrExplain(silences, id)
        process.stdout.write(printed([ended], 'table'))
      })
    })
}

async function expireOrExplain(silences: SilenceStore, id: string): Promise<ListedSilence> {
  const ended = await silences.expire(id, { actor: cliActor(), nowMs: systemClock.nowMs() })
  if (ended === undefined)
    throw new Error(`no silence ${plainText(id, 60)}; "keyhound silence list" shows their ids`)
  return ended
}

function formatOption(): Option {
  return new Option('--format <format>', 'how to print them').choices(['table', 'json']).default('table')
}

function printed(listed: readonly ListedSilence[], format: 'table' | 'json'): string {
  if (format === 'json') {
    const json = listed.map(({ silence, use }) => silenceToJson(silence, use))
    return `${JSON.stringify(json, undefined, 2)}\n`
  }
  return listed.map(row).join('')
}

/** One line: what it keeps quiet, until when, whose it is, and whether it does anything at all. */
function row({ silence, use }: ListedSilence): string {
  const end = (silence.expiredAt ?? silence.endsAt).toISOString().slice(0, 16).replace('T', ' ')
  const does = use.matchesSomething
    ? `silences ${use.silencing} now, ${use.silenced} in all`
    : 'MATCHES NOTHING that is known'
  const who = plainText(`${silence.createdBy}: ${silence.comment}`, COMMENT_CHARACTERS)
  return `${silence.id}  ${use.state.padEnd(8)} until ${end}Z  ${matched(silence)}  ${does}  ${who}\n`
}

function matched({ matchers, alertId }: Silence): string {
  if (alertId !== undefined) return `alert ${alertId}`
  const parts = Object.entries(matchers) as [string, readonly string[]][]
  return plainText(parts.map(([field, patterns]) => `${field}=${patterns.join('|')}`).join(' '), 200)
}
