import { z } from 'zod'
import { matchesPattern } from '../../alert/pattern.ts'
import { RevokerError, type Receipt, type Revoker } from '../revoker.ts'
import type { OpenaiAsk, OpenaiSettings } from './openai.ts'

const rateLimit = z.object({
  id: z.string(),
  model: z.string(),
  max_requests_per_1_minute: z.int(),
  max_tokens_per_1_minute: z.int(),
})
type RateLimit = z.output<typeof rateLimit>
const page = z.object({
  data: z.array(rateLimit),
  has_more: z.boolean().default(false),
  last_id: z.string().nullish(),
})
const memo = z.array(rateLimit)

/** The least that the API takes. */
const SLOWEST = { max_requests_per_1_minute: 1, max_tokens_per_1_minute: 1 }
const PAGE = 100
const PAGES_MAX = 10

/** Sets the rate limits of the project to one request a minute, and back to what they were. It concerns all its keys. */
export function openaiThrottle({ project, models }: OpenaiSettings, ask: OpenaiAsk): Revoker {
  const path = `/v1/organization/projects/${project}/rate_limits`
  const setAll = async (limits: readonly RateLimit[], signal: AbortSignal): Promise<void> => {
    for (const { id, max_requests_per_1_minute, max_tokens_per_1_minute } of limits) {
      const body = { max_requests_per_1_minute, max_tokens_per_1_minute }
      const { json, told } = await ask(
        { method: 'POST', path: `${path}/${encodeURIComponent(id)}`, body },
        signal,
      )
      if (json?.['max_requests_per_1_minute'] === max_requests_per_1_minute) continue
      throw new RevokerError(`OpenAI answered, but not with the new rate limit; it ${told}`, {
        retryable: true,
      })
    }
  }
  const wanted = async (signal: AbortSignal): Promise<RateLimit[]> => {
    const limits = await allLimits(ask, path, signal)
    const found = limits.filter(({ model }) => models.some((pattern) => matchesPattern(pattern, model)))
    if (found.length > 0) return found
    throw new RevokerError(`no model of project ${project} has a rate limit that fits models`, {
      retryable: false,
    })
  }
  return {
    capabilities: { disable: false, restore: true, throttle: true, delete: false },
    means: 'throttle',
    // What is slowed down already was so for another key of the project, and must not be remembered as its usual.
    remember: async (_call, signal) =>
      JSON.stringify((await wanted(signal)).filter((limit) => !isSlowest(limit))),
    revoke: async (_call, signal) => {
      const limits = await wanted(signal)
      await setAll(
        limits.filter((limit) => !isSlowest(limit)).map((limit) => ({ ...limit, ...SLOWEST })),
        signal,
      )
      return told(limits, 'are at one request a minute')
    },
    restore: async (call, signal) => {
      const before = call.memo === undefined ? undefined : memo.safeParse(JSON.parse(call.memo)).data
      if (before === undefined) {
        throw new RevokerError('keyhound does not know the rate limits of before; set them in OpenAI', {
          retryable: false,
        })
      }
      await setAll(before, signal)
      return told(before, 'are back at what they were')
    },
  }
}

function told(limits: readonly RateLimit[], what: string): Receipt {
  return { receipt: `rate limits of ${limits.length} models ${what}` }
}

function isSlowest(limit: RateLimit): boolean {
  return limit.max_requests_per_1_minute === SLOWEST.max_requests_per_1_minute
}

async function allLimits(ask: OpenaiAsk, path: string, signal: AbortSignal): Promise<RateLimit[]> {
  const limits: RateLimit[] = []
  let after = ''
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const answer = await ask({ method: 'GET', path: `${path}?limit=${PAGE}${after}` }, signal)
    const read = page.safeParse(answer.json)
    if (!read.success) {
      throw new RevokerError(`OpenAI answered, but not with a list of rate limits; it ${answer.told}`, {
        retryable: true,
      })
    }
    limits.push(...read.data.data)
    const { has_more: hasMore, last_id: lastId } = read.data
    if (!hasMore || !lastId) break
    after = `&after=${encodeURIComponent(lastId)}`
  }
  return limits
}
