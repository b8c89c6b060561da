import type { IncomingWebhookSendArguments } from '@slack/webhook'
import { messageLines, type Message } from '../../alert/message.ts'

export type SlackPayload = IncomingWebhookSendArguments
type Block = NonNullable<SlackPayload['blocks']>[number]

// Slack's own limits are 150 for a header, 3,000 for a section, 2,000 for each of 10 fields, 50 blocks, and, written
// nowhere, about 13,200 characters in all (slackapi/bolt-js issue 2509). Ours keep the whole payload under 10,000.
const MAX_HEADER = 150
const MAX_SUMMARY = 800
const MAX_FIELD = 200
const MAX_SIGNALS = 2_500
const MAX_RESPONSE = 350
const MAX_STEPS = 800
const MAX_FOOTER = 250
const MAX_FALLBACK = 3_000

const TONE_MARK = { critical: '🔴', warning: '🟠', info: '🔵', good: '🟢' } as const
const DRY_RUN_MARK = '🟣'

/**
 * The message as Block Kit. Whatever an attacker may have chosen stands in `plain_text`, where Slack reads neither
 * formatting nor mentions nor links; `text` is what notifications show.
 */
export function slackBlocks(message: Message): SlackPayload {
  const mark = markOf(message)
  if (message.brief !== undefined) return slackLine(message)
  const signals = message.signals.map((signal) => `• ${signal}`).join('\n')
  return {
    text: escaped(`${mark} ${message.title}`, MAX_HEADER * 2),
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: 'header', text: plain(`${mark} ${message.heading}`, MAX_HEADER) },
      ...section(message.summary, MAX_SUMMARY),
      ...fields(message),
      ...section(signals === '' ? '' : `${message.listLabel}\n${signals}`, MAX_SIGNALS),
      ...section(message.response, MAX_RESPONSE),
      ...section(stepsText(message), MAX_STEPS),
      ...linksBlock(message),
      { type: 'context', elements: [plain(message.footer, MAX_FOOTER)] },
    ],
  }
}

/** The message as one line: for what is over, and for the thread of a message that is changed in place. */
export function slackLine(message: Message): SlackPayload {
  const line = `${markOf(message)} ${message.brief ?? message.title}`
  return {
    text: escaped(line, MAX_HEADER * 2),
    unfurl_links: false,
    unfurl_media: false,
    blocks: section(line, MAX_SUMMARY),
  }
}

/** Colour says how bad it is; violet besides, that nothing was really done. */
function markOf({ tone, isDryRun }: Message): string {
  return isDryRun ? `${TONE_MARK[tone]}${DRY_RUN_MARK}` : TONE_MARK[tone]
}

/** The message as one code block: what is sent when Slack refuses the blocks. Code is free of formatting and links. */
export function slackFallback(message: Message): SlackPayload {
  const lines = messageLines(message).join('\n').replaceAll('`', 'ˋ')
  return { text: `\`\`\`\n${escaped(lines, MAX_FALLBACK)}\n\`\`\``, unfurl_links: false, unfurl_media: false }
}

/**
 * Escapes what Slack asks to escape, cut so that the escaped text has at most `maxLength` characters, never within a
 * character or an escape.
 */
export function escaped(text: string, maxLength: number): string {
  const cut = maxLength - 1
  let result = ''
  for (const character of text) {
    const next = ESCAPES[character] ?? character
    if (result.length + next.length > cut) return `${result}…`
    result += next
  }
  return result
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

function plain(text: string, maxLength: number): { type: 'plain_text'; text: string; emoji: false } {
  return { type: 'plain_text', text: escaped(text, maxLength), emoji: false }
}

/** No block at all for an empty text, which Slack refuses. */
function section(text: string, maxLength: number): Block[] {
  return text === '' ? [] : [{ type: 'section', text: plain(text, maxLength) }]
}

function fields({ facts }: Message): Block[] {
  if (facts.length === 0) return []
  return [
    {
      type: 'section',
      fields: facts.slice(0, 10).map(({ label, value }) => plain(`${label}\n${value}`, MAX_FIELD)),
    },
  ]
}

/** A command is shown whole or not at all: half of one could still be run. */
function stepsText({ steps }: Message): string {
  const lines = steps.map(({ label, command }) => `${label}: ${command}`)
  while (escaped(lines.join('\n'), Infinity).length >= MAX_STEPS) lines.pop()
  return lines.join('\n')
}

function linksBlock({ links }: Message): Block[] {
  const parts = links.flatMap(({ label, url }) => {
    const address = URL.parse(url)?.href.replaceAll('|', '%7C')
    return address === undefined || address.length > 500
      ? []
      : [`<${escaped(address, 600)}|${escaped(label, 60)}>`]
  })
  if (parts.length === 0) return []
  return [{ type: 'section', text: { type: 'mrkdwn', text: parts.slice(0, 3).join('  ') } }]
}
