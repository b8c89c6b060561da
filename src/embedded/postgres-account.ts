import { spawnSync } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'

/** The user a PostgreSQL server runs as. */
export interface PostgresAccount {
  readonly name: string
  readonly uid: number
  readonly gid: number
  /** True when it is not the user of this process, so that files must be handed over and rights be tested. */
  readonly foreign: boolean
}

/**
 * PostgreSQL refuses to run as root. As root it therefore runs as the owner of the cluster when there is one already
 * (a cluster made by `nobody` must not stop working because somebody installed a `postgres` user), else as `postgres`,
 * else as `nobody`. Everybody else runs it as himself.
 * @throws when the cluster belongs to somebody else, or root finds no user to run it as.
 */
export function postgresAccount(clusterDir: string): PostgresAccount {
  const uid = process.geteuid?.() ?? 0
  const gid = process.getegid?.() ?? 0
  const owner = statSync(clusterDir, { throwIfNoEntry: false })
  if (uid !== 0) {
    if (owner && owner.uid !== uid) {
      throw new Error(
        `The database in ${clusterDir} belongs to user ${owner.uid}, and this process is user ${uid}. ` +
          'Start keyhound as that user (or as root), or set KEYHOUND_DATA_DIR to another directory.',
      )
    }
    return { name: String(uid), uid, gid, foreign: false }
  }
  if (owner && owner.uid !== 0)
    return { name: String(owner.uid), uid: owner.uid, gid: owner.gid, foreign: true }
  const account = lookUp('postgres') ?? lookUp('nobody')
  if (!account) {
    throw new Error(
      'PostgreSQL refuses to run as root, and this system has neither a user "postgres" nor a user "nobody". ' +
        'Start keyhound as another user, or set DATABASE_URL to a PostgreSQL server of your own.',
    )
  }
  return account
}

/** True when the account may do what `right` says with the path: `x` enter or execute, `r` read. */
export function mayAccess(account: PostgresAccount, right: 'x' | 'r', path: string): boolean {
  if (!account.foreign) return mayWe(right, path)
  // Asked of the kernel, as that user: owner, groups, ACLs and mount options all count, at every parent directory.
  const { status } = spawnSync('test', [`-${right}`, path], asAccount(account))
  return status === 0
}

/** The outermost directory on the way to `path` that the account may not enter. */
export function firstClosedDirectory(account: PostgresAccount, path: string): string | undefined {
  const parent = dirname(path)
  const above = parent === path ? undefined : firstClosedDirectory(account, parent)
  return above ?? (mayAccess(account, 'x', path) ? undefined : path)
}

/** Options for spawn: as this account, from a directory it can enter, without our environment. */
export function asAccount(account: PostgresAccount) {
  // PGDATA, PGPORT, LC_ALL and the like would change what the server does.
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' }
  return { cwd: '/', env, ...(account.foreign ? { uid: account.uid, gid: account.gid } : {}) }
}

function mayWe(right: 'x' | 'r', path: string): boolean {
  try {
    accessSync(path, right === 'x' ? constants.X_OK : constants.R_OK)
    return true
  } catch {
    return false
  }
}

function lookUp(name: string): PostgresAccount | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }))
  if (uid?.status !== 0 || gid?.status !== 0) return undefined
  return { name, uid: Number(uid.stdout), gid: Number(gid.stdout), foreign: true }
}
