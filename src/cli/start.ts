import { Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../clock.ts'
import { readEnvironment } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { ROLES, startDaemon, type Role } from '../daemon/daemon.ts'
import { createLog } from '../daemon/log.ts'
import { followConfig } from '../daemon/follow-config.ts'
import { markStart } from '../daemon/start-times.ts'
import { runUntilSignal } from '../daemon/shutdown.ts'
import type { EarlyPostgres } from '../embedded/early-postgres.ts'
import { SECOND_MS } from '../usage/duration.ts'

/** What an orchestrator grants before it kills: 30 s in Docker Compose and Kubernetes. */
const STOP_LIMIT_MS = 25 * SECOND_MS

/** `keyhound start`: the daemon. `early` is the database that began to start before this file was loaded. */
export function startCommand(early?: EarlyPostgres): Command {
  return new Command('start')
    .description('run the daemon; all roles when none is named')
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .option('--role <roles>', `comma-separated part of ${ROLES.join(', ')}`, parseRoles)
    .action(async (options: { config?: string; role?: readonly Role[] }) => {
      markStart('modules')
      const environment = readEnvironment(process.env)
      const config = await loadConfig(options.config, process.env)
      const log = createLog(environment.logLevel)
      const daemon = await startDaemon({
        environment,
        config,
        log,
        roles: options.role ?? ROLES,
        clock: systemClock,
        early,
      })
      const following = followConfig({ env: process.env, live: daemon.live, log })
      const stop = async (): Promise<void> => {
        await following.close()
        await daemon.stop()
      }
      await runUntilSignal(stop, { log, limitMs: STOP_LIMIT_MS, nowMs: () => systemClock.nowMs() })
    })
}

function parseRoles(text: string): readonly Role[] {
  const roles = text.split(',').map((role) => role.trim())
  const unknown = roles.filter((role) => !ROLES.some((known) => known === role))
  if (unknown.length > 0) {
    throw new InvalidArgumentError(`no role "${unknown.join('", "')}"; allowed: ${ROLES.join(', ')}`)
  }
  return ROLES.filter((role) => roles.includes(role))
}
