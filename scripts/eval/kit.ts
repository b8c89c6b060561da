import { execFile, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'

/** The evaluation kit: a folder with a generator of labelled usage and the scorers. It is an argument, never a dependency. */
export interface Kit {
  readonly directory: string
  /** Scores several data sets together, as the kit's score.mjs does. */
  score(sets: readonly LabelledAlerts[]): KitScore
  /** NAB's final score by profile for results in a folder. */
  scoreNab(
    directory: string,
  ): Readonly<Record<string, { readonly final: number; readonly threshold: number }>>
  readonly nabPublished: Readonly<Record<string, Readonly<Record<string, number>>>>
}

export type Level = 'info' | 'warning' | 'critical'

export interface LabelledAlerts {
  readonly labels: unknown
  readonly alerts: readonly unknown[]
}

/** What is used of score.mjs's result. */
export interface KitScore {
  readonly headline: number
  readonly headline_level: Level | null
  readonly levels: Readonly<Record<Level, LevelFigures>>
}

export interface LevelFigures {
  readonly recall_macro: number
  readonly recall_hard: number | null
  readonly key_days: number
  readonly false_alerts: number
  readonly false_per_100_key_days: number
  readonly precision_alerts: number | null
  readonly ttd_min_median: number | null
  readonly ttd_min_p90: number | null
  readonly spend_prevented: number | null
  readonly attacks: number
  readonly detected: number
  readonly kinds: Readonly<
    Record<
      string,
      { readonly attacks: number; readonly recall_any: number; readonly ttd_min_median: number | null }
    >
  >
  readonly benign: Readonly<
    Record<
      string,
      { readonly windows: number; readonly false_alerts: number; readonly windows_alerted: number }
    >
  >
  readonly detectors: Readonly<
    Record<string, { readonly alerts: number; readonly false_alerts: number; readonly first_on: number }>
  >
}

/** Opens the kit. Throws when the folder does not hold one. */
export async function openKit(directory: string): Promise<Kit> {
  for (const file of ['generate.mjs', 'score.mjs', 'causality.mjs', 'nab/nab.mjs', 'rhythm/to-events.mjs']) {
    await access(join(directory, file)).catch((cause: unknown) => {
      throw new Error(`${directory} is not an evaluation kit: it has no ${file}`, { cause })
    })
  }
  // The kit is plain JavaScript with the shapes above; its own tests hold it to them.
  const scorer = (await import(pathToFileURL(join(directory, 'score.mjs')).href)) as Pick<Kit, 'score'>
  const nab = (await import(pathToFileURL(join(directory, 'nab/nab.mjs')).href)) as {
    scoreCorpus(files: unknown): ReturnType<Kit['scoreNab']>
    readResults(directory: string): unknown
  }
  const published = JSON.parse(await readFile(join(directory, 'nab/published.json'), 'utf8')) as {
    readonly final: Kit['nabPublished']
  }
  return {
    directory,
    score: (sets) => scorer.score(sets),
    scoreNab: (results) => nab.scoreCorpus(nab.readResults(results)),
    nabPublished: published.final,
  }
}

/** Runs one of the kit's programs; its output is kept and returned. */
export function runKit(
  kit: Kit,
  program: string,
  options: readonly string[],
): Promise<{ readonly code: number; readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ['--max-old-space-size=12000', join(kit.directory, program), ...options],
      { maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code)
        // 1 is an answer (causality.mjs found differences); anything else did not run.
        if (code > 1 || Number.isNaN(code)) reject(new Error(`${program} failed: ${stderr.slice(-2_000)}`))
        else resolve({ code, stdout })
      },
    )
  })
}

const KEYHOUND = join(import.meta.dirname, '../../bin/keyhound.cjs')

/** The command line of a backtest, for the kit's causality check. */
export function backtestCommandLine(): string {
  return `'${process.execPath}' '${KEYHOUND}' backtest --events {events} --format ndjson`
}

/** Runs `keyhound backtest` with the default configuration and writes its alerts to a file. Returns its seconds. */
export async function backtestToFile(events: string, alerts: string): Promise<number> {
  const started = performance.now()
  const child = spawn(process.execPath, [KEYHOUND, 'backtest', '--events', events, '--format', 'ndjson'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: withoutConfiguration(),
    cwd: import.meta.dirname,
  })
  let told = ''
  child.stderr.on('data', (chunk: Buffer) => (told = (told + chunk.toString()).slice(-2_000)))
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
  await pipeline(child.stdout, createWriteStream(alerts))
  if ((await ended) !== 0) throw new Error(`the backtest of ${events} failed: ${told}`)
  return (performance.now() - started) / 1_000
}

/** The defaults are what is judged: nobody's own alerts.yaml. */
function withoutConfiguration(): NodeJS.ProcessEnv {
  const { KEYHOUND_CONFIG: _, ...environment } = process.env
  return environment
}

export async function readAlerts(file: string): Promise<unknown[]> {
  const text = await readFile(file, 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}
