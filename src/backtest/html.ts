import { plainText } from '../alert/plain-text.ts'

/** Markup that is safe to write as it is: only `html` makes it. */
export class Markup {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  toString(): string {
    return this.#text
  }
}

type Content = Markup | string | number | undefined | readonly Content[]

/**
 * A template of HTML or SVG. Every value in it is escaped, for text and for quoted attributes alike, unless it is
 * Markup itself; undefined is nothing. Control and direction characters are taken out of texts.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  let text = parts[0] ?? ''
  for (const [index, value] of values.entries()) text += contentOf(value) + (parts[index + 1] ?? '')
  return new Markup(text)
}

const CHARACTERS_MAX = 20_000
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function contentOf(value: Content): string {
  if (value === undefined) return ''
  if (value instanceof Markup) return value.toString()
  if (typeof value === 'object') return value.map(contentOf).join('')
  return plainKeepingSpaces(String(value)).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

/** plainText trims; the spaces at the ends of a piece of a sentence are wanted. */
function plainKeepingSpaces(text: string): string {
  const start = text.startsWith(' ') ? ' ' : ''
  const end = text.length > 1 && text.endsWith(' ') ? ' ' : ''
  return `${start}${plainText(text, CHARACTERS_MAX)}${end}`
}
