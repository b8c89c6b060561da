import type { FastifyRequest } from 'fastify'

const actors = new WeakMap<FastifyRequest, string>()

/** Remembers who makes the request, once that is known. */
export function setActor(request: FastifyRequest, actor: string): void {
  actors.set(request, actor)
}

/** Who makes the request, as the audit names them. */
export function actorOf(request: FastifyRequest): string {
  const actor = actors.get(request)
  if (actor === undefined) throw new Error('actorOf: the route is not behind authentication')
  return actor
}
