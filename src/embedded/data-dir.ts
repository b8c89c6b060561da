import { join } from 'node:path'

/**
 * Where keyhound keeps its own state when nobody says otherwise: `KEYHOUND_DATA_DIR`, else `/var/lib/keyhound` for root,
 * else `$XDG_STATE_HOME/keyhound`, else `~/.local/state/keyhound`. Only names the directory; whoever writes creates it.
 */
export function dataDirectory(options: {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Effective user id; undefined on systems without one. */
  readonly uid: number | undefined
  readonly homeDirectory: string
}): string {
  const { env, uid, homeDirectory } = options
  if (env['KEYHOUND_DATA_DIR']) return env['KEYHOUND_DATA_DIR']
  if (uid === 0) return '/var/lib/keyhound'
  // The XDG specification: a relative XDG_STATE_HOME is invalid and to be ignored.
  const stateHome = env['XDG_STATE_HOME']?.startsWith('/')
    ? env['XDG_STATE_HOME']
    : join(homeDirectory, '.local', 'state')
  return join(stateHome, 'keyhound')
}
