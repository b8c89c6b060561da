import type { Path } from './problem.ts'
import type { AlertsFile } from './schema.ts'
import { valueAt } from './value-at.ts'

type Report = (path: Path, message: string, at?: 'key' | 'value') => void

/** What is impossible in the section `revoke`. Looks at what was written. */
export function revokeErrors(input: unknown, error: Report): void {
  const mode = valueAt(input, ['revoke', 'mode'])
  const actions = actionPaths(input)
  if ((mode === 'approve' || mode === 'auto') && actions.length === 0) {
    error(
      ['revoke', 'mode'],
      `mode ${mode} needs revoke.action, which says how a key is revoked; or set mode: dry_run`,
    )
  }
  for (const path of actions) {
    const action = valueAt(input, path)
    if (valueAt(action, ['do']) !== 'delete' || valueAt(action, ['irreversible']) === true) continue
    error(
      [...path, 'do'],
      'delete removes keys for good and nothing brings them back: add irreversible: true if you mean it, or do: throttle',
    )
  }
}

/** `revoke.action` and those of `revoke.actions`, as far as they are written. */
function actionPaths(input: unknown): Path[] {
  const listed = valueAt(input, ['revoke', 'actions'])
  const several = Array.isArray(listed)
    ? listed.map((_, index) => ['revoke', 'actions', index, 'action'])
    : []
  return [['revoke', 'action'], ...several].filter((path) => valueAt(input, path) !== undefined)
}

/** What is allowed in the section `revoke` but probably not meant. */
export function revokeWarnings({ revoke }: AlertsFile, warn: Report): void {
  const { mode, protect, max_per_hour: maxPerHour } = revoke
  if (mode !== 'approve' && mode !== 'auto') return
  if (mode === 'auto' && maxPerHour === 0) warn(['revoke', 'max_per_hour'], 'is 0: no key is ever revoked')
  if (protect.some((pattern) => /^\*+$/.test(pattern)))
    warn(['revoke', 'protect'], 'protects every key: none is ever revoked')
  if (mode === 'auto' && protect.length === 0) {
    warn(
      ['revoke', 'mode'],
      'keys are revoked without asking, and revoke.protect names none that must never be',
    )
  }
  const { detectors } = revoke.when
  if (mode === 'auto' && detectors?.every((name) => PLACES.includes(name)) === true) {
    warn(
      ['revoke', 'when', 'detectors'],
      'names detectors of places only, and place alone never revokes without asking',
    )
  }
  for (const path of actionPaths({ revoke })) {
    if (mode === 'auto' && valueAt({ revoke }, [...path, 'do']) === 'delete') {
      warn([...path, 'do'], 'keys are deleted without asking, and nothing brings them back')
    }
  }
}

const PLACES: readonly string[] = ['unusual_geo', 'impossible_travel']
