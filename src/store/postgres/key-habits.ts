import { sql } from 'kysely'
import type { KeyHabit } from '../../detect/key-habit.ts'
import type { EngineStore } from '../engine-store.ts'
import type { Database } from './database.ts'

/** What keys tell of their fleet, of each the newest. In order of key, so that two writers never wait for one another. */
export async function saveHabits(db: Database, habits: readonly KeyHabit[]): Promise<void> {
  if (habits.length === 0) return
  const keyIds = habits.map(({ keyId }) => keyId)
  const learnedUntil = habits.map(({ untilMs }) => new Date(untilMs).toISOString())
  await sql`
    insert into key_habit (key_id, learned_until, habit)
    select key_id, learned_until, habit
    from unnest(${keyIds}::text[], ${learnedUntil}::timestamptz[], ${habits.map((habit) => JSON.stringify(habit))}::jsonb[])
      as saved (key_id, learned_until, habit)
    order by key_id collate "C"
    on conflict (key_id) do update set learned_until = excluded.learned_until, habit = excluded.habit
    where key_habit.learned_until < excluded.learned_until`.execute(db)
}

/** Reads the table once an hour and process: a few hundred bytes a key. */
export async function readHabits(
  db: Database,
  { sinceMs, limit }: Parameters<EngineStore['habits']>[0],
): Promise<KeyHabit[]> {
  const rows = await db
    .selectFrom('key_habit')
    .select('habit')
    .where('learned_until', '>=', new Date(sinceMs))
    .orderBy('key_id')
    .limit(limit)
    .execute()
  return rows.map(({ habit }) => habit)
}
