import type { Env } from '../config/expand.ts'
import { formatProblem } from '../config/problem.ts'
import { watchConfig } from '../config/reload.ts'
import type { LiveConfig } from './live-config.ts'
import type { Logger } from './log.ts'

/** Puts every good change of the configuration file to use, and tells about every bad one while the old one goes on. */
export function followConfig({
  env,
  live,
  log,
}: {
  readonly env: Env
  readonly live: LiveConfig
  readonly log: Logger
}): { close(): Promise<void> } {
  return watchConfig({
    env,
    current: live.config,
    onChange: (config) => {
      live.replace(config)
      live.load().catch((error: unknown) => {
        log.error({ err: error }, 'what a channel sends with cannot be loaded: is the installation whole?')
      })
      log.info({ file: config.file, channels: [...config.channels.keys()] }, 'configuration reloaded')
      for (const warning of config.warnings)
        log.warn({ problem: formatProblem(warning) }, 'configuration warning')
    },
    onProblems: (error) => {
      log.error(
        { problems: error.problems.map(formatProblem) },
        'configuration refused; the old one stays in use',
      )
    },
  })
}
