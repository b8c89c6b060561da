import { sql } from 'kysely'
import type { Profile } from '../../detect/profile.ts'
import { silentFromMs } from '../../detect/silence.ts'
import type { Database } from './database.ts'

/**
 * Stores profiles, and in the same transaction takes the hours that they have learnt off the list of hours to learn.
 * Returns the keys whose profile was stored (what is stored already may be newer), each with the version of its row.
 */
export async function saveProfiles(db: Database, saved: readonly Profile[]): Promise<Map<string, string>> {
  if (saved.length === 0) return new Map()
  const keyIds = saved.map((profile) => profile.keyId)
  const learnedUntil = saved.map((profile) => new Date(profile.learnedUntilMs).toISOString())
  const silentFrom = saved.map((profile) => silentFromMs(profile)).map(isoOrNull)
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ key_id: string; version: string }>`
      insert into profile (key_id, learned_until, silent_from, state)
      select key_id, learned_until, silent_from, state
      from unnest(${keyIds}::text[], ${learnedUntil}::timestamptz[], ${silentFrom}::timestamptz[], ${saved.map((profile) => JSON.stringify(profile))}::json[])
        as saved (key_id, learned_until, silent_from, state)
      order by key_id collate "C"
      on conflict (key_id) do update set
        learned_until = excluded.learned_until, silent_from = excluded.silent_from, state = excluded.state
      where profile.learned_until < excluded.learned_until
      returning key_id, xmin::text as version`.execute(trx)
    await sql`
      delete from unlearnt_hour as u
      using (
        select u.hour, u.key_id
        from unlearnt_hour as u
        join unnest(${keyIds}::text[], ${learnedUntil}::timestamptz[]) as saved (key_id, learned_until)
          on saved.key_id = u.key_id
        where u.hour < saved.learned_until
        order by u.hour, u.key_id
        for update of u
      ) as learnt
      where u.hour = learnt.hour and u.key_id = learnt.key_id`.execute(trx)
    return new Map(rows.map((row) => [row.key_id, row.version]))
  })
}

function isoOrNull(atMs: number | undefined): string | null {
  return atMs === undefined ? null : new Date(atMs).toISOString()
}
