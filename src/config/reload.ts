import { watch, type FSWatcher } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SECOND_MS } from '../usage/duration.ts'
import type { Config } from './config.ts'
import type { Env } from './expand.ts'
import { DEFAULT_CONFIG_FILE, parseConfig } from './load.ts'
import { ConfigError } from './problem.ts'
import { configDigest, readConfigText } from './read-config-text.ts'

export interface ReloadOptions {
  /** The configuration that is in use. */
  readonly current: Config
  readonly env: Env
  /** Puts a new configuration to use. When it throws, that is reported and the old one stays. */
  readonly onChange: (config: Config) => void | Promise<void>
  /** The file is bad, the configuration in use stays. Told once for each content of the file, with all problems. */
  readonly onProblems: (error: ConfigError) => void
  /** How long the file must have stayed as it is before it counts: an editor may be in the middle of writing it. */
  readonly settleMs?: number
  /** How often to look although nothing was announced: network file systems announce nothing. */
  readonly recheckMs?: number
}

/**
 * Follows the configuration file: reads it again on SIGHUP, and when its content has changed in whatever way: written in
 * place, replaced by rename, or a symlink switched as Kubernetes does. Without a file so far, `./alerts.yaml` is waited for.
 */
export function watchConfig(options: ReloadOptions): { close(): Promise<void> } {
  return new ConfigWatcher(options)
}

type Reading =
  | { readonly seen: string; readonly text: string }
  | { readonly seen: string; readonly error: ConfigError }

/** Kubernetes mounts a ConfigMap as links through `..data`, and switches that link. */
const KUBERNETES_LINK = '..data'

class ConfigWatcher {
  readonly #options: Required<ReloadOptions>
  /** As the operator named it, for problems. */
  readonly #name: string
  /** Absolute: a change of the working directory changes nothing. */
  readonly #file: string
  #watchers: FSWatcher[] = []
  /** What was read last, good or bad: the same again is no news. */
  #seen: string
  #wanted: 'check' | 'report' | undefined
  #running: Promise<void> | undefined
  readonly #closing = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #onSighup = (): void => this.#look('report')

  constructor(options: ReloadOptions) {
    this.#options = { settleMs: 200, recheckMs: 30 * SECOND_MS, ...options }
    this.#name = options.current.file ?? DEFAULT_CONFIG_FILE
    this.#file = resolve(this.#name)
    this.#seen = options.current.digest ?? 'missing'
    process.on('SIGHUP', this.#onSighup)
    this.#timer = setInterval(() => this.#look('check'), this.#options.recheckMs).unref()
    // The file may have changed since it was loaded.
    this.#look('check')
  }

  async close(): Promise<void> {
    this.#closing.abort()
    process.off('SIGHUP', this.#onSighup)
    clearInterval(this.#timer)
    await this.#running
    for (const watcher of this.#watchers) watcher.close()
  }

  /** 'check' tells news only; 'report', which a person asked for, tells how it stands in any case. */
  #look(wanted: 'check' | 'report'): void {
    if (this.#closing.signal.aborted) return
    if (this.#wanted !== 'report') this.#wanted = wanted
    this.#running ??= this.#work()
  }

  async #work(): Promise<void> {
    while (this.#wanted !== undefined && !this.#closing.signal.aborted) {
      const wanted = this.#wanted
      this.#wanted = undefined
      await this.#round(wanted)
    }
    this.#running = undefined
  }

  async #round(wanted: 'check' | 'report'): Promise<void> {
    // Watch first, read then: no change can fall in between.
    await this.#watch()
    const reading = await this.#settledReading(wanted)
    if (reading === undefined || (reading.seen === this.#seen && wanted === 'check')) return
    this.#seen = reading.seen
    try {
      if ('error' in reading) throw reading.error
      await this.#options.onChange(parseConfig(reading.text, this.#name, this.#options.env))
    } catch (error) {
      this.#options.onProblems(error instanceof ConfigError ? error : notApplied(this.#name, error))
    }
  }

  /** What the file holds once it has stopped changing; undefined when closed meanwhile. */
  async #settledReading(wanted: 'check' | 'report'): Promise<Reading | undefined> {
    let reading = await this.#read()
    if (reading.seen === this.#seen && wanted === 'check') return reading
    for (;;) {
      const closed = await delay(this.#options.settleMs, false, { signal: this.#closing.signal }).catch(
        () => true,
      )
      if (closed) return undefined
      const again = await this.#read()
      if (again.seen === reading.seen) return again
      reading = again
    }
  }

  async #read(): Promise<Reading> {
    try {
      const text = await readConfigText(this.#file, this.#name)
      return { seen: configDigest(text), text }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      const isAbsent = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
      return { seen: isAbsent ? 'missing' : error.message, error }
    }
  }

  /** Watches the folder of the file, as a file that is replaced takes its own watch with it; and that of its target. */
  async #watch(): Promise<void> {
    const target = await realpath(this.#file).catch(() => this.#file)
    const names = new Set([basename(this.#file), basename(target), KUBERNETES_LINK])
    const folders = new Set([dirname(this.#file), dirname(target)])
    const old = this.#watchers
    this.#watchers = [...folders].flatMap((folder) => this.#watchFolder(folder, names))
    for (const watcher of old) watcher.close()
  }

  #watchFolder(folder: string, names: ReadonlySet<string>): FSWatcher[] {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name === null || names.has(name)) this.#look('check')
      })
      // A folder that cannot be watched (any longer) is looked at every `recheckMs` all the same.
      watcher.on('error', () => watcher.close())
      return [watcher]
    } catch {
      return []
    }
  }
}

function notApplied(file: string, error: unknown): ConfigError {
  const reason = error instanceof Error ? error.message : 'unknown error'
  const message = `the configuration could not be put to use: ${reason}`
  return new ConfigError([{ file, line: 1, column: 1, path: '', message }])
}
