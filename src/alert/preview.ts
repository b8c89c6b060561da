import { messageLines, type Message } from './message.ts'

const WIDTH = 96
const RESET = '\u001B[0m'
const BOLD = '\u001B[1m'
const COLOURS = { critical: '\u001B[31m', warning: '\u001B[33m', info: '\u001B[36m', good: '\u001B[32m' }

/**
 * The message as a terminal shows it, without a line break at the end. A bar on the left and none on the right: the
 * width of foreign letters is the terminal's secret. Escape sequences come from here only, the message has none.
 */
export function previewMessage(message: Message, { colour }: { readonly colour: boolean }): string {
  const [heading = '', , ...rest] = messageLines(message)
  const paint = (text: string, style: string): string => (colour ? `${style}${text}${RESET}` : text)
  const bar = (end: string): string => paint(end, COLOURS[message.tone])
  return [
    `${bar('┌─')} ${paint(heading, BOLD + COLOURS[message.tone])}`,
    ...rest.flatMap((line) => wrap(line, WIDTH)).map((line) => `${bar('│')} ${line}`.trimEnd()),
    bar('└─'),
  ].join('\n')
}

/** Lines of at most `width` code points, broken at spaces; commands and addresses are never broken, they are copied. */
function wrap(line: string, width: number): string[] {
  if (line.startsWith('- ')) return [line]
  const lines: string[] = []
  let current = ''
  for (const word of line.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > width) {
      lines.push(current)
      current = word
    } else {
      current = current === '' ? word : `${current} ${word}`
    }
  }
  return [...lines, current]
}
