import { webhookRevoker } from './revokers/webhook.ts'
import type { RevokerType } from './revoker.ts'

/** Every kind of `revoke.action`. */
export const REVOKER_TYPES: readonly RevokerType[] = [webhookRevoker]
