import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import { htmlText } from '../../alert/html-text.ts'

/** Text that is HTML already; everything else is escaped where it is put into a page. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/**
 * Puts values into HTML, each escaped unless it is Html itself; lists are joined, undefined is nothing. Not
 * called `html`: formatters change the space in templates of that name, and the hash of the style would be another.
 */
export function markup(strings: TemplateStringsArray, ...values: readonly Piece[]): Html {
  const pieces = strings.map((part, index) => part + (index < values.length ? piece(values[index]) : ''))
  return new Html(pieces.join(''))
}

type Piece = Html | string | number | undefined | readonly Html[]

function piece(value: Piece): string {
  if (value === undefined) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.map(({ text }) => text).join('')
  return htmlText(String(value))
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --ground: #f6f8fa; --card: #fff; --act: #1f6feb; --danger: #b91c1c; --good: #15803d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --ground: #0d1117; --card: #151b23; --act: #388bfd; --danger: #f85149; --good: #3fb950; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 34rem; margin: 1rem auto; padding: 1.25rem 1.5rem; background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--act); border-radius: 8px; overflow-wrap: anywhere; }
main.danger { border-top-color: var(--danger); } main.good { border-top-color: var(--good); }
.brand { margin: 0 0 .75rem; color: var(--soft); font-size: .85rem; letter-spacing: .04em; }
h1 { margin: 0 0 .75rem; font-size: 1.35rem; line-height: 1.3; }
p { margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0 0 1.25rem; padding: .75rem 0; border: solid var(--line); border-width: 1px 0; }
dt { color: var(--soft); } dd { margin: 0; }
label { display: block; margin: 0 0 1rem; font-weight: 600; }
label small { font-weight: 400; color: var(--soft); }
input, select, textarea { display: block; width: 100%; margin-top: .25rem; padding: .6rem .7rem; border: 1px solid var(--line); border-radius: 6px; background: var(--card); color: inherit; font: inherit; font-weight: 400; }
button { width: 100%; padding: .8rem 1rem; border: 0; border-radius: 6px; background: var(--act); color: #fff; font: inherit; font-weight: 600; cursor: pointer; }
.danger button { background: #b91c1c; }
:is(input, select, textarea, button):focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
footer { margin-top: 1rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 26rem) { body { padding: .5rem; } main { margin: 0; padding: 1rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
`
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

/** No script, nothing from elsewhere, no frame around it; a form may only be sent back to where the page came from. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ')

export interface Page {
  readonly status: number
  readonly title: string
  readonly tone: 'plain' | 'danger' | 'good'
  readonly body: Html
}

/** Sends a page of our own. It is not kept by caches, not indexed, and its address goes to no other site. */
export function sendPage(reply: FastifyReply, { status, title, tone, body }: Page): FastifyReply {
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} · keyhound</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main class="${tone}">
<p class="brand">keyhound</p>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`
  return reply
    .code(status)
    .header('content-security-policy', POLICY)
    .header('x-robots-tag', 'noindex')
    .type('text/html; charset=utf-8')
    .send(page.text)
}
