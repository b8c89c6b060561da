#!/usr/bin/env node
// Plain CommonJS on purpose: it must run on any Node, to find a Node >= 24 before any of our code is loaded.
'use strict'
const { existsSync, readFileSync, statSync } = require('node:fs')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')

const WANTED = 24
const root = join(__dirname, '..')
const entry = program()
// Half of a start is compiling. Beside the code, not in the temporary directory: what is kept there is run. Where that
// cannot be written nothing is kept.
const compiled = join(root, 'node_modules', '.cache', 'keyhound')
const flags = flagsOf(process.argv[2])
const environment = { NODE_COMPILE_CACHE: compiled, ...tunablesOf(process.argv[2]), ...process.env }

if (Number(process.versions.node.split('.')[0]) >= WANTED) {
  // V8 reads these flags when it starts, so this process starts anew in its own place: same number, same streams. Not
  // with a channel to whoever forked it: that would not survive.
  if (flags.length > 0 && process.execve !== undefined && process.channel === undefined) {
    const args = [process.execPath, ...process.execArgv, ...flags, entry, ...process.argv.slice(2)]
    process.execve(process.execPath, args, environment)
  }
  require('node:module').enableCompileCache(compiled)
  import(pathToFileURL(entry).href).catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
} else {
  const { spawn } = require('node:child_process')
  const { constants } = require('node:os')
  const node = packagedNode()
  if (node === undefined) {
    console.error(
      `keyhound needs Node ${WANTED} or newer; this is ${process.version}, and no packaged Node was installed for ` +
        `${process.platform}-${process.arch}. Install Node ${WANTED}, or run "npm ci" without --omit=optional.`,
    )
    process.exit(1)
  }
  // stdio is inherited and signals are passed on, so that the child is indistinguishable from this process. The extra
  // channel lets the child notice that this process was killed with -9, and end as if it had been killed itself.
  const child = spawn(node, [...flags, entry, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...environment, KEYHOUND_LAUNCHER: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`keyhound could not start ${node}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)))
}

/** Flags of V8, by what is run. Measured in docs/performance.md, "Memory" and "Backtest". */
function flagsOf(command) {
  // For what runs long. V8 would keep 128 MB for new objects, of which a few are in use, and let dead ones pile up to
  // several times the live ones before it looks. It begins with room for so few that a start is held up again and again.
  if (command === 'start' || command === 'demo')
    return ['--min-semi-space-size=4', '--max-semi-space-size=8', '--heap-growing-percent=30']
  // What a key did of late lives for two hours of event time and then dies: with room for that it dies young, and is
  // not copied again and again.
  // And what is read is read in batches, one of which is alive whenever V8 looks: it would take that for a sign that they
  // live long, and put all of them where only a full collection finds them.
  // A backtest is over in seconds or runs for minutes: to compile everything twice, quickly and then well, does not pay.
  if (command === 'backtest')
    return [
      '--min-semi-space-size=64',
      '--max-semi-space-size=64',
      '--no-allocation-site-pretenuring',
      '--no-maglev',
    ]
  return []
}

/** Of glibc; nothing else looks at it. A backtest fills 100 MB with places at once: page by page that takes a quarter of a second. */
function tunablesOf(command) {
  return command === 'backtest' ? { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' } : {}
}

/**
 * What to run: the bundle of `npm run build`, which loads in a fraction of the time. A checkout runs its sources unless
 * the bundle was made from exactly these, so that an old one never shadows an edit; the published package has no sources.
 */
function program() {
  const bundle = join(root, 'dist', 'bundle', 'main.js')
  const source = join(root, 'src', 'cli', 'main.ts')
  if (existsSync(source)) return isFresh(join(root, 'dist', 'bundle', 'made-from.json')) ? bundle : source
  return existsSync(bundle) ? bundle : join(root, 'dist', 'cli', 'main.js')
}

/** Whether the files that the bundle was made from are as they were: by time and size, else by what is in them. */
function isFresh(list) {
  try {
    return JSON.parse(readFileSync(list, 'utf8')).every(([path, size, mtimeMs, sha256]) => {
      const file = join(root, path)
      const found = statSync(file)
      if (found.size !== size) return false
      return found.mtimeMs === mtimeMs || hashOf(file) === sha256
    })
  } catch {
    return false // there is no bundle, or a file of it is gone
  }
}

/** node:crypto takes a fiftieth of a second to load, and is not needed where no time differs. */
function hashOf(file) {
  const { createHash } = require('node:crypto')
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

/** The path of the Node binary that the optional platform package brought, or undefined. */
function packagedNode() {
  try {
    const manifest = require.resolve(`node-${process.platform}-${process.arch}/package.json`, { paths: [root] })
    const binary = join(manifest, '..', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    return existsSync(binary) ? binary : undefined
  } catch {
    return undefined
  }
}
