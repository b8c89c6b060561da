import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { ConfigError } from '../../src/config/problem.ts'
import { watchConfig, type ReloadOptions } from '../../src/config/reload.ts'

const withShards = (shards: number | string): string => `version: 1\nschedule: { shards: ${shards} }\n`
/** Long enough for a slow machine to finish a write within it, short enough for a test. */
const SETTLE_MS = 40

let folder: string
let file: string
let watching: Watching | undefined
const startedIn = process.cwd()

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kh-reload-'))
  file = join(folder, 'alerts.yaml')
})
afterEach(async () => {
  await watching?.close()
  watching = undefined
  process.chdir(startedIn)
  await rm(folder, { recursive: true })
})

/** What a watcher told, in order, and a promise for what it tells next. */
class Watching {
  readonly told: (number | string)[] = []
  readonly #watcher: { close(): Promise<void> }
  #wake: () => void = () => {}

  constructor(current: Config, options: Partial<ReloadOptions> = {}) {
    this.#watcher = watchConfig({
      current,
      env: {},
      settleMs: SETTLE_MS,
      onChange: (config) => this.#tell(config.schedule.shards),
      onProblems: (error) => this.#tell(error.message),
      ...options,
    })
  }

  async until(count: number): Promise<(number | string)[]> {
    while (this.told.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.told
  }

  async close(): Promise<void> {
    await this.#watcher.close()
  }

  #tell(what: number | string): void {
    this.told.push(what)
    this.#wake()
  }
}

async function watchFile(options: Partial<ReloadOptions> = {}): Promise<Watching> {
  watching = new Watching(await loadConfig(file, {}), options)
  return watching
}

describe('the configuration is taken up', () => {
  test('when the file is written in place', async () => {
    await writeFile(file, withShards(1))
    const watched = await watchFile()
    await writeFile(file, withShards(2))
    expect(await watched.until(1)).toEqual([2])
    await writeFile(file, withShards(3))
    expect(await watched.until(2)).toEqual([2, 3])
  })

  test('when an editor replaces the file by rename, again and again', async () => {
    await writeFile(file, withShards(1))
    const watched = await watchFile()
    for (const shards of [2, 3, 4]) {
      await writeFile(`${file}~`, withShards(shards))
      await rename(`${file}~`, file)
      await watched.until(shards - 1)
    }
    expect(watched.told).toEqual([2, 3, 4])
  })

  test('when Kubernetes switches the link above the file', async () => {
    for (const [version, shards] of [
      ['v1', 1],
      ['v2', 2],
      ['v3', 3],
    ] as const) {
      await mkdir(join(folder, version))
      await writeFile(join(folder, version, 'alerts.yaml'), withShards(shards))
    }
    await symlink('v1', join(folder, '..data'))
    await symlink('..data/alerts.yaml', file)
    const watched = await watchFile()
    for (const [version, count] of [
      ['v2', 1],
      ['v3', 2],
    ] as const) {
      await symlink(version, join(folder, '..data_tmp'))
      await rename(join(folder, '..data_tmp'), join(folder, '..data'))
      await watched.until(count)
    }
    expect(watched.told).toEqual([2, 3])
  })

  test('when the file that a link leads to changes', async () => {
    await mkdir(join(folder, 'real'))
    await writeFile(join(folder, 'real', 'config.yaml'), withShards(1))
    await symlink(join('real', 'config.yaml'), file)
    const watched = await watchFile()
    await writeFile(join(folder, 'real', 'config.yaml'), withShards(2))
    expect(await watched.until(1)).toEqual([2])
  })

  test('when it changed between loading and watching', async () => {
    await writeFile(file, withShards(1))
    const current = await loadConfig(file, {})
    await writeFile(file, withShards(2))
    watching = new Watching(current)
    expect(await watching.until(1)).toEqual([2])
  })

  test('on SIGHUP, also when the file has not changed', async () => {
    await writeFile(file, withShards(1))
    const watched = await watchFile()
    process.kill(process.pid, 'SIGHUP')
    expect(await watched.until(1)).toEqual([1])
  })

  test('without any announcement of the file system, at the next look', async () => {
    await mkdir(join(folder, 'a'))
    await mkdir(join(folder, 'b'))
    await writeFile(join(folder, 'a', 'alerts.yaml'), withShards(1))
    await writeFile(join(folder, 'b', 'alerts.yaml'), withShards(2))
    // A link two folders up: nothing happens in the folders that are watched.
    await symlink('a', join(folder, 'link'))
    file = join(folder, 'link', 'alerts.yaml')
    const watched = await watchFile({ recheckMs: 30 })
    await symlink('b', join(folder, 'link~'))
    await rename(join(folder, 'link~'), join(folder, 'link'))
    expect(await watched.until(1)).toEqual([2])
  })

  test('from ./alerts.yaml when there was no file before', async () => {
    process.chdir(folder)
    watching = new Watching(await loadConfig(undefined, {}))
    await writeFile('alerts.yaml', withShards(7))
    expect(await watching.until(1)).toEqual([7])
  })
})

describe('a bad file', () => {
  test('is told once with all its problems, changes nothing, and the next good one is taken up', async () => {
    await writeFile(file, withShards(1))
    const watched = await watchFile({ recheckMs: 20 })
    await writeFile(file, 'version: 1\nschedule: { shards: no, tick: 7s }\n')
    const [problem] = await watched.until(1)
    expect(problem).toContain(`${file}:2:21: schedule.shards: expected a number, got "no"`)
    expect(problem).toContain(`${file}:2:31: schedule.tick: expected 1s to 60s`)
    await writeFile(file, withShards(2))
    expect(await watched.until(2)).toEqual([problem, 2])
  })

  test('is told again on SIGHUP', async () => {
    await writeFile(file, withShards(1))
    const watched = await watchFile()
    await writeFile(file, withShards('no'))
    await watched.until(1)
    process.kill(process.pid, 'SIGHUP')
    const [first, second] = await watched.until(2)
    expect(second).toBe(first)
  })

  test('that disappears is a problem, and no reason to fall back to the defaults', async () => {
    await writeFile(file, withShards(1))
    const watched = await watchFile()
    await unlink(file)
    expect(await watched.until(1)).toEqual([expect.stringContaining('there is no such file')])
    await writeFile(file, withShards(1))
    expect(await watched.until(2)).toEqual([expect.any(String), 1])
  })

  test('is not made of a half-written one', async () => {
    await writeFile(file, withShards(1))
    const watched = await watchFile({ settleMs: 400 })
    await writeFile(file, 'version: 1\nschedule: {')
    await writeFile(file, withShards(2))
    expect(await watched.until(1)).toEqual([2])
  })

  test('is one that cannot be put to use', async () => {
    await writeFile(file, withShards(1))
    const told: ConfigError[] = []
    const failed = Promise.withResolvers<void>()
    await watchFile({
      onChange: () => Promise.reject(new Error('no such host')),
      onProblems: (error) => {
        told.push(error)
        failed.resolve()
      },
    })
    await writeFile(file, withShards(2))
    await failed.promise
    expect(told.map(({ message }) => message)).toEqual([
      `${file}:1:1: the configuration could not be put to use: no such host`,
    ])
  })
})

test('after close nothing is told and nothing is listened to', async () => {
  await writeFile(file, withShards(1))
  const before = process.listenerCount('SIGHUP')
  const closing = await watchFile({ recheckMs: 10 })
  expect(process.listenerCount('SIGHUP')).toBe(before + 1)
  await writeFile(file, withShards(2))
  await closing.close()
  expect(process.listenerCount('SIGHUP')).toBe(before)
  const told = [...closing.told]
  await writeFile(file, withShards(3))
  // The next watcher on the same file has told it: the closed one would have as well.
  const other = new Watching(await loadConfig(file, {}), { settleMs: SETTLE_MS })
  await writeFile(file, withShards(4))
  await other.until(1)
  await other.close()
  expect(closing.told).toEqual(told)
})
