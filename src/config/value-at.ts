import type { Path } from './problem.ts'

/** The value at a path of plain data; undefined when there is none. Own properties only. */
export function valueAt(input: unknown, path: Path): unknown {
  return path.reduce(childValue, input)
}

function childValue(value: unknown, step: PropertyKey): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
  return (value as Readonly<Record<PropertyKey, unknown>>)[step]
}
