import { Command, Option } from 'commander'
import { containmentText } from '../alert/containment.ts'
import { plainText } from '../alert/plain-text.ts'
import { systemClock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { profileSummary, teachingSummary } from '../http/profile-summary.ts'
import { protectedBy } from '../respond/policy.ts'
import type { KeyDetail } from '../store/operator-store.ts'
import { revocationToJson } from '../store/revocation-json.ts'
import type { Revocation } from '../store/revocation-store.ts'
import { carryOut } from './carry-out.ts'
import { durationOption } from './duration-option.ts'
import { cliActor, withSession } from './with-session.ts'

const TEXT_CHARACTERS = 256
const LABEL_WIDTH = 15

/** `keyhound keys show|revoke|restore KEY_ID`. */
export function keysCommand(): Command {
  return new Command('keys')
    .description('show what is usual for a key; revoke and restore it')
    .addCommand(showCommand())
    .addCommand(turnCommand('revoke', 'revoke the key at the gateway that revoke.action names'))
    .addCommand(turnCommand('restore', 'make a revoked key work again'))
}

function showCommand(): Command {
  return new Command('show')
    .description('what is usual for the key, and what was done to it')
    .argument('<key_id>')
    .addOption(new Option('--format <format>', 'how to print it').choices(['text', 'json']).default('text'))
    .action(async (keyId: string, { format }: { format: 'text' | 'json' }) => {
      await withSession(async ({ operators, revocations }) => {
        const detail = await operators.key(keyId)
        if (detail === undefined)
          throw new Error(`no usage of a key "${plainText(keyId, TEXT_CHARACTERS)}" is known`)
        const past = await revocations.forKey(keyId, 10)
        process.stdout.write(format === 'json' ? asJson(detail, past) : asText(detail, past))
      })
    })
}

function turnCommand(turn: 'revoke' | 'restore', description: string): Command {
  const command = new Command(turn)
    .description(description)
    .argument('<key_id>')
    .option('--reason <text>', 'why; kept in the audit', 'not given')
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .action(async (keyId: string, options: { reason: string; config?: string; restoreAfter?: number }) => {
      const config = await loadConfig(options.config, process.env)
      refuseImpossible(turn, keyId, config)
      await withSession(async (session) => {
        const { reason, restoreAfter } = options
        const nowMs = systemClock.nowMs()
        const restoreAt = restoreAfter === undefined ? undefined : new Date(nowMs + restoreAfter)
        const wish = { keyId, reason, actor: cliActor(), nowMs, restoreAt }
        const asked =
          turn === 'revoke'
            ? await session.revocations.requestRevoke(wish)
            : await session.revocations.requestRestore(wish)
        const ended = await carryOut(session, config, asked)
        process.stdout.write(`${plainText(keyId, TEXT_CHARACTERS)}: ${ended.state}${said(ended)}\n`)
        if (!DONE[turn].includes(ended.state)) process.exitCode = 1
      })
    })
  return turn === 'restore'
    ? command
    : command.option('--restore-after <duration>', 'undo it by itself after 4h, 2d, ...', durationOption)
}

const DONE: Readonly<Record<'revoke' | 'restore', readonly Revocation['state'][]>> = {
  revoke: ['revoked', 'confirmed'],
  restore: ['restored'],
}

function refuseImpossible(turn: 'revoke' | 'restore', keyId: string, config: Config): void {
  if (config.revokeAction === undefined && config.revokeActions.length === 0) {
    throw new Error(
      `keyhound does not know how to ${turn} keys: set revoke.action in ${config.file ?? 'alerts.yaml'}`,
    )
  }
  const pattern = turn === 'revoke' ? protectedBy(keyId, config.revoke) : undefined
  if (pattern !== undefined) {
    throw new Error(
      `the key is protected by revoke.protect: "${pattern}"; take it off the list if you mean it`,
    )
  }
}

function said({ state, lastError }: Revocation): string {
  const waiting = state === 'pending' || state === 'restoring'
  const hint = waiting ? ' (a running keyhound goes on trying)' : ''
  return `${lastError === undefined ? '' : `: ${plainText(lastError, TEXT_CHARACTERS)}`}${hint}`
}

function asJson(detail: KeyDetail, past: readonly Revocation[]): string {
  const shown = {
    key_id: detail.key.keyId,
    team_id: detail.key.teamId ?? null,
    environment: detail.key.environment ?? null,
    state: detail.state,
    first_seen_at: detail.firstSeenAt,
    last_seen_at: detail.lastSeenAt ?? null,
    profile: detail.profile === undefined ? null : profileSummary(detail.profile),
    ...teachingSummary(detail),
    revocations: past.map(revocationToJson),
  }
  return `${JSON.stringify(shown, undefined, 2)}\n`
}

function asText(detail: KeyDetail, past: readonly Revocation[]): string {
  const { key, state, firstSeenAt, lastSeenAt, profile } = detail
  const rows: [label: string, value: string][] = [
    ['key', `${key.keyId} (${state})`],
    ['team', `${key.teamId ?? 'unknown'}, environment ${key.environment ?? 'unknown'}`],
    ['seen', `${firstSeenAt.toISOString()} to ${lastSeenAt?.toISOString() ?? 'unknown'}`],
    ...usualRows(profile),
    ...past.map(pastRow),
  ]
  // Made harmless value by value: the labels' alignment is ours.
  return rows.map(([label, value]) => `${label.padEnd(LABEL_WIDTH)} ${plainText(value, 2_000)}\n`).join('')
}

function pastRow({
  createdAt,
  state,
  round,
  actor,
  reason,
  containment,
  restoreAt,
  lastError,
}: Revocation): [label: string, value: string] {
  const more = [
    round > 1 ? `round ${round}: the key was still used` : undefined,
    containmentText(containment),
    restoreAt === undefined ? undefined : `restored by itself at ${restoreAt.toISOString()}`,
    lastError === undefined ? undefined : `error: ${lastError}`,
  ].filter((part) => part !== undefined)
  return [state, [`${createdAt.toISOString()} by ${actor}: ${reason}`, ...more].join('; ')]
}

function usualRows(profile: KeyDetail['profile']): [label: string, value: string][] {
  if (profile === undefined)
    return [['usual', 'nothing learnt yet: the first hour is learnt when it is over']]
  return Object.entries(profileSummary(profile)).map(([name, value]) => [
    name.replaceAll('_', ' '),
    inWords(value),
  ])
}

/** Numbers and names in one line; the 168 hours of a week are for `--format json`. */
function inWords(value: unknown): string {
  if (Array.isArray(value))
    return value.map((item) => inWords(Object.values(item as object)[0])).join(', ') || 'none'
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  if (typeof value !== 'object' || value === null) return 'unknown'
  return Object.entries(value)
    .filter(([, part]) => !Array.isArray(part))
    .map(([name, part]) => `${inWords(part)} ${name.replaceAll('_', ' ')}`)
    .join(', ')
}
