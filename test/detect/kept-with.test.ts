import { expect, test } from 'vitest'
import { keptWith } from '../../src/detect/kept-with.ts'

test('what is kept with an object is found again, replaced, and kept apart from what others keep with it', () => {
  const [lengths, names] = [keptWith<object, number>(), keptWith<object, string>()]
  const owner = { n: 1 }
  expect(lengths.get(owner)).toBeUndefined()
  lengths.set(owner, 1)
  names.set(owner, 'one')
  lengths.set(owner, 2)
  expect([lengths.get(owner), names.get(owner)]).toEqual([2, 'one'])
  expect(lengths.get({ n: 1 })).toBeUndefined()
})

test('nobody else sees it, and a copy does not have it', () => {
  const kept = keptWith<object, number>()
  for (const owner of [{ n: 1 }, [1]]) {
    const before = JSON.stringify(owner)
    kept.set(owner, 7)
    expect(JSON.stringify(owner)).toBe(before)
    expect(Reflect.ownKeys(owner)).toEqual(Reflect.ownKeys(JSON.parse(before) as object))
    expect(kept.get(structuredClone(owner))).toBeUndefined()
    expect(kept.get(owner)).toBe(7)
  }
  const profile = { n: 1 }
  kept.set(profile, 7)
  expect(kept.get({ ...profile })).toBeUndefined()
})
