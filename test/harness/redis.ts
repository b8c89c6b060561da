import { Redis } from 'ioredis'
import { inject } from 'vitest'

/**
 * The URL of an empty Redis database of its own. Each call takes the next database number; they are handed out in turn,
 * so a number comes back only after all the others. Call it in `beforeAll`.
 */
export async function testRedisUrl(): Promise<string> {
  const server = new Redis(inject('redisUrl'))
  try {
    const [, databases = '16'] = (await server.config('GET', 'databases')) as string[]
    const others = Number(databases) - 1
    const number = 1 + ((await server.incr('kh-test:databases')) % others)
    await server.select(number)
    await server.flushdb()
    const url = new URL(inject('redisUrl'))
    url.pathname = `/${number}`
    return url.href
  } finally {
    server.disconnect()
  }
}
