import type { Message } from '../../alert/message.ts'

/** What is posted: one embed. https://discord.com/developers/docs/resources/webhook#execute-webhook */
export interface DiscordPayload {
  readonly embeds: readonly {
    readonly title: string
    readonly description: string
    readonly color: number
    readonly fields: readonly { readonly name: string; readonly value: string; readonly inline: boolean }[]
    readonly footer: { readonly text: string }
  }[]
  readonly allowed_mentions: { readonly parse: readonly never[] }
}

// Discord's limits are 256 for a title, 4,096 for a description, 25 fields of 256 and 1,024, 2,048 for the footer, and
// 6,000 for all of it. Ours add up to less than that.
const MAX_TITLE = 256
const MAX_SUMMARY = 800
const MAX_LIST = 1_600
const MAX_RESPONSE = 400
const MAX_STEPS = 600
const MAX_LINKS = 1_000
const MAX_DESCRIPTION = 3_400
const MAX_NAME = 60
const MAX_VALUE = 160
const MAX_FOOTER = 250

const COLOUR = { critical: 0xb91c1c, warning: 0xb45309, info: 0x1d4ed8, good: 0x15803d } as const
const DRY_RUN_COLOUR = 0x7e22ce

/** The message as an embed. Nothing in it mentions anybody, and only our own addresses are links. */
export function discordPayload(message: Message): DiscordPayload {
  const { heading, brief, tone, isDryRun, facts, footer } = message
  const isBrief = brief !== undefined
  return {
    embeds: [
      {
        title: discordText(heading, MAX_TITLE),
        description: isBrief ? discordText(brief, MAX_SUMMARY) : descriptionOf(message),
        color: isDryRun ? DRY_RUN_COLOUR : COLOUR[tone],
        fields: isBrief
          ? []
          : facts.slice(0, 10).map(({ label, value }) => ({
              name: discordText(label, MAX_NAME) || '–',
              // Discord refuses a field without a value.
              value: discordText(value, MAX_VALUE) || '–',
              inline: true,
            })),
        // Discord shows a footer as it is.
        footer: { text: cut(footer, MAX_FOOTER) },
      },
    ],
    allowed_mentions: { parse: [] },
  }
}

function descriptionOf({ summary, listLabel, signals, response, steps, links }: Message): string {
  const list = signals.map((signal) => `• ${discordText(signal, 300)}`)
  const parts = [
    discordText(summary, MAX_SUMMARY),
    ...(list.length === 0 ? [] : [upTo([`${discordText(listLabel, MAX_NAME)}:`, ...list], MAX_LIST)]),
    discordText(response, MAX_RESPONSE),
    upTo(
      steps.map(({ label, command }) => `${discordText(label, MAX_NAME)}: ${code(command)}`),
      MAX_STEPS,
    ),
    upTo(
      links.flatMap(({ label, url }) => linkTo(url, label)),
      MAX_LINKS,
    ),
  ].filter((part) => part !== '')
  return upTo(parts, MAX_DESCRIPTION, '\n\n')
}

/**
 * A text that Discord shows as it stands, cut so that the escaped text has at most `maxLength` characters. Every sign
 * that could begin a mention, a link, an address or formatting is escaped, which Discord allows for all punctuation.
 */
export function discordText(text: string, maxLength: number): string {
  let result = ''
  for (const character of text) {
    const next = /[\\*_~`|>#+=[\](){}<@:/!&$-]/.test(character) ? `\\${character}` : character
    if (result.length + next.length > maxLength - 1) return `${result}…`
    result += next
  }
  return result
}

/** A command to copy: in code nothing is escaped, so nothing may end the code. */
function code(command: string): string {
  return `\`${command.replaceAll('`', 'ˋ')}\``
}

function linkTo(url: string, label: string): string[] {
  const address = URL.parse(url)?.href.replaceAll('(', '%28').replaceAll(')', '%29')
  return address === undefined ? [] : [`[${discordText(label, MAX_NAME)}](<${address}>)`]
}

/** Whole pieces only: half a command could be run, half a link leads nowhere. */
function upTo(pieces: readonly string[], maxLength: number, between = '\n'): string {
  const kept: string[] = []
  let length = 0
  for (const piece of pieces) {
    length += piece.length + between.length
    if (length > maxLength) break
    kept.push(piece)
  }
  return kept.join(between)
}

function cut(text: string, maxLength: number): string {
  return text.length <= maxLength
    ? text
    : `${Array.from(text)
        .slice(0, maxLength / 2 - 1)
        .join('')}…`
}
