import { z } from 'zod'
import { revokeEnvelope } from '../revoke-envelope.ts'
import { defineRevoker, RevokerError, switchRevoker, type Receipt, type RevokerCall } from '../revoker.ts'

const schema = z.strictObject({
  type: z.literal('queue'),
  queue: z
    .string()
    .regex(/^[\w.-]{1,100}$/, { message: 'expected 1 to 100 letters, digits, "_", "-" and "."' })
    .default('key-revocations')
    .describe("A BullMQ queue on keyhound's own queue server, which your gateway works off."),
})

/** How often BullMQ gives a job to a worker that fails on it, with doubled pauses from a second on: about 17 minutes. */
const ATTEMPTS = 11

/**
 * Puts a job `key.revoke` or `key.restore` into a queue, with the envelope of the webhook as its data. The job id is the
 * request id: a repeat adds no second job. That the job is there proves nothing; the watch over the key does.
 */
export const queueRevoker = defineRevoker({
  type: 'queue',
  schema,
  open: ({ queue }, tools) => {
    const add = async (
      name: 'key.revoke' | 'key.restore',
      call: RevokerCall,
      signal: AbortSignal,
    ): Promise<Receipt> => {
      const job = { name, id: call.requestId, data: revokeEnvelope(name, call), attempts: ATTEMPTS }
      await unlessAborted(tools.queue(queue).add([job]), signal).catch(() => {
        // What a driver's error says may hold the address with its password.
        throw new RevokerError(`the queue ${queue} did not take the job: its server does not answer`, {
          retryable: true,
        })
      })
      return { receipt: `job ${call.requestId} is in the queue ${queue}` }
    }
    return switchRevoker(add, { off: 'key.revoke', on: 'key.restore' })
  },
})

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    // It may still fail later; nobody waits for it any more.
    work.catch(() => undefined)
  }
}
