import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** Older than any data that geoip-lite can read: a time stamp that an installer set to a constant. */
const OLDEST_MS = Date.UTC(2020, 0, 1)

/**
 * When the place data of geoip-lite were installed or updated. The files carry no date of their own, so the data are at
 * least this old; undefined when their time stamps say nothing. Throws when they are not there.
 */
export async function geoDataDateMs(): Promise<number | undefined> {
  const folder = join(dirname(require.resolve('geoip-lite/package.json')), 'data')
  const files = await Promise.all(
    ['geoip-city.dat', 'geoip-city6.dat'].map((name) => stat(join(folder, name))),
  )
  const oldestMs = Math.min(...files.map(({ mtimeMs }) => mtimeMs))
  return oldestMs < OLDEST_MS ? undefined : oldestMs
}
