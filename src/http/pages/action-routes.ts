import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AlertDetail } from '../../store/operator-store.ts'
import { addRoute } from '../add-route.ts'
import { Problem } from '../problem.ts'
import { readLink, type ActionLink } from './action-link.ts'
import { confirmPage, donePage, nothingToDo, refusedPage } from './action-pages.ts'
import { readForm } from './form.ts'
import { sendPage, type Page } from './page.ts'
import { takeAction, type ActionParts } from './take-action.ts'

export interface ActionPageParts extends ActionParts {
  /** What the tokens are signed with. */
  readonly linkKey: Uint8Array
}

const FORM_MAX = 16 * 1_024

/**
 * The pages behind the links in messages, `/act/<token>`. GET and HEAD show what would be done and change nothing: mail
 * scanners and link previews open every link. Only the form on the page, sent as POST, acts. The token is the permission;
 * it allows one action on one alert until it expires, and to use it twice does no more than once.
 */
export function actionRoutes(app: FastifyInstance, parts: ActionPageParts): void {
  const { linkKey, clock } = parts
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'buffer', bodyLimit: FORM_MAX },
    (_request, body, done) => done(null, body.toString()),
  )
  app.setErrorHandler((error, _request, reply) => {
    // A person looks at this: what went wrong in words, on a page. What is no Problem is the server's to answer.
    if (!(error instanceof Problem) || error.status >= 500) throw error
    return sendPage(reply, refusedPage(error.status, 'That did not work', error.message))
  })
  const opened = async (
    request: FastifyRequest,
  ): Promise<{ link: ActionLink; detail: AlertDetail } | Page> => {
    const { token } = request.params as { token: string }
    const read = readLink(token, linkKey, clock.nowMs())
    if (read.kind === 'invalid')
      return refusedPage(
        404,
        'This link is not valid',
        'It is not one that keyhound sent, or it was cut off on the way.',
      )
    if (read.kind === 'expired') {
      return refusedPage(
        410,
        'This link has expired',
        `Links in messages can be used for some days. The command line always works: keyhound alerts list.`,
      )
    }
    const detail = await parts.operators.alert(read.link.alertId)
    if (detail === undefined) return refusedPage(404, 'There is no such alert', 'It is not there any more.')
    return nothingToDo(read.link, detail.alert) ?? { link: read.link, detail }
  }
  addRoute(app, '/act/:token', {
    GET: async (request, reply) => {
      const found = await opened(request)
      if (!('link' in found)) return sendPage(reply, found)
      const key = await parts.operators.key(found.detail.alert.keyId)
      return sendPage(
        reply,
        confirmPage(found.link, found.detail, { key, silenceMaxMs: parts.silenceMaxMs() }),
      )
    },
    POST: async (request, reply) => {
      const found = await opened(request)
      if (!('link' in found)) return sendPage(reply, found)
      const done = await takeAction(parts, found.link, {
        alert: found.detail.alert,
        form: readForm(request.body),
      })
      return sendPage(reply, donePage(done))
    },
  })
}
