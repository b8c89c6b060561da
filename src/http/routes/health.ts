import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { addRoute } from '../add-route.ts'

/** Resolves when the named part works. */
export type HealthCheck = () => Promise<void>

const CHECK_TIMEOUT_MS = 3_000

/**
 * `/healthz`: the process runs and answers. `/readyz`: everything it needs answers, each part by its name; 503 when one
 * does not. Neither asks for a token, so neither tells more than `ok` and a code.
 */
export function healthRoutes(app: FastifyInstance, checks: Readonly<Record<string, HealthCheck>>): void {
  addRoute(app, '/healthz', { GET: () => ({ status: 'ok' }) })
  addRoute(app, '/readyz', {
    GET: async (_request, reply) => {
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => [name, await resultOf(check)] as const),
      )
      const ready = results.every(([, result]) => result.status === 'ok')
      return reply
        .code(ready ? 200 : 503)
        .send({ status: ready ? 'ok' : 'error', checks: Object.fromEntries(results) })
    },
  })
}

interface CheckResult {
  readonly status: 'ok' | 'error'
  readonly error?: string
}

async function resultOf(check: HealthCheck): Promise<CheckResult> {
  const timer = new AbortController()
  try {
    const late = delay(CHECK_TIMEOUT_MS, 'late', { signal: timer.signal })
    late.catch(() => {}) // aborted once the check has answered
    const first = await Promise.race([check(), late])
    return first === 'late' ? { status: 'error', error: 'no answer in 3 seconds' } : { status: 'ok' }
  } catch (error) {
    return { status: 'error', error: codeOf(error) }
  } finally {
    timer.abort()
  }
}

/** The code of an error (ECONNREFUSED, 57P03), which gives nothing away; messages may name hosts and users. */
function codeOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as { code?: unknown }
    if (typeof code === 'string' && /^[A-Z0-9_]{3,40}$/.test(code)) return code
  }
  return 'not reachable'
}
