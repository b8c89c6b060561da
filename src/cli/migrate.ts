import { Command } from 'commander'
import { withSession } from './with-session.ts'

/** `keyhound migrate`: brings the schema up to date; safe to run from many replicas at once. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database schema up to date; safe to run from many replicas at once')
    .action(async () => {
      // Connecting does it: every process of keyhound makes sure of its schema, under a lock.
      await withSession(async ({ backends }) => {
        await Promise.resolve()
        console.error(`the schema is up to date${backends.embedded ? ' (embedded PostgreSQL)' : ''}`)
      })
    })
}
