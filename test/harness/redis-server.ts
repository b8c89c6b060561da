import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** A Redis of our own on a free port of the loopback interface; nothing it holds survives it, unless it keeps a file. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Ends the process as `kill -9` does, and waits until it is gone. */
  kill(): Promise<void>
}

const INSTALL_HINT =
  'The tests need a Redis server: "apt-get install redis-server" (sh scripts/test does it where it may), ' +
  'or set KEYHOUND_TEST_REDIS_URL to a Redis whose data may be deleted.'

/**
 * Starts `redis-server` or `valkey-server` from PATH.
 * @param options.port the port to use, to bring back a server under its old address; default a free one.
 * @param options.keepIn a directory of the caller's that the server writes what it is told into, and reads at its start.
 * @throws with what to install when there is none.
 */
export async function startRedisServer(
  options: { port?: number; maxmemoryPolicy?: string; keepIn?: string } = {},
): Promise<RedisServer> {
  const program = ['redis-server', 'valkey-server'].find(
    (name) => spawnSync(name, ['--version']).status === 0,
  )
  if (!program) throw new Error(INSTALL_HINT)
  const port = options.port ?? (await freePort())
  const directory = options.keepIn ?? mkdtempSync(join(tmpdir(), `kh-test-redis-${process.pid}-`))
  const settings = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    directory,
    '--save',
    '',
    '--appendonly',
    options.keepIn === undefined ? 'no' : 'yes',
  ]
  const policy = ['--databases', '1024', '--maxmemory-policy', options.maxmemoryPolicy ?? 'noeviction']
  const command = [program, ...settings, ...policy]
  // On Linux the kernel ends it with us, so that an aborted run leaves nothing behind.
  const dying = spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0
  const [first = program, ...rest] = dying ? ['setpriv', '--pdeathsig', 'KILL', ...command] : command
  const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += String(chunk)))
  const url = `redis://127.0.0.1:${port}`
  await untilReady(child, url, () => log)
  return {
    url,
    port,
    kill: async () => {
      const gone = once(child, 'exit')
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await gone
      if (options.keepIn === undefined) rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function untilReady(child: ChildProcess, url: string, log: () => string): Promise<void> {
  const deadline = performance.now() + 15_000
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.ping()
      return
    } catch {
      await delay(20)
    } finally {
      client.disconnect()
    }
  }
  child.kill('SIGKILL')
  throw new Error(`redis-server did not start:\n${log()}`)
}

/** A port nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
