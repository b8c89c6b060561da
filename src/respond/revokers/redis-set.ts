import { Redis } from 'ioredis'
import { z } from 'zod'
import { Secret } from '../../secret.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { defineRevoker, RevokerError, switchRevoker, type Receipt, type RevokerCall } from '../revoker.ts'
import { targetId, targetSettings } from '../target-id.ts'

const schema = z.strictObject({
  type: z.literal('redis_set'),
  url: z
    .string()
    .refine((text) => /^rediss?:\/\/./.test(text) && URL.canParse(text), {
      error: 'expected redis:// or rediss://',
    })
    .transform((text) => new Secret(text))
    .meta({ description: 'redis://user:password@host:6379/0, or rediss:// with TLS; write "${NAME}".' }),
  set: z
    .string()
    .min(1)
    .max(256)
    .default('keyhound:revoked')
    .describe('Name of the set of revoked key ids, in which your gateway looks each key up.'),
  ...targetSettings,
})

const ANY_ID = { pattern: /^[^]+$/, expected: 'some id' }
const TIMEOUT_MS = 5 * SECOND_MS
/** What Redis says when no later try can succeed. */
const PERMANENT = /^(NOAUTH|WRONGPASS|NOPERM|WRONGTYPE|ERR)\b/

/**
 * Keeps the ids of revoked keys in a Redis set (SADD, SREM) that a gateway checks. A connection for each call: calls are
 * rare, and none must wait for the reconnect of an old one.
 */
export const redisSetRevoker = defineRevoker({
  type: 'redis_set',
  schema,
  open: (settings) => {
    const turn = async (
      command: 'sadd' | 'srem',
      call: RevokerCall,
      signal: AbortSignal,
    ): Promise<Receipt> => {
      const id = await targetId(call, settings, ANY_ID)
      await withRedis(settings.url, signal, (redis) => redis[command](settings.set, id))
      return { receipt: `${command === 'sadd' ? 'in' : 'taken out of'} the set ${settings.set}` }
    }
    return switchRevoker(turn, { off: 'sadd', on: 'srem' })
  },
})

async function withRedis(
  url: Secret,
  signal: AbortSignal,
  work: (redis: Redis) => Promise<unknown>,
): Promise<void> {
  const redis = new Redis(url.reveal(), {
    lazyConnect: true,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    // What a server that loads or refuses says is the answer to the command itself.
    enableReadyCheck: false,
    retryStrategy: () => null,
  })
  let lastError: unknown
  redis.on('error', (error) => (lastError = error))
  const abort = (): void => redis.disconnect()
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    await redis.connect()
    await work(redis)
  } catch (error) {
    throw toRevokerError(lastError ?? error)
  } finally {
    signal.removeEventListener('abort', abort)
    redis.disconnect()
  }
}

/** Only the kind of the error is told: its text may quote the command or the address. */
function toRevokerError(error: unknown): RevokerError {
  const text = error instanceof Error ? error.message : ''
  const [refusal] = PERMANENT.exec(text) ?? []
  if (refusal !== undefined) return new RevokerError(`Redis refused: ${refusal}`, { retryable: false })
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  const [reply] = /^[A-Z]{4,12}\b/.exec(text) ?? []
  const kind = typeof code === 'string' ? code : (reply ?? 'no answer')
  return new RevokerError(`Redis did not do it: ${kind}`, { retryable: true })
}
