import { describe, expect, test } from 'vitest'
import { addressGuard } from '../../src/outbound/public-address.ts'

describe('an address guard', () => {
  test.each([
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::7f00:1',
    'fe80::1',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
    'not an address',
    '',
  ])('refuses %s', (address) => {
    expect(addressGuard([])(address)).toBe(false)
  })

  test.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'])(
    'lets %s through',
    (address) => {
      expect(addressGuard([])(address)).toBe(true)
    },
  )

  test('lets the ranges through that are allowed, also when written as IPv4-mapped IPv6, and nothing else', () => {
    const guard = addressGuard(['10.1.0.0/16', 'fd00::/8'])
    expect(['10.1.2.3', '::ffff:10.1.2.3', 'fd12::1'].map(guard)).toEqual([true, true, true])
    expect(['10.2.0.1', '127.0.0.1', 'fc00::1'].map(guard)).toEqual([false, false, false])
  })

  test('names the range that is none', () => {
    expect(() => addressGuard(['10.0.0.0/8', '10.0.0.0/99'])).toThrow('"10.0.0.0/99" is not a CIDR range')
  })
})
