import { z } from 'zod'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { secretText } from '../../secret.ts'
import { callApi } from '../call-api.ts'
import { defineRevoker, RevokerError, switchRevoker, type Receipt, type RevokerCall } from '../revoker.ts'
import { targetId, targetSettings } from '../target-id.ts'

const schema = z.strictObject({
  type: z.literal('openrouter'),
  management_key: secretText.describe('A management key; write "${NAME}".'),
  url: secretHttpUrl.prefault('https://openrouter.ai').describe('Where the API is.'),
  ...targetSettings,
})

const HASH = { pattern: /^[\w-]{1,128}$/, expected: 'the hash by which OpenRouter names the key' }

/** Disables and enables an OpenRouter key: PATCH /api/v1/keys/{hash}. */
export const openrouterRevoker = defineRevoker({
  type: 'openrouter',
  schema,
  open: (settings, tools) => {
    const { url, management_key: managementKey } = settings
    const turn = async (disabled: boolean, call: RevokerCall, signal: AbortSignal): Promise<Receipt> => {
      const hash = await targetId(call, settings, HASH)
      const answer = await callApi(
        {
          who: 'OpenRouter',
          method: 'PATCH',
          base: url,
          path: `/api/v1/keys/${encodeURIComponent(hash)}`,
          headers: { authorization: `Bearer ${managementKey.reveal()}` },
          body: { disabled },
          secrets: [managementKey],
        },
        tools,
        signal,
      )
      const key = answer.json?.['data'] as
        | { readonly hash?: unknown; readonly disabled?: unknown }
        | undefined
      if (key?.disabled !== disabled || (key.hash !== undefined && key.hash !== hash)) {
        throw new RevokerError(
          `OpenRouter answered, but not with this key ${disabled ? 'disabled' : 'enabled'}; it ${answer.told}`,
          { retryable: true },
        )
      }
      return { receipt: `answered ${answer.status}: disabled is ${disabled}` }
    }
    return switchRevoker(turn, { off: true, on: false })
  },
})
