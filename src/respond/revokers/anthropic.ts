import { z } from 'zod'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { secretText } from '../../secret.ts'
import { callApi } from '../call-api.ts'
import { defineRevoker, RevokerError, switchRevoker, type Receipt, type RevokerCall } from '../revoker.ts'
import { targetId, targetSettings } from '../target-id.ts'

const schema = z.strictObject({
  type: z.literal('anthropic'),
  admin_key: secretText.describe('An Admin API key of the organization (sk-ant-admin…); write "${NAME}".'),
  url: secretHttpUrl.prefault('https://api.anthropic.com').describe('Where the API is.'),
  ...targetSettings,
})

const API_KEY_ID = { pattern: /^[\w-]{1,128}$/, expected: 'an id such as apikey_01…' }

/** Sets an Anthropic API key inactive, and active again: POST /v1/organizations/api_keys/{id}. */
export const anthropicRevoker = defineRevoker({
  type: 'anthropic',
  schema,
  open: (settings, tools) => {
    const { url, admin_key: adminKey } = settings
    const turn = async (
      status: 'inactive' | 'active',
      call: RevokerCall,
      signal: AbortSignal,
    ): Promise<Receipt> => {
      const id = await targetId(call, settings, API_KEY_ID)
      const answer = await callApi(
        {
          who: 'Anthropic',
          method: 'POST',
          base: url,
          path: `/v1/organizations/api_keys/${encodeURIComponent(id)}`,
          headers: { 'x-api-key': adminKey.reveal(), 'anthropic-version': '2023-06-01' },
          body: { status },
          secrets: [adminKey],
        },
        tools,
        signal,
      )
      if (answer.json?.['status'] !== status || answer.json['id'] !== id) {
        throw new RevokerError(`Anthropic answered, but not with this key ${status}; it ${answer.told}`, {
          retryable: true,
        })
      }
      return { receipt: `answered ${answer.status}: status is ${status}` }
    }
    return switchRevoker(turn, { off: 'inactive', on: 'active' })
  },
})
