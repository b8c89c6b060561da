import { Command, Option } from 'commander'
import type { Config } from '../config/config.ts'
import { readEnvironment } from '../config/env.ts'
import type { Env } from '../config/expand.ts'
import { loadConfig } from '../config/load.ts'
import { ConfigError, formatProblem, type Problem } from '../config/problem.ts'

/** What `keyhound check` prints, and how it ends. */
export interface CheckResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: 0 | 2
}

/** `keyhound check`: validates the configuration and the environment, and starts nothing. */
export function checkCommand(): Command {
  return new Command('check')
    .description('validate the configuration and say what is wrong, where, and what is allowed')
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .addOption(
      new Option('--format <format>', 'how to print the result').choices(['text', 'json']).default('text'),
    )
    .action(async (options: { config?: string; format: 'text' | 'json' }) => {
      const { stdout, stderr, exitCode } = await check(options.config, process.env, options.format)
      process.stdout.write(stdout)
      process.stderr.write(stderr)
      process.exitCode = exitCode
    })
}

/** Checks the file (or what the environment names) and says the result in the format that is asked for. */
export async function check(
  file: string | undefined,
  env: Env,
  format: 'text' | 'json',
): Promise<CheckResult> {
  const [config, environment] = await Promise.all([
    outcomeOf(() => loadConfig(file, env)),
    outcomeOf(() => readEnvironment(env)),
  ])
  const errors = [...environment.errors, ...config.errors]
  const warnings = [...(environment.value?.warnings ?? []), ...(config.value?.warnings ?? [])]
  const summary = errors.length === 0 && config.value !== undefined ? summaryOf(config.value) : undefined
  const exitCode = summary === undefined ? 2 : 0
  if (format === 'json') {
    const result = {
      ok: summary !== undefined,
      ...summary,
      errors: errors.map(toJson),
      warnings: warnings.map(toJson),
    }
    return { stdout: `${JSON.stringify(result, undefined, 2)}\n`, stderr: '', exitCode }
  }
  const lines = [
    ...errors.map(formatProblem),
    ...warnings.map((warning) => `warning: ${formatProblem(warning)}`),
  ]
  return {
    stdout: summary === undefined ? '' : textOf(summary),
    stderr: lines.map((line) => `${line}\n`).join(''),
    exitCode,
  }
}

interface Outcome<Value> {
  readonly value: Value | undefined
  readonly errors: readonly Problem[]
}

async function outcomeOf<Value>(work: () => Value | Promise<Value>): Promise<Outcome<Value>> {
  try {
    return { value: await work(), errors: [] }
  } catch (error) {
    if (error instanceof ConfigError) return { value: undefined, errors: error.problems }
    throw error
  }
}

interface Summary {
  readonly file: string | null
  readonly channels: readonly { readonly name: string; readonly type: string }[]
  readonly routes: number
  readonly detectors: Readonly<Record<string, 'on' | 'off'>>
  readonly overrides: number
  readonly revoke: { readonly mode: string; readonly action: string | null }
}

function summaryOf(config: Config): Summary {
  return {
    file: config.file ?? null,
    channels: [...config.channels].map(([name, { type }]) => ({ name, type })),
    routes: config.routes.length,
    detectors: Object.fromEntries(
      [...config.detectors].map(([name, { enabled }]) => [
        name,
        enabled ? ('on' as const) : ('off' as const),
      ]),
    ),
    overrides: config.overrides.length,
    revoke: { mode: config.revoke.mode, action: config.revokeAction?.type ?? null },
  }
}

function textOf({ file, channels, routes, detectors, overrides, revoke }: Summary): string {
  const named = (state: 'on' | 'off'): string =>
    Object.keys(detectors)
      .filter((name) => detectors[name] === state)
      .join(', ') || 'none'
  return [
    `ok: ${file ?? 'built-in defaults'}`,
    `  channels:      ${channels.map(({ name, type }) => `${name} (${type})`).join(', ') || 'none'}`,
    `  routes:        ${routes}`,
    `  detectors on:  ${named('on')}`,
    `  detectors off: ${named('off')}`,
    `  overrides:     ${overrides}`,
    `  revoke:        ${revoke.mode}${revoke.action === null ? '' : ` (${revoke.action})`}`,
    '',
  ].join('\n')
}

function toJson({ file, line, column, path, message }: Problem): Record<string, unknown> {
  return file === undefined
    ? { file: null, line: null, column: null, path, message }
    : { file, line, column, path, message }
}
