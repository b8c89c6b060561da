import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { asAccount, postgresAccount } from '../../src/embedded/postgres-account.ts'
import { installedPackage, postgresBinaries } from '../../src/embedded/postgres-binaries.ts'

describe('the PostgreSQL programs', { timeout: 60_000 }, () => {
  let directory: string
  let dataDir: string
  let native: string

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), `kh-test-${process.pid}-`))
    dataDir = join(directory, 'data')
    native = join(directory, 'package', 'native')
    mkdirSync(dataDir)
    // As the registry delivers them: without links.
    const isLink = (path: string) => lstatSync(path).isSymbolicLink()
    cpSync(installedPackage().native, native, { recursive: true, filter: (source) => !isLink(source) })
    chmodSync(directory, 0o711)
  })
  afterEach(() => {
    chmodSync(join(native, 'lib'), 0o755)
    rmSync(directory, { recursive: true, force: true })
  })

  const find = () => {
    const account = postgresAccount(join(dataDir, 'postgres'))
    const { postgres } = postgresBinaries(account, dataDir, { native, version: '1.2.3' })
    return { postgres, run: spawnSync(postgres, ['--version'], { ...asAccount(account), encoding: 'utf8' }) }
  }

  test('run although no install script made the links of their libraries', () => {
    const { postgres, run } = find()
    expect(postgres).toBe(join(native, 'bin', 'postgres'))
    expect(run.stdout).toMatch(/^postgres \(PostgreSQL\) 18/)
  })

  test('are copied once into the data directory when they cannot be used where they are', () => {
    chmodSync(join(native, 'lib'), 0o500) // a user cannot make links there
    chmodSync(join(native, '..'), process.geteuid?.() === 0 ? 0o700 : 0o755) // and root's server, running as somebody else, cannot even enter
    const first = find()
    expect(first.postgres).toBe(join(dataDir, 'postgres-binaries-1.2.3', 'bin', 'postgres'))
    expect(first.run.stdout).toMatch(/^postgres \(PostgreSQL\) 18/)
    expect(find().postgres).toBe(first.postgres)
    expect(readdirSync(dataDir)).toEqual(['postgres-binaries-1.2.3'])
    expect(existsSync(join(native, 'bin', 'postgres'))).toBe(true)
  })
})
