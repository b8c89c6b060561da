import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { withDatabase } from './database-url.ts'

/**
 * The URL of a fresh, migrated database of its own (about 70 ms): keyhound's tables and BullMQ's. Call it in `beforeAll`,
 * or in a test that needs a database nobody else sees. It is not dropped; the whole server goes away with the run.
 */
export async function testDatabase(): Promise<string> {
  const admin = inject('adminDatabaseUrl')
  const template = inject('templateDatabase')
  const name = `${template.replace('template', 'test')}_${randomBytes(6).toString('hex')}`
  const client = new pg.Client({ connectionString: admin })
  await client.connect()
  try {
    await client.query(`create database ${name} template ${template} strategy file_copy`)
  } finally {
    await client.end()
  }
  return withDatabase(admin, name)
}
