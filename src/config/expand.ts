/** Variables as the process has them; a test passes its own. */
export type Env = Readonly<Record<string, string | undefined>>

export interface Expansion {
  readonly text: string
  /** Names of the variables that were asked for, also those that took their default. */
  readonly variables: readonly string[]
  readonly mistakes: readonly { readonly message: string; readonly at: string }[]
}

// $${ is a literal ${; then ${NAME} and ${NAME:-default}; then any other ${, which is a mistake.
const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{[^}]{0,40}\}?/g

/**
 * Replaces `${NAME}` and `${NAME:-default}` by variables of the environment. As in a shell, the default also stands in
 * for a variable that is set but empty. `$${` gives a literal `${`. What is put in is not looked at again.
 */
export function expand(text: string, env: Env): Expansion {
  const variables: string[] = []
  const mistakes: Expansion['mistakes'][number][] = []
  const expanded = text.replaceAll(REFERENCE, (reference: string, name?: string, fallback?: string) => {
    if (reference === '$${') return '${'
    if (name === undefined) {
      mistakes.push({ at: '${', message: 'expected ${NAME} or ${NAME:-default}; write $${ for a literal ${' })
      return reference
    }
    if (fallback?.includes('${') === true) {
      mistakes.push({ at: reference, message: `the default of \${${name}} cannot hold another \${...}` })
      return reference
    }
    variables.push(name)
    const value = valueOf(name, env, fallback)
    if (value !== undefined) return value
    mistakes.push({
      at: reference,
      message: `the environment variable ${name} is not set; set it, or give a default with \${${name}:-default}`,
    })
    return reference
  })
  return { text: expanded, variables, mistakes }
}

function valueOf(name: string, env: Env, fallback: string | undefined): string | undefined {
  const value = env[name]
  return fallback === undefined || (value !== undefined && value !== '') ? value : fallback
}
