import { sql } from 'kysely'
import { DAY_MS } from '../../usage/duration.ts'
import type { Database } from './database.ts'

/** Looked for in the newest days first: a busy key has many events, and the newest one mostly has it. */
const REACHES_MS = [DAY_MS, 8 * DAY_MS, 35 * DAY_MS]

/** The value of `name` in the metadata of the key's newest usage event that has it. */
export async function keyMetadata(
  db: Database,
  { keyId, name, nowMs }: { readonly keyId: string; readonly name: string; readonly nowMs: number },
): Promise<string | undefined> {
  for (const reachMs of REACHES_MS) {
    const { rows } = await sql<{ value: string }>`
      select metadata ->> ${name} as value
      from usage_event
      where key_id = ${keyId} and ts >= ${new Date(nowMs - reachMs)} and metadata ->> ${name} is not null
      order by ts desc
      limit 1`.execute(db)
    if (rows[0] !== undefined) return rows[0].value
  }
  return undefined
}
