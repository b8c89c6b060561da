/** True when the condition holds for one of the items; of those after it nothing is asked, and nothing is copied. */
export function isAny<Item>(items: Iterable<Item>, holds: (item: Item) => boolean): boolean {
  for (const item of items) if (holds(item)) return true
  return false
}
