import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'

/**
 * A new data directory with a cluster that was made and stopped before, for tests that need an embedded PostgreSQL of
 * their own and are not about its first start: a copy costs a tenth of what `initdb` does. The caller removes it.
 */
export function usedDataDirectory(): string {
  const dataDir = mkdtempSync(join(tmpdir(), `kh-test-${process.pid}-`))
  copyDataDirectory(inject('usedDataDirectory'), dataDir)
  return dataDir
}

/** With owners and rights: as root, the cluster belongs to the user that the server runs as. */
export function copyDataDirectory(from: string, to: string): void {
  execFileSync('cp', ['-a', `${from}/.`, to])
}
