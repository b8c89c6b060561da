import type { Severity } from '../detect/finding.ts'
import type { Message } from './message.ts'
import { minute } from './message-values.ts'
import { plainText } from './plain-text.ts'

/** `problem` opens a topic, `recovered` closes it; a `report` has no topic to close. */
export const NOTICE_TYPES = ['keyhound.problem', 'keyhound.recovered', 'keyhound.report'] as const
export type NoticeType = (typeof NOTICE_TYPES)[number]

/** What keyhound tells about itself: a channel is broken, no usage arrives, the weekly report. No alert, and no key. */
export interface Notice {
  /** The idempotency key of the other side: the same on every retry. */
  readonly id: string
  readonly type: NoticeType
  /** What it is about, the same for a problem and its end: `channel:oncall`. At most 200 characters. */
  readonly topic: string
  readonly at: Date
  readonly severity: Severity
  /** One line: `channel oncall does not work`. */
  readonly title: string
  /** What happened, in one to three sentences. Text of other systems in it may hold anything. */
  readonly text: string
  readonly facts?: readonly { readonly label: string; readonly value: string }[]
  /** One item a line: what is affected, the rows of a report. */
  readonly lines?: readonly string[]
  /** What keyhound does about it, and what the operator should do. */
  readonly advice: string
}

const MAX_TITLE = 140
const MAX_TEXT = 600
const MAX_LINE = 200
const MAX_LINES = 20
/** A report is read at leisure. */
const MAX_REPORT_LINES = 40
const MAX_FACTS = 10

/** Words a notice in the form that every channel can show. Pure; never throws. */
export function noticeMessage(notice: Notice): Message {
  const { type, severity, title, text, facts = [], lines = [], advice, topic, at } = notice
  const mark = {
    'keyhound.problem': `[KEYHOUND ${severity.toUpperCase()}]`,
    'keyhound.recovered': '[KEYHOUND RECOVERED]',
    'keyhound.report': '[KEYHOUND REPORT]',
  }[type]
  const heading = plainText(`${mark} ${title}`, MAX_TITLE)
  const shown = type === 'keyhound.report' ? MAX_REPORT_LINES : MAX_LINES
  const more = lines.length - shown
  return {
    heading,
    title: heading,
    brief: undefined,
    tone: type === 'keyhound.recovered' ? 'good' : type === 'keyhound.report' ? 'info' : severity,
    isDryRun: false,
    summary: plainText(text, MAX_TEXT),
    facts: facts
      .slice(0, MAX_FACTS)
      .map(({ label, value }) => ({ label: plainText(label, 40), value: plainText(value, 150) })),
    listLabel: 'In detail',
    signals: [
      ...lines.slice(0, shown).map((line) => plainText(line, MAX_LINE)),
      ...(more > 0 ? [`+${more} more`] : []),
    ],
    response: plainText(advice, 300),
    steps: [],
    links: [],
    footer: `keyhound about itself, ${plainText(topic, 100)}, ${minute(at)}`,
  }
}
