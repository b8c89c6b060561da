import type { Database } from './database.ts'

/** One act of a person or of the policy. */
export interface AuditLine {
  readonly at: Date
  /** `policy`, or the name of a person or token. */
  readonly actor: string
  /** What was done: `alert.acknowledged`, `key.revoked`, ... */
  readonly action: string
  readonly keyId?: string | undefined
  /** Id of the alert or revocation. */
  readonly subject?: string | undefined
  readonly detail?: Readonly<Record<string, string | null>> | undefined
}

/** Appends to the audit, in the transaction of the act itself. */
export async function appendAudit(db: Database, lines: readonly AuditLine[]): Promise<void> {
  if (lines.length === 0) return
  await db
    .insertInto('audit')
    .values(
      lines.map((line) => ({
        at: line.at,
        actor: line.actor,
        action: line.action,
        key_id: line.keyId ?? null,
        subject: line.subject ?? null,
        detail: JSON.stringify(line.detail ?? {}),
      })),
    )
    .execute()
}

/** What was done to a key, newest first. */
export async function auditOfKey(db: Database, keyId: string, limit: number): Promise<AuditLine[]> {
  const rows = await db
    .selectFrom('audit')
    .selectAll()
    .where('key_id', '=', keyId)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    at: row.at,
    actor: row.actor,
    action: row.action,
    keyId: row.key_id ?? undefined,
    subject: row.subject ?? undefined,
    detail: row.detail,
  }))
}
