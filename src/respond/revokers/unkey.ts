import { z } from 'zod'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { secretText } from '../../secret.ts'
import { callApi } from '../call-api.ts'
import { defineRevoker, switchRevoker, type Receipt, type RevokerCall } from '../revoker.ts'
import { targetId, targetSettings } from '../target-id.ts'

const schema = z.strictObject({
  type: z.literal('unkey'),
  root_key: secretText.describe('A root key with the permission api.*.update_key; write "${NAME}".'),
  url: secretHttpUrl.prefault('https://api.unkey.com').describe('Where the API is.'),
  ...targetSettings,
})

const UNKEY_ID = { pattern: /^[\w-]{3,255}$/, expected: 'the keyId of Unkey (key_…)' }

/**
 * Disables and enables a key of Unkey: POST /v2/keys.updateKey. The answer does not show the key, and it takes up to
 * half a minute until every region knows: only the watch over the key proves it.
 */
export const unkeyRevoker = defineRevoker({
  type: 'unkey',
  schema,
  open: (settings, tools) => {
    const { url, root_key: rootKey } = settings
    const turn = async (enabled: boolean, call: RevokerCall, signal: AbortSignal): Promise<Receipt> => {
      const keyId = await targetId(call, settings, UNKEY_ID)
      const { status } = await callApi(
        {
          who: 'Unkey',
          method: 'POST',
          base: url,
          path: '/v2/keys.updateKey',
          headers: { authorization: `Bearer ${rootKey.reveal()}` },
          body: { keyId, enabled },
          secrets: [rootKey],
        },
        tools,
        signal,
      )
      return { receipt: `answered ${status}: set enabled to ${enabled}` }
    }
    return switchRevoker(turn, { off: false, on: true })
  },
})
