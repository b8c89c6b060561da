import { testDatabase } from '../harness/database.ts'
import { testRedisUrl } from '../harness/redis.ts'
import { BREAKS, BREAKS_IN_TEXT, ingestContract } from './ingest-contract.ts'

ingestContract('Redis', async () => ({ redisUrl: await testRedisUrl(), databaseUrl: await testDatabase() }), [
  ...BREAKS,
  ...BREAKS_IN_TEXT,
])
