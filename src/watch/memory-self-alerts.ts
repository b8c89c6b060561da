import { randomUUID } from 'node:crypto'
import type { ClaimedNotice, NoticeOutbox, SelfAlert, SelfAlertStore } from '../store/self-alert-store.ts'

interface Waiting {
  claimed: ClaimedNotice
  dueMs: number
  lockedUntilMs: number
}

/** Notices kept while no channel takes them: the oldest go first, a process has only so much memory. */
const NOTICES_MAX = 200

/** Self-alerts of this process alone: for when the database, which all replicas share, is away. */
export function memorySelfAlerts(): SelfAlertStore & NoticeOutbox {
  const open = new Map<string, SelfAlert>()
  const waiting: Waiting[] = []
  return {
    open: () => Promise.resolve([...open.values()]),
    move(decide, { targets, now }) {
      const moves = decide([...open.values()])
      for (const { alert } of moves.opened) open.set(alert.topic, alert)
      const repeated = moves.repeated.map(({ topic }) => topic)
      for (const topic of [...moves.goingOn, ...repeated]) change(open, topic, { lastBadAt: now })
      for (const topic of repeated) change(open, topic, { toldAt: now })
      for (const { topic } of moves.closed) open.delete(topic)
      for (const { notice } of [...moves.opened, ...moves.repeated, ...moves.closed]) {
        for (const channel of targets) {
          const id = randomUUID()
          const claimed = { id, channel, notice: { ...notice, id }, attempts: 0 }
          waiting.push({ claimed, dueMs: now.getTime(), lockedUntilMs: 0 })
        }
      }
      waiting.splice(0, Math.max(0, waiting.length - NOTICES_MAX))
      return Promise.resolve(moves)
    },
    claim(nowMs, leaseMs) {
      const due = waiting
        .filter(
          (each, index) => each.dueMs <= nowMs && each.lockedUntilMs <= nowMs && !hasEarlier(waiting, index),
        )
        .toSorted((a, b) => a.dueMs - b.dueMs)[0]
      if (due === undefined) return Promise.resolve(undefined)
      due.lockedUntilMs = nowMs + leaseMs
      const { claimed } = due
      due.claimed = { ...claimed, attempts: claimed.attempts + 1 }
      return Promise.resolve(claimed)
    },
    settle(id, outcome) {
      const index = waiting.findIndex(({ claimed }) => claimed.id === id)
      const found = waiting[index]
      if (found === undefined) return Promise.resolve()
      if (outcome.kind === 'retry') Object.assign(found, { dueMs: outcome.at.getTime(), lockedUntilMs: 0 })
      else waiting.splice(index, 1)
      return Promise.resolve()
    },
  }
}

function change(open: Map<string, SelfAlert>, topic: string, to: Partial<SelfAlert>): void {
  const alert = open.get(topic)
  if (alert !== undefined) open.set(topic, { ...alert, ...to })
}

/** True when an earlier notice of the same topic waits for the same channel: they must arrive in order. */
function hasEarlier(waiting: readonly Waiting[], index: number): boolean {
  const { channel, notice } = waiting[index]?.claimed ?? {}
  return waiting
    .slice(0, index)
    .some(({ claimed }) => claimed.channel === channel && claimed.notice.topic === notice?.topic)
}
