import type { Message } from '../../alert/message.ts'

/** Teams refuses more than 28 KB. */
export const MAX_TEAMS_BYTES = 28 * 1_024
const MAX_BYTES = MAX_TEAMS_BYTES - 1_024

interface TextRun {
  readonly type: 'TextRun'
  readonly text: string
  readonly weight?: 'Bolder'
  readonly size?: 'Large' | 'Small'
  readonly color?: 'Attention' | 'Warning' | 'Accent' | 'Good'
  readonly isSubtle?: true
  readonly fontType?: 'Monospace'
}
interface RichText {
  readonly type: 'RichTextBlock'
  readonly inlines: readonly TextRun[]
  readonly separator?: true
}
type Item =
  | RichText
  | { readonly type: 'Container'; readonly style: string; readonly items: readonly RichText[] }

/** What a workflow takes: one adaptive card. */
export interface TeamsPayload {
  readonly type: 'message'
  readonly attachments: readonly [
    {
      readonly contentType: 'application/vnd.microsoft.card.adaptive'
      readonly contentUrl: null
      readonly content: {
        readonly $schema: string
        readonly type: 'AdaptiveCard'
        readonly version: '1.4'
        readonly msteams: { readonly width: 'Full' }
        readonly fallbackText: string
        readonly body: readonly Item[]
        readonly actions: readonly {
          readonly type: 'Action.OpenUrl'
          readonly title: string
          readonly url: string
        }[]
      }
    },
  ]
}

const COLOUR = { critical: 'Attention', warning: 'Warning', info: 'Accent', good: 'Good' } as const
const STYLE = { critical: 'attention', warning: 'warning', info: 'accent', good: 'good' } as const

/**
 * The message as an adaptive card. All text stands in text runs, where Teams reads no markdown: no link and no mention
 * comes out of a text. What would not fit into 28 KB is left out, the list first, then the commands.
 */
export function teamsPayload(message: Message): TeamsPayload {
  const shrunk: readonly Message[] = [
    message,
    { ...message, signals: message.signals.slice(0, 3) },
    { ...message, signals: [], steps: [] },
    { ...message, signals: [], steps: [], facts: message.facts.slice(0, 5), links: [] },
  ]
  const cards = shrunk.map(cardOf)
  const fitting = cards.find((card) => Buffer.byteLength(JSON.stringify(card)) <= MAX_BYTES)
  // The texts of the last one have at most some 3,000 characters, of four bytes each.
  return fitting ?? cardOf({ ...message, signals: [], steps: [], facts: [], links: [] })
}

function cardOf(message: Message): TeamsPayload {
  return {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          msteams: { width: 'Full' },
          fallbackText: message.title,
          body: message.brief === undefined ? bodyOf(message) : [headingOf(message, message.brief)],
          actions: message.links.flatMap(({ label, url }) =>
            URL.canParse(url) ? [{ type: 'Action.OpenUrl' as const, title: label, url }] : [],
          ),
        },
      },
    ],
  }
}

function bodyOf(message: Message): Item[] {
  const { heading, summary, facts, listLabel, signals, response, steps, footer } = message
  return [
    headingOf(message, heading),
    text([{ text: summary }]),
    ...facts.map(({ label, value }) => text([{ text: `${label}: `, weight: 'Bolder' }, { text: value }])),
    ...(signals.length === 0 ? [] : [text([{ text: listLabel, weight: 'Bolder' }], { separator: true })]),
    ...signals.map((signal) => text([{ text: `• ${signal}` }])),
    ...(response === '' ? [] : [text([{ text: response, weight: 'Bolder' }], { separator: true })]),
    ...steps.map(({ label, command }) =>
      text([{ text: `${label}: ` }, { text: command, fontType: 'Monospace' }]),
    ),
    text([{ text: footer, size: 'Small', isSubtle: true }]),
  ]
}

/** On the colour of the severity; what was not really done stands on grey. */
function headingOf({ tone, isDryRun }: Message, line: string): Item {
  return {
    type: 'Container',
    style: isDryRun ? 'emphasis' : STYLE[tone],
    items: [text([{ text: line, weight: 'Bolder', size: 'Large', color: COLOUR[tone] }])],
  }
}

function text(runs: readonly Omit<TextRun, 'type'>[], options: { readonly separator?: true } = {}): RichText {
  return {
    type: 'RichTextBlock',
    inlines: runs.filter((run) => run.text !== '').map((run) => ({ type: 'TextRun', ...run })),
    ...options,
  }
}
