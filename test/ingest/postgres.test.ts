import { testDatabase } from '../harness/database.ts'
import { BREAKS, ingestContract } from './ingest-contract.ts'

ingestContract('PostgreSQL', async () => ({ databaseUrl: await testDatabase() }), BREAKS)
