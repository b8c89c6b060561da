import { announce } from '../../src/alert/announce.ts'
import type { Severity } from '../../src/detect/finding.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import type { Database } from '../../src/store/postgres/database.ts'
import { alertOf } from '../alert/alerts.ts'

/** Raises an alert on a key as a tick would, and puts its opening message into the outbox for the channels. */
export async function raiseAlert(
  db: Database,
  {
    keyId,
    channels,
    nowMs,
    severity = 'critical',
    windowStart,
  }: { keyId: string; channels: string[]; nowMs: number; severity?: Severity; windowStart?: Date },
): Promise<void> {
  const { detector, scope, summary, evidence: usual } = alertOf()
  const start = windowStart?.toISOString() ?? usual.window.start
  const evidence = { ...usual, window: { ...usual.window, start } }
  const key = { keyId, teamId: 'payments', environment: 'prod' }
  await createEngineStore(db).commit(
    {
      nowMs,
      findings: [{ finding: { detector, keyId, scope, severity, summary, evidence }, key, groupKey: keyId }],
      resolved: [],
    },
    (incident, alerts) => {
      const settings = { groupWaitMs: 0, repeatIntervalMs: 3_600_000 }
      const announcement = announce(incident, alerts, { settings, nowMs })
      return announcement && { announcement, channels }
    },
  )
}

/** The outbox, one line for each message: `channel state attempts`. */
export async function outbox(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('delivery')
    .select(['channel', 'type', 'state', 'attempts'])
    .orderBy('channel')
    .orderBy('created_at')
    .execute()
  return rows.map(({ channel, type, state, attempts }) => `${channel} ${type} ${state} ${attempts}`)
}
