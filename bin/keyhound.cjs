#!/usr/bin/env node
// Plain CommonJS on purpose: it must run on any Node, to find a Node >= 24 before any of our code is loaded.
'use strict'
const { existsSync } = require('node:fs')
const { join } = require('node:path')
const { spawn } = require('node:child_process')
const { constants } = require('node:os')
const { pathToFileURL } = require('node:url')

const WANTED = 24
const root = join(__dirname, '..')
const built = join(root, 'dist', 'cli', 'main.js')
const source = join(root, 'src', 'cli', 'main.ts')
// A checkout runs its sources, so that an old dist never shadows an edit; the published package has only dist.
const entry = existsSync(source) ? source : built
// Half of a start is compiling. Beside the code, not in the temporary directory: what is kept there is run. Where that
// cannot be written nothing is kept.
const compiled = join(root, 'node_modules', '.cache', 'keyhound')

if (Number(process.versions.node.split('.')[0]) >= WANTED) {
  require('node:module').enableCompileCache(compiled)
  import(pathToFileURL(entry).href).catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
} else {
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
  const child = spawn(node, [entry, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { NODE_COMPILE_CACHE: compiled, ...process.env, KEYHOUND_LAUNCHER: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`keyhound could not start ${node}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)))
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
