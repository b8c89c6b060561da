import type { LedgerEntry } from './revocation-store.ts'

/** What the ledger comes to: how many keys, and what people said of them. */
export interface LedgerSummary {
  /** Keys that were revoked, or would have been in mode auto. */
  readonly acted: number
  readonly compromised: number
  /** Judged expected or safe: to revoke them was, or would have been, wrong. */
  readonly harmless: number
  readonly unjudged: number
  /** Keys that were only held back: protected, too young, capped, halted. */
  readonly heldBack: number
  /** Of those, the ones that people called compromised: what the brakes cost. */
  readonly heldBackCompromised: number
}

export function ledgerSummary(entries: readonly LedgerEntry[]): LedgerSummary {
  const acted = entries.filter(({ state }) => state !== 'refused')
  const heldBack = entries.filter(({ state }) => state === 'refused')
  const count = (some: readonly LedgerEntry[], ...verdicts: readonly LedgerEntry['verdict'][]): number =>
    some.filter(({ verdict }) => verdicts.includes(verdict)).length
  return {
    acted: acted.length,
    compromised: count(acted, 'compromised'),
    harmless: count(acted, 'expected', 'safe'),
    unjudged: count(acted, undefined),
    heldBack: heldBack.length,
    heldBackCompromised: count(heldBack, 'compromised'),
  }
}
