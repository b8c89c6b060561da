import { z } from 'zod'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { secretText } from '../../secret.ts'
import { callApi, type ApiAnswer, type ApiRequest } from '../call-api.ts'
import {
  defineRevoker,
  RevokerError,
  type Receipt,
  type Revoker,
  type RevokerCall,
  type RevokerTools,
} from '../revoker.ts'
import { targetId, targetSettings } from '../target-id.ts'
import { openaiThrottle } from './openai-throttle.ts'

const schema = z.strictObject({
  type: z.literal('openai'),
  do: z
    .enum(['delete', 'throttle'])
    .describe(
      'OpenAI cannot switch a key off. delete: removes it for good, and needs irreversible: true. throttle: one request a minute for the whole project, until it is restored.',
    ),
  irreversible: z
    .boolean()
    .default(false)
    .describe('true: you know that a deleted key cannot be brought back, and want it all the same.'),
  project: z
    .string()
    .regex(/^[\w-]{1,128}$/, { message: 'expected the id of a project, proj_…' })
    .describe('Id of the project that the keys belong to (proj_…).'),
  models: z
    .array(z.string().min(1))
    .min(1)
    .default(['*'])
    .describe('Models that throttle slows down; * is a wildcard.'),
  admin_key: secretText.describe('An admin API key of the organization (sk-admin-…); write "${NAME}".'),
  url: secretHttpUrl.prefault('https://api.openai.com').describe('Where the API is.'),
  ...targetSettings,
})

export type OpenaiSettings = z.output<typeof schema>

const KEY_ID = { pattern: /^[\w-]{1,128}$/, expected: 'the id of the API key in its project (key_…)' }

/** Deletes OpenAI project keys, or slows their project down: OpenAI has nothing between the two. */
export const openaiRevoker = defineRevoker({
  type: 'openai',
  schema,
  open: (settings, tools) => {
    const ask = openaiAsker(settings, tools)
    return settings.do === 'throttle' ? openaiThrottle(settings, ask) : deletion(settings, ask)
  },
})

export type OpenaiAsk = (
  request: Pick<ApiRequest, 'method' | 'path' | 'body' | 'accept'>,
  signal: AbortSignal,
) => Promise<ApiAnswer>

function openaiAsker({ url, admin_key: adminKey }: OpenaiSettings, tools: RevokerTools): OpenaiAsk {
  return (request, signal) =>
    callApi(
      {
        ...request,
        who: 'OpenAI',
        base: url,
        headers: { authorization: `Bearer ${adminKey.reveal()}` },
        secrets: [adminKey],
      },
      tools,
      signal,
    )
}

function deletion(settings: OpenaiSettings, ask: OpenaiAsk): Revoker {
  return {
    capabilities: { disable: false, restore: false, throttle: false, delete: settings.irreversible },
    means: 'delete',
    revoke: (call, signal) => remove(settings, ask, { call, signal }),
    restore: async () => {
      throw new RevokerError('OpenAI cannot bring a deleted key back; make a new one', { retryable: false })
    },
  }
}

async function remove(
  settings: OpenaiSettings,
  ask: OpenaiAsk,
  { call, signal }: { readonly call: RevokerCall; readonly signal: AbortSignal },
): Promise<Receipt> {
  const id = await targetId(call, settings, KEY_ID)
  const path = `/v1/organization/projects/${settings.project}/api_keys/${encodeURIComponent(id)}`
  const { status, json, told } = await ask({ method: 'DELETE', path, accept: [404] }, signal)
  if (status === 404) {
    // Of a first call it says that there is no such key here; of a repeat, that the first call has done it.
    if (call.isRepeat) return { receipt: 'answered 404: the key is gone already' }
    throw new RevokerError(`OpenAI ${told}; does the key belong to project ${settings.project}?`, {
      retryable: false,
    })
  }
  if (json?.['deleted'] !== true) {
    throw new RevokerError(`OpenAI answered, but not that the key is deleted; it ${told}`, {
      retryable: true,
    })
  }
  return { receipt: `answered ${status}: deleted` }
}
