import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { SWITCH } from '../../src/respond/revoker.ts'
import { testRedisUrl } from '../harness/redis.ts'
import { everythingShownOf } from '../notify/channel-contract.ts'
import { callOf, failureOf, inTime, openRevoker } from './revoker-contract.ts'

const PASSWORD = 'hunter2-of-the-gateway'
let url: string
let redis: Redis
const servers: Server[] = []
const sockets: Socket[] = []

beforeAll(async () => {
  url = await testRedisUrl()
  redis = new Redis(url)
})
afterAll(() => redis.disconnect())
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

/** A server that answers every command with the same line; with none, not at all. */
async function fakeRedis(reply: string | undefined): Promise<string> {
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', (data) => {
      const commands = data.toString().match(/^\*\d+\r$/gm)?.length ?? 0
      if (reply !== undefined) socket.write(`${reply}\r\n`.repeat(commands))
    })
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `redis://:${PASSWORD}@127.0.0.1:${(server.address() as AddressInfo).port}/0`
}

describe('the Redis set of revoked keys', () => {
  test('holds the key after a revocation, and no longer after a restore, however often each is repeated', async () => {
    const revoker = openRevoker({ type: 'redis_set', url })
    expect([revoker.capabilities, revoker.means]).toEqual([SWITCH, 'disable'])
    await revoker.revoke(callOf(), inTime())
    await revoker.revoke(callOf({ isRepeat: true }), inTime())
    expect(await redis.smembers('keyhound:revoked')).toEqual(['key-1'])
    await revoker.restore(callOf(), inTime())
    await revoker.restore(callOf(), inTime())
    expect(await redis.smembers('keyhound:revoked')).toEqual([])
  })

  test('may have another name and other ids', async () => {
    const revoker = openRevoker({ type: 'redis_set', url, set: 'blocked', ids: { 'key-1': 'gateway-7' } })
    await revoker.revoke(callOf(), inTime())
    expect(await redis.smembers('blocked')).toEqual(['gateway-7'])
  })

  test.each([
    ['-WRONGPASS invalid username-password pair', false],
    ["-NOPERM User has no permissions to run the 'sadd' command", false],
    ["-READONLY You can't write against a read only replica.", true],
    ['-LOADING Redis is loading the dataset in memory', true],
  ])('after %s is tried again or not, without a secret in the error', async (reply, retryable) => {
    const revoker = openRevoker({ type: 'redis_set', url: await fakeRedis(reply) })
    const error = await failureOf(revoker.revoke(callOf(), inTime()))
    expect(error.retryable).toBe(retryable)
    expect(everythingShownOf(error)).not.toContain(PASSWORD)
  })

  test('that is a key of another type is never written', async () => {
    await redis.set('a-string', 'x')
    const revoker = openRevoker({ type: 'redis_set', url, set: 'a-string' })
    expect((await failureOf(revoker.revoke(callOf(), inTime()))).retryable).toBe(false)
  })

  test('that nobody serves is tried again', async () => {
    const revoker = openRevoker({ type: 'redis_set', url: `redis://:${PASSWORD}@127.0.0.1:9/0` })
    const error = await failureOf(revoker.revoke(callOf(), inTime()))
    expect([error.retryable, everythingShownOf(error).includes(PASSWORD)]).toEqual([true, false])
  })

  test('that does not answer ends with its time', async () => {
    const revoker = openRevoker({ type: 'redis_set', url: await fakeRedis(undefined) })
    const error = await failureOf(revoker.revoke(callOf(), AbortSignal.timeout(200)))
    expect(error.retryable).toBe(true)
  })
})
