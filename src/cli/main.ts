#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { ConfigError, formatProblem } from '../config/problem.ts'
import { endWithLauncher } from '../daemon/shutdown.ts'
import { type EarlyPostgres, startPostgresEarly } from '../embedded/early-postgres.ts'

const WORK_FAILED = 1
const WRONG_USAGE = 2

/** Each command in a file of its own, loaded when it is asked for: `check` must not wait for what `start` needs. */
const COMMANDS: Readonly<Record<string, (early?: EarlyPostgres) => Promise<Command>>> = {
  start: async (early) => (await import('./start.ts')).startCommand(early),
  demo: async () => (await import('./demo.ts')).demoCommand(),
  check: async () => (await import('./check.ts')).checkCommand(),
  backtest: async () => (await import('./backtest.ts')).backtestCommand(),
  explain: async () => (await import('./explain.ts')).explainCommand(),
  ingest: async () => (await import('./ingest.ts')).ingestCommand(),
  digest: async () => (await import('./digest.ts')).digestCommand(),
  'test-channel': async () => (await import('./test-channel.ts')).testChannelCommand(),
  migrate: async () => (await import('./migrate.ts')).migrateCommand(),
  keys: async () => (await import('./keys.ts')).keysCommand(),
  revocations: async () => (await import('./revocations.ts')).revocationsCommand(),
  silence: async () => (await import('./silence.ts')).silenceCommand(),
  channels: async () => (await import('./channels.ts')).channelsCommand(),
  alerts: async () => (await import('./alerts.ts')).alertsCommand(),
}

endWithLauncher()
const early = isStart(process.argv.slice(2)) ? startPostgresEarly(process.env) : undefined
try {
  const keyhound = await program(process.argv[2], early)
  await keyhound.parseAsync()
} catch (error) {
  process.exitCode = report(error)
} finally {
  await early?.drop()
}

/** The database needs as long to start as the rest of the program to be loaded: both are done at once. */
function isStart([command, ...options]: readonly string[]): boolean {
  return command === 'start' && !options.some((option) => option === '--help' || option === '-h')
}

/** The whole program, or with one command only where that is the one that was asked for. */
async function program(asked: string | undefined, early?: EarlyPostgres): Promise<Command> {
  const keyhound = new Command('keyhound')
    .description(
      'Watches how AI API keys are used, raises the alarm on abuse and, if you allow it, pulls the key.',
    )
    .version(version())
    .showHelpAfterError('(keyhound --help shows the commands)')
  const one = asked !== undefined && Object.hasOwn(COMMANDS, asked) ? COMMANDS[asked] : undefined
  const commands = one === undefined ? Object.values(COMMANDS) : [one]
  for (const load of commands) keyhound.addCommand(await load(early))
  throwInsteadOfExit(keyhound)
  return keyhound
}

/** commander ends the process with 1 on wrong usage; 1 says here that the work failed. Added commands inherit nothing. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride()
  for (const child of command.commands) throwInsteadOfExit(child)
}

function report(error: unknown): number {
  // commander has printed what it has to say; help and version are no failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE
  if (error instanceof ConfigError) {
    for (const problem of error.problems) console.error(formatProblem(problem))
    return WRONG_USAGE
  }
  console.error(`keyhound: ${error instanceof Error ? error.message : String(error)}`)
  if (process.env['KEYHOUND_LOG_LEVEL'] === 'debug' && error instanceof Error) console.error(error.stack)
  return WORK_FAILED
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}
