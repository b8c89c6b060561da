/** One thing that is wrong, or doubtful, with the configuration, and where. */
export interface Problem {
  /** The file; undefined for an environment variable. */
  readonly file: string | undefined
  /** From 1; so is the column. */
  readonly line: number
  readonly column: number
  /** The setting as it would be written in code, `routes[0].channels[1]`; or the environment variable; '' for the file itself. */
  readonly path: string
  /** What is wrong and what is allowed. Never holds a secret. */
  readonly message: string
}

/** `alerts.yaml:7:5: notify.group_wait: what is wrong, what is allowed`. */
export function formatProblem({ file, line, column, path, message }: Problem): string {
  const place = file === undefined ? [] : [`${file}:${line}:${column}`]
  return [...place, ...(path === '' ? [] : [path]), message].join(': ')
}

/** The configuration cannot be used; `problems` lists everything that is wrong with it, not only the first. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join('\n'), options)
    this.problems = problems
  }
}

/** A path into the configuration, as zod and YAML have it. */
export type Path = readonly PropertyKey[]

/** `routes[0].match.key_id`; keys that are no plain words are quoted. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    const word = String(key)
    if (!/^[A-Za-z_][\w-]*$/.test(word)) return `${text}[${JSON.stringify(word)}]`
    return text === '' ? word : `${text}.${word}`
  }, '')
}
