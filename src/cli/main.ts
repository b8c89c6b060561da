#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { ConfigError, formatProblem } from '../config/problem.ts'
import { endWithLauncher } from '../daemon/shutdown.ts'
import { alertsCommand } from './alerts.ts'
import { backtestCommand } from './backtest.ts'
import { checkCommand } from './check.ts'
import { demoCommand } from './demo.ts'
import { ingestCommand } from './ingest.ts'
import { keysCommand } from './keys.ts'
import { migrateCommand } from './migrate.ts'
import { startCommand } from './start.ts'
import { testChannelCommand } from './test-channel.ts'

const WORK_FAILED = 1
const WRONG_USAGE = 2

endWithLauncher()
try {
  await program().parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function program(): Command {
  const keyhound = new Command('keyhound')
    .description(
      'Watches how AI API keys are used, raises the alarm on abuse and, if you allow it, pulls the key.',
    )
    .version(version())
    .showHelpAfterError('(keyhound --help shows the commands)')
  const commands = [
    startCommand(),
    demoCommand(),
    checkCommand(),
    backtestCommand(),
    ingestCommand(),
    testChannelCommand(),
    migrateCommand(),
    keysCommand(),
    alertsCommand(),
  ]
  for (const command of commands) keyhound.addCommand(command)
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
