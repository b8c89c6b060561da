import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from './problem.ts'

type Method = 'GET' | 'POST' | 'DELETE'
/** What it returns is sent as JSON, unless it is the reply itself. */
export type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

const ALL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const

/** Adds one path with its methods; every other method is answered 405 with the list of those that are allowed. */
export function addRoute(
  app: FastifyInstance,
  path: string,
  handlers: Partial<Record<Method, Handler>>,
  { bodyLimit }: { readonly bodyLimit?: number } = {},
): void {
  for (const [method, handler] of Object.entries(handlers)) {
    app.route({
      method,
      url: path,
      ...(bodyLimit === undefined ? {} : { bodyLimit }),
      handler: async (request, reply) => await handler(request, reply),
    })
  }
  const allowed = Object.keys(handlers)
  const allow = (allowed.includes('GET') ? [...allowed, 'HEAD'] : allowed).join(', ')
  const refuse = (request: FastifyRequest): never => {
    throw new Problem(405, `${request.method} is not possible here; ${allow} is.`, { headers: { allow } })
  }
  app.route({
    method: ALL_METHODS.filter((method) => !allowed.includes(method === 'HEAD' ? 'GET' : method)),
    url: path,
    // Before the body is read: a method that is not allowed is wrong whatever it brings.
    onRequest: async (request) => refuse(request),
    handler: refuse,
  })
}
