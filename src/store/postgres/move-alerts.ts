import { sql } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import { maintenanceLabel } from '../../alert/maintenance.ts'
import { moveOf, type Move, type Mute } from '../../alert/mute.ts'
import { muteOfSilence } from '../../alert/silence.ts'
import { toAlert } from './alert-row.ts'
import type { Database } from './database.ts'
import { keyAttributes } from './key-row.ts'
import { silencesInForce, toSilence } from './silence-row.ts'

const ACTOR = 'keyhound'

export interface Moved {
  readonly alert: Alert
  readonly move: Move
}

/**
 * The open alerts that fall silent or can be heard again at an instant: silences and maintenance windows begin and end,
 * acknowledgements run out, alerts become worse than a silence covers. Changes nothing.
 */
export async function dueMoves(
  db: Database,
  { mutes: windows, nowMs }: { readonly mutes: readonly Mute[]; readonly nowMs: number },
): Promise<Moved[]> {
  const mutes = [...(await silencesInForce(db, nowMs)).map(muteOfSilence), ...windows]
  const rows = await db
    .selectFrom('alert')
    .selectAll()
    .where('status', '<>', 'resolved')
    .where(
      sql<boolean>`(status = 'silenced' or acknowledged_until <= ${new Date(nowMs)} or (status = 'firing' and ${mutes.length > 0}))`,
    )
    .orderBy('opened_at')
    .orderBy('id')
    .execute()
  if (rows.length === 0) return []
  const keys = await keyAttributes(
    db,
    rows.map((row) => row.key_id),
  )
  const labels = await labelsOf(
    db,
    rows.flatMap((row) => row.silenced_by ?? []),
  )
  return rows.map(toAlert).flatMap((alert) => {
    const key = keys.get(alert.keyId) ?? { keyId: alert.keyId, teamId: undefined, environment: undefined }
    const move = moveOf(alert, key, { mutes, nowMs, labelOf: (id) => labels.get(id) ?? id })
    return move === undefined ? [] : [{ alert, move }]
  })
}

/** What silences and windows are called, also those that are over. */
async function labelsOf(db: Database, muteIds: readonly string[]): Promise<Map<string, string>> {
  const labels = new Map<string, string>()
  for (const id of muteIds) {
    if (id.startsWith('maintenance:')) labels.set(id, maintenanceLabel(id.slice('maintenance:'.length)))
  }
  const silenceIds = muteIds
    .filter((id) => id.startsWith('silence:'))
    .map((id) => id.slice('silence:'.length))
  if (silenceIds.length === 0) return labels
  const rows = await db.selectFrom('silence').selectAll().where('id', 'in', silenceIds).execute()
  for (const mute of rows.map(toSilence).map(muteOfSilence)) labels.set(mute.id, mute.label)
  return labels
}

/** Carries the moves out, with their history. Runs in a transaction, under the alerting lock. */
export async function applyMoves(db: Database, moves: readonly Moved[], now: Date): Promise<void> {
  for (const { alert, move } of moves) {
    await db
      .updateTable('alert')
      .set(
        move.kind === 'release'
          ? {
              status: 'firing',
              silenced_by: null,
              acknowledged_until: null,
              released_at: now,
              release_reason: move.reason,
            }
          : { status: 'silenced', silenced_by: move.mute.id, acknowledged_until: null },
      )
      .where('id', '=', alert.id)
      .execute()
    if (move.kind !== 'release' && move.mute.id.startsWith('silence:')) {
      await db
        .updateTable('silence')
        .set((set) => ({ silenced: set('silenced', '+', 1) }))
        .where('id', '=', move.mute.id.slice('silence:'.length))
        .execute()
    }
  }
  if (moves.length === 0) return
  await db
    .insertInto('alert_history')
    .values(
      moves.map(({ alert, move }) => ({
        alert_id: alert.id,
        at: now,
        change: move.kind === 'release' ? ('released' as const) : ('silenced' as const),
        severity: alert.severity,
        actor: ACTOR,
        note: move.kind === 'release' ? move.reason : `by ${move.mute.label}`,
      })),
    )
    .execute()
}
