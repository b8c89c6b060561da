import type { Config } from '../config/config.ts'
import type { Environment } from '../config/env.ts'
import { parseConfig } from '../config/load.ts'
import { STOLEN_KEY_ID } from './fleet.ts'

/** The demo never touches the operator's servers, whatever the shell's environment says. */
export function demoEnvironment(dataDir: string): Environment {
  return {
    databaseUrl: undefined,
    redisUrl: undefined,
    queueName: 'usage-events',
    configFile: undefined,
    host: '127.0.0.1',
    port: 0,
    apiTokens: undefined,
    logLevel: 'warn',
    dataDir,
    warnings: [],
  }
}

/** Ticks every second, and the answer of Slack from a stand-in on loopback. */
export function demoConfig(slackUrl: string, ownersTimeZone: string): Config {
  const yaml = `version: 1
channels:
  slack: { type: slack, url: "${slackUrl}" }
schedule: { tick: 1s, shards: 1 }
notify: { group_wait: 2s }
overrides:
  - match: { key_id: ${STOLEN_KEY_ID} }
    detectors: { unusual_hour: { timezone: ${ownersTimeZone} } }
revoke: { mode: dry_run, when: { severity: critical } }
`
  return parseConfig(yaml, 'the demo', {})
}
