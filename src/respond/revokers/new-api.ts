import { z } from 'zod'
import { matchesPattern } from '../../alert/pattern.ts'
import { plainText } from '../../alert/plain-text.ts'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { secretText } from '../../secret.ts'
import { callApi, type ApiAnswer } from '../call-api.ts'
import { defineRevoker, RevokerError, switchRevoker, type Receipt, type RevokerCall } from '../revoker.ts'
import { targetId, targetSettings } from '../target-id.ts'

const schema = z.strictObject({
  type: z.literal('new_api'),
  url: secretHttpUrl.describe('Where new-api or one-api is: https://new-api.example.com'),
  owners: z
    .array(
      z.strictObject({
        keys: z
          .array(z.string().min(1))
          .min(1)
          .default(['*'])
          .describe('Key ids of this user; * is a wildcard. The first user that fits is taken.'),
        user_id: z.int().min(1).describe('Number of the user, sent as New-Api-User.'),
        access_token: secretText.describe('System access token of that user; write "${NAME}".'),
      }),
    )
    .min(1)
    .describe('Users that own the keys: only the owner of a key can switch it off.'),
  ...targetSettings,
})

const TOKEN_ID = { pattern: /^[1-9]\d{0,15}$/, expected: 'the number of the token in new-api' }
const ENABLED = 1
const DISABLED = 2
/** Refusals that speak of the moment and not of the request. */
const PASSING = /database|locked|deadlock|timeout|timed out|too many|busy|connection|redis/i

/**
 * Disables and enables a token of new-api or one-api: PUT /api/token/?status_only=true. Without `status_only` the other
 * fields of the token would be overwritten with zeros. Failures come as HTTP 200 with `success: false`.
 */
export const newApiRevoker = defineRevoker({
  type: 'new_api',
  schema,
  open: (settings, tools) => {
    const turn = async (status: number, call: RevokerCall, signal: AbortSignal): Promise<Receipt> => {
      const owner = settings.owners.find(({ keys }) =>
        keys.some((pattern) => matchesPattern(pattern, call.keyId)),
      )
      if (owner === undefined) {
        throw new RevokerError(
          'no user under owners has this key among its keys, and only its owner can switch it off',
          { retryable: false },
        )
      }
      const id = await targetId(call, settings, TOKEN_ID)
      const answer = await callApi(
        {
          who: 'new-api',
          method: 'PUT',
          base: settings.url,
          path: '/api/token/?status_only=true',
          headers: {
            authorization: `Bearer ${owner.access_token.reveal()}`,
            'new-api-user': String(owner.user_id),
          },
          body: { id: Number(id), status },
          secrets: [owner.access_token],
        },
        tools,
        signal,
      )
      check(answer, Number(id), status)
      return { receipt: `answered ${answer.status}: token ${id} has status ${status}` }
    }
    return switchRevoker(turn, { off: DISABLED, on: ENABLED })
  },
})

function check({ json, told }: ApiAnswer, id: number, status: number): void {
  if (json?.['success'] !== true) {
    const message = json?.['message']
    const reason = typeof message === 'string' && message !== '' ? plainText(message, 200) : told
    throw new RevokerError(`new-api answered 200 and refused all the same: ${reason}`, {
      retryable: PASSING.test(reason),
    })
  }
  const token = json['data'] as { readonly id?: unknown; readonly status?: unknown } | null | undefined
  // Releases that answer without the token cannot be checked here; the watch over the key is the proof then.
  if (token?.status === undefined) return
  if (token.status !== status || (token.id !== undefined && token.id !== id)) {
    throw new RevokerError(`new-api answered, but not with the token in status ${status}; it ${told}`, {
      retryable: true,
    })
  }
}
