import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const LAUNCHER = join(import.meta.dirname, '../../bin/keyhound.cjs')
const READY_WITHIN_MS = 30_000

/** A keyhound of its own process, started as a user starts it: through the launcher. */
export class KeyhoundProcess {
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(args: readonly string[], env: Readonly<Record<string, string>>, launcher = LAUNCHER) {
    this.#child = spawn(process.execPath, [launcher, ...args], {
      // Only what is given: a variable of the developer's shell must not decide a test.
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', KEYHOUND_PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()))
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** The log lines, parsed. */
  get log(): Record<string, unknown>[] {
    return this.#stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Where the API listens, once /readyz says that all parts work. */
  async ready(askEveryMs = 50): Promise<string> {
    const deadline = performance.now() + READY_WITHIN_MS
    while (performance.now() < deadline) {
      const url = this.log.find((line) => line['msg'] === 'listening')?.['url']
      if (typeof url === 'string' && (await isReady(url))) return url
      if (this.#child.exitCode !== null) break
      await delay(askEveryMs)
    }
    throw new Error(`keyhound did not become ready (exit code ${this.#child.exitCode}):\n${this.#stderr}`)
  }

  /** Waits for the end by itself and returns the exit code. */
  async ended(): Promise<number> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit')
    return this.#child.exitCode ?? 128
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.#child.kill(signal)
    return this.ended()
  }
}

/** Runs one command to its end. */
export async function runKeyhound(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const keyhound = new KeyhoundProcess(args, env)
  const code = await keyhound.ended()
  return { code, stdout: keyhound.stdout, stderr: keyhound.stderr }
}

/** Waits until `condition` gives something, asking every 50 ms; fails with `what` after `withinMs`. */
export async function eventually<Result>(
  what: string,
  condition: () => Promise<Result | undefined | false> | Result | undefined | false,
  withinMs = 30_000,
): Promise<Result> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const result = await condition()
    if (result !== undefined && result !== false) return result
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await delay(50)
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).status === 200
  } catch {
    return false
  }
}
