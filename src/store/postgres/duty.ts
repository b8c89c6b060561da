import { sql } from 'kysely'
import type { Database } from './database.ts'

/**
 * Takes a turn of a duty that all replicas share. False when this turn, or a later one, was taken before. In a
 * transaction the turn is taken together with what it is for, or not at all.
 */
export async function takeTurn(db: Database, name: string, turnMs: number): Promise<boolean> {
  const { rows } = await sql`
    insert into duty as d (name, turn_at)
    values (${name}, ${new Date(turnMs)})
    on conflict (name) do update set turn_at = excluded.turn_at where d.turn_at < excluded.turn_at
    returning name`.execute(db)
  return rows.length === 1
}

/** When the duty's newest turn was; undefined before the first. */
export async function lastTurnMs(db: Database, name: string): Promise<number | undefined> {
  const row = await db.selectFrom('duty').select('turn_at').where('name', '=', name).executeTakeFirst()
  return row?.turn_at.getTime()
}
