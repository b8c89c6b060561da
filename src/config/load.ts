import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { crossWarnings } from './cross-checks.ts'
import type { Config } from './config.ts'
import type { Env } from './expand.ts'
import { parseAlerts } from './parse-alerts.ts'
import { ConfigError, type Problem } from './problem.ts'
import { configDigest, readConfigText } from './read-config-text.ts'
import { alertsSchema } from './schema.ts'
import { toConfig } from './to-config.ts'
import { YamlSource } from './yaml-source.ts'

/** Looked for in the working directory when nobody names a file. */
export const DEFAULT_CONFIG_FILE = 'alerts.yaml'

/**
 * Reads the configuration from `file`, else from the file that KEYHOUND_CONFIG names, else from `./alerts.yaml`, else
 * takes the defaults. Throws ConfigError with everything that is wrong.
 */
export async function loadConfig(file: string | undefined, env: Env): Promise<Config> {
  const chosen = await configFile(file, env)
  if (chosen === undefined) return defaultConfig()
  return parseConfig(await readConfigText(chosen), chosen, env)
}

/** The file that `loadConfig` reads; undefined when there is none. */
export async function configFile(file: string | undefined, env: Env): Promise<string | undefined> {
  const named = file ?? (env['KEYHOUND_CONFIG'] === '' ? undefined : env['KEYHOUND_CONFIG'])
  if (named !== undefined) return named
  return access(DEFAULT_CONFIG_FILE, constants.F_OK).then(
    () => DEFAULT_CONFIG_FILE,
    () => undefined,
  )
}

/** The configuration in a text; `file` is its name in problems. Throws ConfigError with everything that is wrong. */
export function parseConfig(text: string, file: string, env: Env): Config {
  const source = new YamlSource(file, text)
  const { parsed, input, problems } = parseAlerts(source, env)
  if (parsed === undefined) throw new ConfigError(inOrder(problems))
  const warnings = inOrder(crossWarnings(parsed, input, source))
  return toConfig({ parsed, input, file, digest: configDigest(text), warnings })
}

function defaultConfig(): Config {
  const input = { version: 1 }
  const message = `no configuration file: the defaults apply and alerts go to no channel; write ${DEFAULT_CONFIG_FILE}, or name one with --config or KEYHOUND_CONFIG`
  const warning: Problem = { file: undefined, line: 1, column: 1, path: '', message }
  return toConfig({
    parsed: alertsSchema.parse(input),
    input,
    file: undefined,
    digest: undefined,
    warnings: [warning],
  })
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
}
