import { isMap, isScalar, isSeq, type Scalar } from 'yaml'
import { expand, type Env } from './expand.ts'
import type { Path, Problem } from './problem.ts'
import { keyText, type YamlSource } from './yaml-source.ts'

export interface Substitution {
  /** The scalars that hold a variable, with the names. Their values are not to be shown. */
  readonly variables: ReadonlyMap<unknown, readonly string[]>
  /** The scalars whose variables could not be put in. */
  readonly unresolved: ReadonlySet<unknown>
  readonly problems: readonly Problem[]
}

/**
 * Puts the environment into the values of the parsed document. It happens after parsing, and in scalars only, so that no
 * value of a variable, whatever it holds, can become YAML.
 */
export function substitute(source: YamlSource, env: Env): Substitution {
  const variables = new Map<unknown, readonly string[]>()
  const unresolved = new Set<unknown>()
  const problems: Problem[] = []
  forEachText(source.document.contents, [], (scalar, path) => {
    if (!scalar.value.includes('${')) return
    const expansion = expand(scalar.value, env)
    scalar.value = expansion.text
    if (expansion.variables.length > 0) variables.set(scalar, expansion.variables)
    if (expansion.mistakes.length > 0) unresolved.add(scalar)
    for (const { at, message } of expansion.mistakes)
      problems.push(source.problemAt(offsetOf(source, scalar, at), path, message))
  })
  return { variables, unresolved, problems }
}

function forEachText(node: unknown, path: Path, visit: (scalar: Scalar<string>, path: Path) => void): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) forEachText(value, [...path, keyText(key)], visit)
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) forEachText(item, [...path, index], visit)
  } else if (isScalar(node) && typeof node.value === 'string') {
    visit(node as Scalar<string>, path)
  }
}

/** Where the reference stands in the file; a text that is written with escapes may hide it: then where the text starts. */
function offsetOf(source: YamlSource, scalar: Scalar, reference: string): number {
  const [start, end] = scalar.range ?? [0, 0]
  const offset = source.text.indexOf(reference, start)
  return offset >= 0 && offset < end ? offset : start
}
