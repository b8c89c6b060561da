import { Command, InvalidArgumentError, Option } from 'commander'
import { containmentText } from '../alert/containment.ts'
import { plainText } from '../alert/plain-text.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import { ledgerSummary } from '../store/ledger-summary.ts'
import { haltToJson, ledgerToJson, revocationToJson } from '../store/revocation-json.ts'
import {
  REVOCATION_STATES,
  type Halt,
  type LedgerEntry,
  type Revocation,
  type RevocationState,
} from '../store/revocation-store.ts'
import { DAY_MS, formatDuration } from '../usage/duration.ts'
import { carryOut } from './carry-out.ts'
import { durationOption } from './duration-option.ts'
import { cliActor, withSession } from './with-session.ts'

const LIMIT_MAX = 200
const KEY_CHARACTERS = 60
const REASON_CHARACTERS = 160
const WEEK_MS = 7 * DAY_MS

interface ListOptions {
  readonly dryRun?: boolean
  readonly since: number
  readonly state?: RevocationState[]
  readonly key?: string
  readonly limit: number
  readonly format: 'table' | 'json'
}

/** `keyhound revocations [list]`, `--dry-run`, `approve`, `halt`, `resume`. */
export function revocationsCommand(): Command {
  const command = withListOptions(new Command('revocations'))
    .description('what was done about keys, and with --dry-run what auto would have done')
    .option('--dry-run', 'the ledger: what would have been done, and what people said of it')
    .action(async (options: ListOptions) => {
      await (options.dryRun === true ? showLedger(options) : showList(options))
    })
  // The parent has the same options, and would take those of `list` for its own.
  const list = new Command('list').description('newest first').action(async (_options, self: Command) => {
    await showList(self.optsWithGlobals<ListOptions>())
  })
  return command
    .addCommand(withListOptions(list))
    .addCommand(approveCommand())
    .addCommand(haltCommand())
    .addCommand(resumeCommand())
}

function withListOptions(command: Command): Command {
  return command
    .option('--since <duration>', 'how far back: 24h, 7d', durationOption, WEEK_MS)
    .option('--state <states>', `comma-separated part of ${REVOCATION_STATES.join(', ')}`, parseStates)
    .option('--key <key_id>', 'only of this key')
    .option('--limit <n>', `at most so many, up to ${LIMIT_MAX}`, parseLimit, 50)
    .addOption(new Option('--format <format>', 'how to print it').choices(['table', 'json']).default('table'))
}

async function showList({ since, state, key, limit, format }: ListOptions): Promise<void> {
  await withSession(async ({ revocations }) => {
    const sinceMs = systemClock.nowMs() - since
    const found = await revocations.list({ states: state, keyId: key, sinceMs, limit })
    const halts = await revocations.halts()
    process.stdout.write(
      format === 'json'
        ? asJson({ halts: halts.map(haltToJson), revocations: found.map(revocationToJson) })
        : found.map(row).join(''),
    )
    if (format === 'table') for (const halt of halts) console.error(haltLine(halt))
    if (found.length === 0) console.error(`no revocations in the last ${formatDuration(since)}`)
  })
}

function row(revocation: Revocation): string {
  const { id, state, createdAt, keyId, actor, reason, round, containment, lastError } = revocation
  const rounds = round > 1 ? ` round ${round}` : ''
  const times = containmentText(containment)
  return [
    `${id}  ${minuteOf(createdAt)}  ${`${state}${rounds}`.padEnd(18)} ${plainText(keyId, KEY_CHARACTERS)}`,
    `  by ${plainText(actor, KEY_CHARACTERS)}: ${plainText(reason, REASON_CHARACTERS)}`,
    times === undefined ? '' : `  ${times}`,
    lastError === undefined ? '' : `  ERROR: ${plainText(lastError, REASON_CHARACTERS)}`,
    '\n',
  ].join('')
}

async function showLedger({ since, key, format }: ListOptions): Promise<void> {
  await withSession(async ({ revocations }) => {
    const all = await revocations.ledger({ sinceMs: systemClock.nowMs() - since })
    const entries = key === undefined ? all : all.filter(({ keyId }) => keyId === key)
    process.stdout.write(
      format === 'json'
        ? asJson({ summary: ledgerSummary(entries), keys: entries.map(ledgerToJson) })
        : ledgerText(entries, since),
    )
  })
}

function ledgerText(entries: readonly LedgerEntry[], sinceMs: number): string {
  const { acted, compromised, harmless, unjudged, heldBack, heldBackCompromised } = ledgerSummary(entries)
  const lines = entries.map(({ firstAt, state, keyId, verdict, alert, reason }) =>
    [
      minuteOf(firstAt),
      { dry_run: 'would revoke', proposed: 'proposed', revoked: 'revoked', refused: 'held back' }[
        state
      ].padEnd(12),
      (verdict ?? 'no verdict').padEnd(11),
      plainText(keyId, KEY_CHARACTERS),
      `${alert?.detector ?? ''}: ${plainText(reason, REASON_CHARACTERS)}`,
    ].join('  '),
  )
  return [
    ...lines,
    `In ${formatDuration(sinceMs)} auto would have revoked ${keys(acted)}: ${compromised} judged compromised, ${harmless} expected or safe, ${unjudged} without a verdict.`,
    `Held back (protected, too young, capped, halted, place alone): ${keys(heldBack)}, ${heldBackCompromised} of them judged compromised.`,
    '',
  ].join('\n')
}

function keys(count: number): string {
  return count === 1 ? '1 key' : `${count} keys`
}

function approveCommand(): Command {
  return new Command('approve')
    .description('revoke what was proposed in mode approve')
    .argument('<id>', 'of the proposal')
    .option('--reason <text>', 'why; kept in the audit', 'approved on the command line')
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .action(async (id: string, { reason, config: file }: { reason: string; config?: string }) => {
      const config = await loadConfig(file, process.env)
      await withSession(async (session) => {
        const act = { reason, actor: cliActor(), nowMs: systemClock.nowMs() }
        const approved = await session.revocations.approve(id, act)
        if (approved === undefined) {
          throw new Error(
            'this proposal does not wait for an approval (any more); "keyhound revocations --state proposed" shows those that do',
          )
        }
        const ended = await carryOut(session, config, approved)
        process.stdout.write(row(ended))
        if (ended.state !== 'revoked' && ended.state !== 'confirmed') process.exitCode = 1
      })
    })
}

function haltCommand(): Command {
  return new Command('halt')
    .description('nothing is revoked without asking until "resume"; what people ask for is done')
    .requiredOption('--reason <text>', 'why; shown in messages and kept in the audit')
    .action(async ({ reason }: { reason: string }) => {
      await withSession(async ({ revocations }) => {
        const halt = await revocations.halt({ reason, actor: cliActor(), nowMs: systemClock.nowMs() })
        process.stdout.write(`${haltLine(halt)}\n`)
      })
    })
}

function resumeCommand(): Command {
  return new Command('resume')
    .description('end every halt; what was held back and is still open is judged anew')
    .action(async () => {
      await withSession(async ({ revocations }) => {
        const open = await revocations.halts()
        const ended = await revocations.resume(
          open.map(({ cause }) => cause),
          { actor: cliActor(), nowMs: systemClock.nowMs() },
        )
        process.stdout.write(ended.map((halt) => `ended: ${haltLine(halt)}\n`).join(''))
        if (ended.length === 0) console.error('revocations were not halted')
      })
    })
}

function haltLine({ cause, reason, actor, startedAt }: Halt): string {
  return `HALTED since ${minuteOf(startedAt)} by ${plainText(actor, KEY_CHARACTERS)} (${cause}): ${plainText(reason, REASON_CHARACTERS)}`
}

function minuteOf(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')}Z`
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

function parseStates(text: string): RevocationState[] {
  return text.split(',').map((name) => {
    const state = REVOCATION_STATES.find((known) => known === name.trim())
    if (state !== undefined) return state
    throw new InvalidArgumentError(`no state "${name}"; allowed: ${REVOCATION_STATES.join(', ')}`)
  })
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return limit
  throw new InvalidArgumentError(`expected a whole number from 1 to ${LIMIT_MAX}`)
}
