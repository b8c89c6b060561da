import { z } from 'zod'
import { plainText } from '../alert/plain-text.ts'
import { RevokerError, type RevokerCall } from './revoker.ts'

const METADATA = 'metadata.'
const SHOWN = 80

/** Settings of every revoker whose other side may know the key under another id than `key_id`. */
export const targetSettings = {
  id_from: z
    .string()
    .regex(/^(key_id|metadata\.[\w.-]{1,64})$/, { message: 'expected key_id or metadata.NAME' })
    .default('key_id')
    .describe(
      "Where the other side's id of the key stands: key_id, or metadata.NAME of its usage events, which only the gateway may be able to set.",
    ),
  ids: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe('Ids of the other side by key_id, for keys that id_from does not fit.'),
}

export interface TargetSettings {
  readonly id_from: string
  readonly ids: Readonly<Record<string, string>>
}

/**
 * The id under which the other side knows the key. An id that cannot be told, or is none of that kind, is a permanent
 * RevokerError that says which setting helps: a wrong id would revoke another key, or none.
 */
export async function targetId(
  call: RevokerCall,
  { id_from: from, ids }: TargetSettings,
  kind: { readonly pattern: RegExp; readonly expected: string },
): Promise<string> {
  const { id, source } = await lookUp(call, from, ids)
  if (id !== undefined && kind.pattern.test(id)) return id
  const found =
    id === undefined ? `no usage event of the key has ${source}` : `${source} is "${plainText(id, SHOWN)}"`
  throw new RevokerError(
    `the other side's id of the key is not known: ${found}, and ${kind.expected} is needed; name it under ids, or set id_from`,
    { retryable: false },
  )
}

async function lookUp(
  { keyId, metadata }: RevokerCall,
  from: string,
  ids: TargetSettings['ids'],
): Promise<{ readonly id: string | undefined; readonly source: string }> {
  if (Object.hasOwn(ids, keyId)) return { id: ids[keyId], source: 'its entry under ids' }
  if (!from.startsWith(METADATA)) return { id: keyId, source: 'key_id' }
  return { id: await metadata(from.slice(METADATA.length)), source: from }
}
