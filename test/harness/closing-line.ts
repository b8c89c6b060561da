import { writeSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

/**
 * Closes the run with `N passed, N failed, N skipped`, the very last line on standard output. What fails outside a test
 * (a file that cannot be loaded, an unhandled rejection, a set-up without Redis) counts as failed.
 */
export class ClosingLine implements Reporter {
  readonly #counts = { passed: 0, failed: 0, skipped: 0 }

  onInit(): void {
    process.once('exit', (code) => {
      if (code !== 0 && this.#counts.failed === 0) this.#counts.failed += 1
      const { passed, failed, skipped } = this.#counts
      writeSync(1, `${passed} passed, ${failed} failed, ${skipped} skipped\n`)
    })
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    Object.assign(this.#counts, { passed: 0, failed: unhandledErrors.length, skipped: 0 })
    for (const module of modules) this.#count(module)
  }

  #count(module: TestModule): void {
    const failedBefore = this.#counts.failed
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      this.#counts[state === 'pending' ? 'skipped' : state] += 1
    }
    if (!module.ok() && this.#counts.failed === failedBefore) this.#counts.failed += 1
  }
}
