import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const BUNDLE = join(import.meta.dirname, '../bundle.mjs')

/** Makes the bundle of the sources as they are now, so that the launcher runs what an installation runs. */
export function makeBundle(): void {
  const { status, stderr } = spawnSync(process.execPath, [BUNDLE], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the bundle could not be made:\n${stderr}`)
}
