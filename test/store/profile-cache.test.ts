import { afterAll, expect, test } from 'vitest'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { openDatabase } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { ProfileCache } from '../../src/store/postgres/profile-cache.ts'
import { HOUR_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

const db = openDatabase(await testDatabase())
afterAll(() => db.destroy())

function profile(keyId: string, hours: number): Profile {
  const empty = emptyProfile({ keyId, firstSeenMs: SOME_TIME_MS, timeZone: 'UTC' })
  return { ...empty, learnedUntilMs: SOME_TIME_MS + hours * HOUR_MS, events: hours }
}

test('a profile that has not changed is the same object at the next tick', async () => {
  const store = createEngineStore(db)
  await store.saveProfiles([profile('key-1', 1), profile('key-2', 1)])
  const first = await store.profiles(['key-1', 'key-2', 'nobody'])
  const again = await store.profiles(['key-2', 'key-1'])
  expect([...first.keys()].toSorted()).toEqual(['key-1', 'key-2'])
  expect(again.get('key-1')).toBe(first.get('key-1'))
})

test('what another process learnt is seen at the next tick, and only that is read again', async () => {
  const [here, elsewhere] = [createEngineStore(db), createEngineStore(db)]
  await here.saveProfiles([profile('key-3', 1), profile('key-4', 1)])
  const before = await here.profiles(['key-3', 'key-4'])
  await elsewhere.saveProfiles([profile('key-3', 2)])
  const after = await here.profiles(['key-3', 'key-4'])
  expect(after.get('key-3')).toEqual(profile('key-3', 2))
  expect(after.get('key-4')).toBe(before.get('key-4'))
})

test('a key whose profile was deleted has none, and one that is learnt anew to the same hour has the new one', async () => {
  const store = createEngineStore(db)
  await store.saveProfiles([profile('key-5', 1)])
  await store.profiles(['key-5'])
  await db.deleteFrom('profile').where('key_id', '=', 'key-5').execute()
  expect(await store.profiles(['key-5'])).toEqual(new Map())
  const anew = { ...profile('key-5', 1), events: 77 }
  await store.saveProfiles([anew])
  expect(await store.profiles(['key-5'])).toEqual(new Map([['key-5', anew]]))
})

test('of more profiles than are kept as they are, those put aside come back the same, and as others have changed them', async () => {
  const store = createEngineStore(db)
  const keyIds = Array.from({ length: 7 }, (_, n) => `many-${n}`)
  const saved = keyIds.map((keyId, n) => profile(keyId, n + 1))
  await store.saveProfiles(saved)
  const cache = new ProfileCache({ kept: 2 })
  const all = new Map(saved.map((each) => [each.keyId, each]))
  for (let turn = 0; turn < 3; turn += 1) expect(await cache.read(db, keyIds)).toEqual(all)
  const changed = profile('many-1', 50)
  await store.saveProfiles([changed])
  await db.deleteFrom('profile').where('key_id', '=', 'many-2').execute()
  all.delete('many-2')
  for (let turn = 0; turn < 2; turn += 1)
    expect(await cache.read(db, keyIds)).toEqual(new Map([...all, ['many-1', changed]]))
})
