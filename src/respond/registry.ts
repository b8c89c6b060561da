import { anthropicRevoker } from './revokers/anthropic.ts'
import { litellmRevoker } from './revokers/litellm.ts'
import { newApiRevoker } from './revokers/new-api.ts'
import { openaiRevoker } from './revokers/openai.ts'
import { openrouterRevoker } from './revokers/openrouter.ts'
import { queueRevoker } from './revokers/queue.ts'
import { redisSetRevoker } from './revokers/redis-set.ts'
import { unkeyRevoker } from './revokers/unkey.ts'
import { webhookRevoker } from './revokers/webhook.ts'
import type { RevokerType } from './revoker.ts'

/** Every kind of `revoke.action`. */
export const REVOKER_TYPES: readonly RevokerType[] = [
  webhookRevoker,
  litellmRevoker,
  newApiRevoker,
  openaiRevoker,
  anthropicRevoker,
  openrouterRevoker,
  unkeyRevoker,
  queueRevoker,
  redisSetRevoker,
]
