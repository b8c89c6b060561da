import type { FastifyInstance } from 'fastify'
import { addRoute } from '../add-route.ts'

/** Everything that is measured, as Prometheus reads it. */
export type MetricsText = () => Promise<{ readonly contentType: string; readonly text: string }>

/**
 * `/metrics` in Prometheus' text format. It asks for no token, as scrapers expect; its labels hold no key ids, models or
 * addresses. The server listens on the loopback interface by default: where it listens more widely, a proxy should keep
 * this path inside.
 */
export function metricsRoute(app: FastifyInstance, metricsText: MetricsText): void {
  addRoute(app, '/metrics', {
    GET: async (_request, reply) => {
      const { contentType, text } = await metricsText()
      return reply.type(contentType).send(text)
    },
  })
}
