import { plainText } from '../alert/plain-text.ts'
import type { RevokerCall } from './revoker.ts'

const MAX_REASON = 500

/** What a gateway of the operator's own gets: the envelope of the outgoing webhook, type `key.revoke` or `key.restore`. */
export function revokeEnvelope(
  type: 'key.revoke' | 'key.restore',
  { keyId, reason, at, alert }: RevokerCall,
): object {
  return {
    type,
    timestamp: at.toISOString(),
    data: { alert: alert ?? null, key: { key_id: keyId }, reason: plainText(reason, MAX_REASON) },
  }
}
