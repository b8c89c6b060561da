import { StoreUnavailableError } from '../store/usage-store.ts'

/**
 * SQLSTATE classes that speak of the data: cardinality, data exception, integrity, program limit (a value too long for
 * an index). Every other class (a full disk, a missing table, a deadlock) would refuse good events as well.
 */
const DATA_CLASSES = new Set(['21', '22', '23', '54'])

/**
 * True when the database refused what it was given, so that trying again cannot help. An error that carries no SQLSTATE
 * and is no StoreUnavailableError is unclear: it counts as a refusal once `unclearToo` is set.
 */
export function isDataRefusal(error: unknown, unclearToo: boolean): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof StoreUnavailableError) return false
    const { code } = cause as { code?: unknown }
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return DATA_CLASSES.has(code.slice(0, 2))
    // ECONNREFUSED and its like.
    if (typeof code === 'string' && /^E[A-Z]/.test(code)) return false
  }
  return unclearToo
}
