import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { mayAccess, postgresAccount } from '../../src/embedded/postgres-account.ts'
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../../src/embedded/postgres.ts'
import { isServing } from '../../src/embedded/postmaster-file.ts'
import { Arrivals } from '../harness/arrivals.ts'
import { copyDataDirectory } from '../harness/data-directory.ts'

const INSTANCE = fileURLToPath(new URL('instance.ts', import.meta.url))

// Each test makes a database of its own, some wait for a slow stop: minutes on a busy machine's disk.
describe('the embedded PostgreSQL', { timeout: 120_000 }, () => {
  let dataDir: string
  const running: EmbeddedPostgres[] = []
  const children: ChildProcess[] = []

  beforeEach(() => void (dataDir = mkdtempSync(join(tmpdir(), `kh-test-${process.pid}-`))))
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await Promise.all(running.splice(0).map((server) => server.stop()))
    rmSync(dataDir, { recursive: true, force: true })
  })

  /** For tests that are not about the first start: the cluster is there already. */
  const useCluster = (): void => copyDataDirectory(inject('usedDataDirectory'), dataDir)
  // Without durability unless the test is about it: no operating system crashes here, and it is several times as fast.
  const start = async (options: Partial<EmbeddedPostgresOptions> = {}) => {
    const server = await startEmbeddedPostgres({ dataDir, durability: 'none', ...options })
    running.push(server)
    return server
  }
  /** Another keyhound process with the same data directory. */
  const startProcess = async (
    before: readonly string[] = [],
    options: { uid?: number; gid?: number } = {},
  ) => {
    const [program = '', ...args] = before.concat(process.execPath, INSTANCE, dataDir)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options })
    children.push(child)
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    return { child, ...(JSON.parse(line) as { url: string; pid: number; reused: boolean }) }
  }

  test('listens on a Unix socket that only its user and root can reach, and commits durably', async () => {
    const server = await start({ durability: 'full' })
    const [settings] = await query(
      server.url(),
      `select current_setting('listen_addresses') as listen, current_setting('fsync') as fsync,
              current_setting('synchronous_commit') as sync, current_setting('full_page_writes') as pages,
              current_database() as database, inet_server_addr() as address`,
    )
    expect(settings).toEqual({
      listen: '',
      fsync: 'on',
      sync: 'on',
      pages: 'on',
      database: 'keyhound',
      address: null,
    })
    expect(statSync(join(dataDir, 'postgres')).mode & 0o777).toBe(0o700)
    expect(await query(server.url('postgres'), 'select current_database() as database')).toEqual([
      { database: 'postgres' },
    ])
  })

  test('is found by its URL whatever the variables of PostgreSQL’s own clients say', async () => {
    useCluster()
    for (const [name, value] of Object.entries({
      PGPORT: '1',
      PGHOST: 'nowhere',
      PGSSLMODE: 'require',
      PGUSER: 'x',
    })) {
      vi.stubEnv(name, value)
    }
    const server = await start()
    expect(await query(server.url(), 'select current_user::text as user')).toEqual([{ user: 'keyhound' }])
    vi.unstubAllEnvs()
  })

  test('never runs as root, and as nobody else than us when we are not root', async () => {
    const { pid } = await start()
    const we = process.geteuid?.() ?? 0
    const owner = statSync(`/proc/${pid}`).uid
    expect(owner).not.toBe(0)
    if (we !== 0) expect(owner).toBe(we)
  })

  test('has a session of its own, so that Ctrl-C in the terminal reaches only keyhound', async () => {
    useCluster()
    const { pid } = await start()
    expect(sessionOf(pid)).toBe(pid)
  })

  test('keeps its data from one start to the next', async () => {
    useCluster()
    const first = await start()
    await query(first.url(), 'create table kept as select 42 as answer')
    await first.stop()
    expect(isServing(first.pid, join(dataDir, 'postgres'))).toBe(false)
    const second = await start()
    expect(second.reused).toBe(false)
    expect(await query(second.url(), 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test('starts for a user who is not root', async () => {
    // Root tries it as nobody; where nobody may not read this checkout, with the right to read all files.
    const root = process.geteuid?.() === 0
    const { uid, gid } = { uid: 65_534, gid: 65_534 }
    const nobody = { name: 'nobody', uid, gid, foreign: true }
    if (root) chmodSync(dataDir, 0o777)
    const caps = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override']
    const setpriv = ['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups', ...caps]
    const readable = !root || (mayAccess(nobody, 'r', INSTANCE) && mayAccess(nobody, 'x', process.execPath))
    const { child, url, pid } = readable
      ? await startProcess([], root ? { uid, gid } : {})
      : await startProcess(setpriv)
    expect(statSync(`/proc/${pid}`).uid).toBe(root ? uid : process.geteuid?.())
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false)
  })

  test('after kill -9 of the process that started it, starts again with what was committed', async () => {
    useCluster()
    const killed = await startProcess()
    await query(killed.url, 'create table kept as select 42 as answer')
    killed.child.kill('SIGKILL')
    await once(killed.child, 'exit')
    const next = await start()
    expect(await query(next.url(), 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test('a second keyhound shares it; the first to stop does not end it, the last does', async () => {
    useCluster()
    const first = await start()
    const second = await startProcess()
    expect([second.reused, second.pid]).toEqual([true, first.pid])
    const client = await connected(second.url)
    await first.stop()
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await client.end()
    second.child.kill('SIGTERM')
    await once(second.child, 'exit')
    expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false)
  })

  test('when the process that started it is killed, a second keyhound brings it back under the same URL', async () => {
    useCluster()
    const first = await startProcess()
    const notices = new Arrivals<string>('notices')
    const second = await start({ onNotice: (message) => notices.add(message) })
    expect(second.reused).toBe(true)
    first.child.kill('SIGKILL')
    await notices.waitFor(2)
    expect(notices.all).toEqual([
      'the embedded PostgreSQL went away; bringing it back',
      'the embedded PostgreSQL was started again',
    ])
    expect(second.pid).not.toBe(first.pid)
    expect(await query(first.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('when it dies although nobody asked it to, it is started again', async () => {
    useCluster()
    const notices = new Arrivals<string>('notices')
    const server = await start({ durability: 'full', onNotice: (message) => notices.add(message) })
    await query(server.url(), 'create table kept as select 42 as answer')
    const { pid } = server
    process.kill(pid, 'SIGKILL')
    await notices.waitFor(2)
    expect(server.pid).not.toBe(pid)
    expect(await query(server.url(), 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test('a lock file whose process number now belongs to something else does not stop it', async () => {
    useCluster()
    const server = await start()
    await server.stop()
    const lock = [process.pid, join(dataDir, 'postgres'), 1, 5432, '.', '', '  1  1', 'ready   ', ''].join(
      '\n',
    )
    writeFileSync(join(dataDir, 'postgres', 'postmaster.pid'), lock)
    writeFileSync(join(dataDir, 'postgres', '.s.PGSQL.5432.lock'), lock)
    const next = await start()
    expect(next.reused).toBe(false)
    expect(await query(next.url(), 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('two keyhounds that start at the same moment on an empty directory end up with one server', async () => {
    const both = await Promise.all([start(), startProcess()])
    expect(new Set(both.map(({ pid }) => pid)).size).toBe(1)
  })

  test('what a start left that was killed while it made the cluster is swept away', async () => {
    const dead = join(dataDir, 'postgres.init-99999999-abcdef')
    mkdirSync(dead)
    await start()
    expect(readdirSync(dataDir).filter((name) => name.includes('.init-'))).toEqual([])
  })

  test('a path too long for a socket is an error that says so', async () => {
    const long = join(dataDir, 'x'.repeat(100))
    await expect(startEmbeddedPostgres({ dataDir: long })).rejects.toThrow(
      /too long for a Unix socket: .* has \d+ bytes, and 107 are allowed. Set KEYHOUND_DATA_DIR to a shorter path/,
    )
  })

  test('a data directory that the server cannot use is an error that says what to set', async () => {
    chmodSync(dataDir, process.geteuid?.() === 0 ? 0o700 : 0o500)
    await expect(startEmbeddedPostgres({ dataDir: join(dataDir, 'inner') })).rejects.toThrow(
      /(who may not enter|cannot be made).*Set KEYHOUND_DATA_DIR to/s,
    )
    chmodSync(dataDir, 0o700)
  })

  test('a cluster it cannot start is an error with the server’s own reason', async () => {
    useCluster()
    const server = await start()
    await server.stop()
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '9.6\n')
    await expect(start()).rejects.toThrow(/does not start: .*9\.6/s)
  })

  test('stopping cuts off a client that does not go by itself', async () => {
    useCluster()
    const server = await start()
    const client = await connected(server.url())
    const ended = new Promise((resolve) => client.once('end', resolve))
    await Promise.all([server.stop(), server.stop()])
    await ended
    expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false)
  })
})

test('the process that runs the tests is no PostgreSQL server', () => {
  expect(isServing(process.pid, '/')).toBe(false)
  expect(postgresAccount('/nowhere').uid).not.toBe(0)
})

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = await connected(url)
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

function sessionOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const SESSION = 3 // proc(5): after the name come state, ppid, pgrp, session
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[SESSION])
}
