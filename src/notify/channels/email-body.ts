import { htmlText as html } from '../../alert/html-text.ts'
import { messageLines, type Message } from '../../alert/message.ts'

const TONE_COLOUR = { critical: '#b91c1c', warning: '#b45309', info: '#1d4ed8', good: '#15803d' } as const
const DRY_RUN_COLOUR = '#7e22ce'
const CODE = 'font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px'

export function emailText(message: Message): string {
  return `${messageLines(message).join('\n')}\n`
}

/** Tables and inline styles: all that mail programs agree on. No picture, nothing that is loaded from anywhere. */
export function emailHtml(message: Message): string {
  const { title, tone, isDryRun, summary, facts, listLabel, signals, response, steps, links, footer } =
    message
  const colour = isDryRun ? DRY_RUN_COLOUR : TONE_COLOUR[tone]
  const rows = facts.map(
    ({ label, value }) =>
      `<tr><td style="padding:2px 16px 2px 0;color:#57606a;white-space:nowrap;vertical-align:top">${html(label)}</td>` +
      `<td style="padding:2px 0">${html(value)}</td></tr>`,
  )
  const items = (texts: readonly string[]): string =>
    `<ul style="margin:4px 0 12px;padding-left:20px">${texts.map((text) => `<li>${text}</li>`).join('')}</ul>`
  const nextSteps = [
    ...links.map(({ label, url }) => `<a href="${html(url)}">${html(label)}</a>`),
    ...steps.map(({ label, command }) => `${html(label)}: <code style="${CODE}">${html(command)}</code>`),
  ]
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"></head>',
    '<body style="font-family:system-ui,Segoe UI,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.45">',
    `<div style="border-left:4px ${isDryRun ? 'dashed' : 'solid'} ${colour};padding:4px 16px;max-width:720px">`,
    `<h2 style="margin:0 0 8px;font-size:18px;color:${colour}">${html(title)}</h2>`,
    `<p style="margin:0 0 12px">${html(summary)}</p>`,
    `<table role="presentation" style="border-collapse:collapse;margin:0 0 12px">${rows.join('')}</table>`,
    signals.length === 0 ? '' : `<p style="margin:0">${html(listLabel)}:</p>${items(signals.map(html))}`,
    `<p style="margin:0 0 12px"><strong>${html(response)}</strong></p>`,
    nextSteps.length === 0 ? '' : `<p style="margin:0">What to do next:</p>${items(nextSteps)}`,
    `<p style="margin:0;color:#57606a;font-size:12px">${html(footer)}</p>`,
    '</div></body></html>',
  ].join('\n')
}
