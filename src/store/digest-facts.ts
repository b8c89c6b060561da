import type { DetectorName, Severity } from '../detect/finding.ts'
import type { Verdict } from '../alert/alert.ts'
import type { LedgerEntry } from './revocation-store.ts'
import type { ListedSilence } from './silence-store.ts'

/** What happened in a span of time: what the digest is made of. `undefined` is "could not be found out", not zero. */
export interface DigestFacts {
  readonly from: Date
  readonly to: Date
  readonly usage: UsageFacts | undefined
  /** Alerts that were opened. */
  readonly alerts: readonly {
    readonly detector: DetectorName
    readonly severity: Severity
    readonly count: number
  }[]
  /** In the span of the same length before. */
  readonly alertsBefore: number
  /** Keys with the most alerts, most first, and the detector that made most of them. */
  readonly keys: readonly {
    readonly keyId: string
    readonly alerts: number
    readonly detector: DetectorName
  }[]
  readonly keysWithAlerts: number
  /** What people said of these alerts. */
  readonly verdicts: readonly {
    readonly detector: DetectorName
    readonly verdict: Verdict
    readonly count: number
  }[]
  /** Alerts that are open at the end. */
  readonly open: number
  /** In force at the end. */
  readonly silences: readonly ListedSilence[]
  readonly channels: readonly ChannelFacts[]
  readonly ledger: readonly LedgerEntry[]
  /** Refused events by reason, most first. */
  readonly rejected: readonly { readonly reason: string; readonly count: number }[]
  /** What was wrong with keyhound itself, by condition. */
  readonly problems: readonly { readonly topic: string; readonly count: number }[]
}

export interface UsageFacts {
  readonly requests: number
  readonly costNanoUsd: number
  /** Successful requests, and those of them whose cost nobody knows. */
  readonly successful: number
  readonly unpriced: number
  readonly keys: number
}

export interface ChannelFacts {
  readonly channel: string
  readonly delivered: number
  readonly failed: number
  /** Not yet delivered at the end. */
  readonly waiting: number
  readonly brokenSince: Date | undefined
  readonly lastError: string | undefined
}
