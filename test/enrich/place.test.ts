import { expect, test } from 'vitest'
import { geoLitePlaces } from '../../src/enrich/place.ts'
import fc from '../harness/fast-check.ts'

const places = geoLitePlaces()

test.each([
  ['8.8.8.8', 'US'],
  ['2001:4860:4860::8888', 'US'],
  ['193.0.6.139', 'NL'],
  ['::ffff:8.8.8.8', 'US'],
])('%s is in %s', (ip, country) => {
  const place = places.find(ip)
  expect(place?.country).toBe(country)
  expect(Math.abs(place?.latitude ?? 99)).toBeLessThanOrEqual(90)
  expect(Math.abs(place?.longitude ?? 999)).toBeLessThanOrEqual(180)
  expect(places.find(ip)).toEqual(place) // now out of the cache
})

test.each([
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '127.0.0.1',
  '100.64.0.1',
  '169.254.1.1',
  '192.0.2.1',
  '224.0.0.1',
  '255.255.255.255',
  '0.0.0.0',
  '::1',
  '::',
  'fe80::1',
  'fc00::1',
  '2001:db8::1',
  'ff02::1',
  '::ffff:10.0.0.1',
  'no address',
  '',
])('%s is nowhere', (ip) => {
  expect(places.find(ip)).toBeUndefined()
  expect(places.find(ip)).toBeUndefined()
})

test('any address has a place with a country of two letters, or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
      expect(places.find(ip)?.country ?? 'XX').toMatch(/^[A-Z]{2}$/)
    }),
    { numRuns: 1_000 },
  )
})
