import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { apiTokens } from '../../src/daemon/api-tokens.ts'
import { Secret } from '../../src/secret.ts'

/** A directory that goes away with its test. */
async function freshDir(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kh-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('without tokens from the operator one is made, kept for its owner only, and the same at the next start', async () => {
  const dataDir = join(await freshDir(), 'made', 'on', 'demand')
  const first = await apiTokens(undefined, dataDir)
  const second = await apiTokens([], dataDir)
  expect(first.tokens[0]?.reveal()).toMatch(/^[\w-]{43}$/)
  expect(second.tokens[0]?.reveal()).toBe(first.tokens[0]?.reveal())
  expect((await stat(first.file ?? '')).mode & 0o777).toBe(0o600)
})

test('eight processes that start at once end up with one token', async () => {
  const dataDir = await freshDir()
  const all = await Promise.all(Array.from({ length: 8 }, () => apiTokens(undefined, dataDir)))
  expect(new Set(all.map(({ tokens }) => tokens[0]?.reveal())).size).toBe(1)
  expect(await readdir(dataDir)).toEqual(['api-token'])
})

test('the tokens of the operator are used, and no file is made', async () => {
  const dataDir = await freshDir()
  const given = [new Secret('a'), new Secret('b')]
  expect(await apiTokens(given, dataDir)).toEqual({ tokens: given, file: undefined })
  await expect(readFile(join(dataDir, 'api-token'))).rejects.toThrow('ENOENT')
})

test('an empty token file is an error that says what to do, not an API without a lock', async () => {
  const dataDir = await freshDir()
  await writeFile(join(dataDir, 'api-token'), '\n')
  await expect(apiTokens(undefined, dataDir)).rejects.toThrow('Delete it')
})
