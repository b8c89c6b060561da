import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyError, type FastifyInstance } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Secret } from '../secret.ts'
import { StoreUnavailableError } from '../store/usage-store.ts'
import { setActor } from './actor.ts'
import { bearerTokens } from './authenticate.ts'
import type { HttpMetrics } from './metrics.ts'
import { answerHeaders, Problem, sendProblem, unavailable } from './problem.ts'
import { type ActionPageParts, actionRoutes } from './pages/action-routes.ts'
import { addBodyParsers } from './read-body.ts'
import { type AlertRoutesParts, alertRoutes } from './routes/alerts.ts'
import { type ChannelRoutesParts, channelRoutes } from './routes/channels.ts'
import { type EventRoutesParts, eventRoutes } from './routes/events.ts'
import { type FeedbackRoutesParts, feedbackRoutes } from './routes/feedback.ts'
import { type HealthCheck, healthRoutes } from './routes/health.ts'
import { type KeyRoutesParts, keyRoutes } from './routes/keys.ts'
import { metricsRoute, type MetricsText } from './routes/metrics.ts'
import { revocationRoutes } from './routes/revocations.ts'
import { type SilenceRoutesParts, silenceRoutes } from './routes/silences.ts'

/** The part of a logger that the server uses. */
export interface HttpLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface HttpServerParts {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** What `/readyz` asks, by name: `database`, `queue`. */
  readonly checks: Readonly<Record<string, HealthCheck>>
  /** What `/metrics` answers. */
  readonly metricsText: MetricsText
  readonly metrics: HttpMetrics
  readonly log: HttpLog
  readonly clock: Clock
  /** The API under `/api/v1`; undefined in a process that only shows its health and metrics. */
  readonly api: ApiParts | undefined
}

/** What the API and the pages need; `metrics` and `clock` are the server's. */
export type ApiParts = { readonly tokens: readonly Secret[] } & Omit<
  ActionPageParts &
    ChannelRoutesParts &
    EventRoutesParts &
    AlertRoutesParts &
    FeedbackRoutesParts &
    SilenceRoutesParts &
    KeyRoutesParts,
  'metrics' | 'clock'
>

export interface HttpServer {
  /** `http://host:port`. */
  readonly url: string
  /** Answers what has begun, then closes. */
  close(): Promise<void>
}

const BODY_MAX = 64 * 1024
/** Until the whole request has arrived. */
const REQUEST_TIMEOUT_MS = 30_000
/** Key ids have up to 256 characters, each up to twelve when percent-encoded. */
const PATH_PART_MAX = 4_096
const STORE_RETRY_SECONDS = 5

/** Serves health, metrics and, when asked, the API. Rejects when the port is taken, with the variable to change in the message. */
export async function startHttpServer(parts: HttpServerParts): Promise<HttpServer> {
  const app = createApp(parts)
  const { host, port } = parts
  try {
    return { url: await app.listen({ host, port }), close: () => app.close() }
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause)
    throw new Error(
      `The HTTP server cannot listen on ${host}:${port} (KEYHOUND_HOST, KEYHOUND_PORT): ${reason}`,
      { cause },
    )
  }
}

function createApp(parts: HttpServerParts): FastifyInstance {
  const app: FastifyInstance = fastify({
    logger: false,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    bodyLimit: BODY_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: PATH_PART_MAX },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => void sendProblem(request, reply, problemOf(error)),
  })
  addBodyParsers(app)
  addHeaders(app)
  addAnswers(app, parts)
  healthRoutes(app, parts.checks)
  metricsRoute(app, parts.metricsText)
  const { api, metrics, clock } = parts
  if (api !== undefined) {
    const authenticate = bearerTokens(api.tokens)
    // In a scope of its own: forms and pages are known only there. The token in the address is the permission.
    void app.register(async (scope) => actionRoutes(scope, { ...api, clock }))
    void app.register(
      async (scope) => {
        // On the scope, and not on the path: the router decodes paths, so a test of the text could be evaded.
        scope.addHook('onRequest', async (request) => setActor(request, authenticate(request)))
        scope.setNotFoundHandler((request, reply) => sendProblem(request, reply, NOT_FOUND))
        eventRoutes(scope, { ...api, metrics, clock })
        alertRoutes(scope, { ...api, clock })
        feedbackRoutes(scope, { ...api, clock })
        silenceRoutes(scope, { ...api, clock })
        channelRoutes(scope, { ...api, clock })
        keyRoutes(scope, { ...api, clock })
        revocationRoutes(scope, { ...api, clock })
      },
      { prefix: '/api/v1' },
    )
  }
  return app
}

/** What is not even HTTP has no request to answer: the problem is written to the socket as it is. */
function answerBrokenRequest(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const status =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
  const title = STATUS_CODES[status] ?? ''
  const body = JSON.stringify({
    type: 'about:blank',
    title,
    status,
    detail: 'The request could not be read.',
  })
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

const NOT_FOUND = new Problem(404, 'There is nothing at this path.')

function addHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(answerHeaders(request))
  })
}

/** Turns every error into a problem, and tells log and metrics about every answer. */
function addAnswers(app: FastifyInstance, { log, metrics }: HttpServerParts): void {
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, NOT_FOUND))
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error)
    if (problem.status >= 500) {
      // The pattern and not the path: paths hold key ids.
      log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, 'request failed')
    }
    return sendProblem(request, reply, problem)
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    metrics.answered(route, reply.statusCode, reply.elapsedTime / 1_000)
    log.debug({ requestId: request.id, method: request.method, route, status: reply.statusCode }, 'request')
  })
}

/** What the caller is told. Only problems of our own and fastify's errors about the request show their message. */
function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof StoreUnavailableError) {
      return unavailable('The database cannot be reached. Try again.', STORE_RETRY_SECONDS, error)
    }
  }
  const { statusCode = 500, code = '' } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new Problem(415, 'Send application/json, or for events also application/x-ndjson.', {
      cause: error,
    })
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Problem(413, 'The body is too large: 5 MiB at most for events, 64 KiB elsewhere.', {
      cause: error,
    })
  }
  if (code === 'FST_ERR_BAD_URL')
    return new Problem(400, 'The path is not correctly percent-encoded.', { cause: error })
  if (code.startsWith('FST_') && statusCode >= 400 && statusCode < 500) {
    return new Problem(statusCode, (error as Error).message, { cause: error })
  }
  return new Problem(500, 'Something went wrong; the log of keyhound tells what, under this instance.', {
    cause: error,
  })
}
