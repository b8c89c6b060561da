import { afterAll } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { MemoryEngineStore } from '../../src/store/memory/engine-store.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { engineStoreContract } from './engine-store-contract.ts'

const databases: Database[] = []
afterAll(async () => {
  await Promise.all(databases.map((db) => db.destroy()))
})

engineStoreContract('Postgres', async () => {
  const db = openDatabase(await testDatabase())
  databases.push(db)
  const writer = createUsageWriter(db, new ManualClock(SOME_TIME_MS))
  return {
    store: createEngineStore(db, { settleMs: 0 }),
    add: async (events) => {
      await writer.write({ events, rejected: [] })
    },
  }
})

engineStoreContract('memory', () => {
  const store = new MemoryEngineStore()
  return Promise.resolve({
    store,
    add: (events) => {
      for (const event of events) store.add(event)
      return Promise.resolve()
    },
  })
})
