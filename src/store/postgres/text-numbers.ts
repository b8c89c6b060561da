/** Gives texts that occur again and again (models, countries, addresses) a number each, so that rows can be numbers only. */
export class TextNumbers {
  readonly #numbers = new Map<string, number>()
  readonly #texts: string[] = []

  get size(): number {
    return this.#texts.length
  }

  numberOf(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#texts.push(text)
    this.#numbers.set(text, this.#texts.length - 1)
    return this.#texts.length - 1
  }

  /** Of a number that `numberOf` gave. */
  textOf(number: number): string {
    return this.#texts[number] ?? ''
  }
}
