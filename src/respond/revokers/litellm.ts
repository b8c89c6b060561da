import { createHash } from 'node:crypto'
import { z } from 'zod'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { secretText } from '../../secret.ts'
import { callApi, type ApiAnswer } from '../call-api.ts'
import { defineRevoker, RevokerError, switchRevoker, type Receipt, type RevokerCall } from '../revoker.ts'
import { targetId, targetSettings } from '../target-id.ts'

const schema = z.strictObject({
  type: z.literal('litellm'),
  url: secretHttpUrl.describe('Where the LiteLLM proxy is: https://litellm.example.com'),
  admin_key: secretText.describe('Its master key, or the key of a proxy admin; write "${NAME}".'),
  ...targetSettings,
})

const HASH = { pattern: /^[0-9a-f]{64}$/, expected: 'the hash that LiteLLM sends as user_api_key_hash' }

/**
 * Blocks and unblocks a virtual key of a LiteLLM proxy: POST /key/block, /key/unblock, by the key's hash, which is the
 * `key_id` of its usage events. HTTP 200 is not believed: the answer must show this key, and it blocked.
 */
export const litellmRevoker = defineRevoker({
  type: 'litellm',
  schema,
  open: (settings, tools) => {
    const { url, admin_key: adminKey } = settings
    const turn = async (blocked: boolean, call: RevokerCall, signal: AbortSignal): Promise<Receipt> => {
      const hash = await targetId(call, settings, HASH)
      const answer = await callApi(
        {
          who: 'LiteLLM',
          method: 'POST',
          base: url,
          path: blocked ? '/key/block' : '/key/unblock',
          // The second header names the actor in LiteLLM's own audit.
          headers: { authorization: `Bearer ${adminKey.reveal()}`, 'litellm-changed-by': 'keyhound' },
          body: { key: hash },
          secrets: [adminKey],
        },
        tools,
        signal,
      )
      check(answer, hash, blocked)
      return { receipt: `answered ${answer.status}: blocked is ${blocked}` }
    }
    return switchRevoker(turn, { off: true, on: false })
  },
})

/** The row of another key, or none, means that this key is as it was. */
function check({ json, told }: ApiAnswer, hash: string, blocked: boolean): void {
  const token = json?.['token']
  if (token === createHash('sha256').update(hash).digest('hex')) {
    throw new RevokerError(
      'LiteLLM hashed the hash of the key once more and looked for another key; versions of about July 2025 do that: upgrade LiteLLM, and block the key there by hand now',
      { retryable: false },
    )
  }
  if (token !== hash) {
    throw new RevokerError(`LiteLLM does not show in its answer that it found the key; it ${told}`, {
      retryable: false,
    })
  }
  if ((json?.['blocked'] === true) !== blocked) {
    throw new RevokerError(
      `LiteLLM answered, but the key is ${blocked ? 'not blocked' : 'still blocked'} in its answer; it ${told}`,
      { retryable: true },
    )
  }
}
