import { expect, test } from 'vitest'
import { writtenAddresses } from '../../src/outbound/written-addresses.ts'

test.each([
  ['http://127.0.0.1:8080/hook', ['127.0.0.1/32']],
  ['https://10.20.0.7/revoke', ['10.20.0.7/32']],
  ['http://[fd00::7]:9/x', ['fd00::7/128']],
  ['http://[::ffff:192.168.1.9]/x', ['192.168.1.9/32']],
  ['http://localhost:3000', ['127.0.0.0/8', '::1/128']],
  ['http://0x7f.1/', ['127.0.0.1/32']],
])('%s is an address that the operator has written', (url, ranges) => {
  expect(writtenAddresses([url, url])).toEqual(ranges)
})

test.each([
  'https://hooks.slack.com/services/x',
  'https://gateway.internal/revoke',
  'http://8.8.8.8/',
  'http://169.254.169.254/latest/meta-data',
  'http://[fe80::1]/',
  'http://0.0.0.0/',
  'smtp://10.0.0.1:25',
  'no url',
  '',
])('%s allows nothing', (url) => {
  expect(writtenAddresses([url])).toEqual([])
})
