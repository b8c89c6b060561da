/** The part of a compose file that is read here. */
export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly volumes?: Readonly<Record<string, unknown>>
  readonly networks?: Readonly<Record<string, unknown>>
}

export interface ComposeService {
  readonly image?: string
  readonly user?: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly restart?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | number>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean }
  readonly ports?: readonly string[]
  readonly volumes?: readonly (
    | string
    | { readonly type: string; readonly source: string; readonly target: string }
  )[]
  readonly networks?: readonly string[]
}

/** What a compose file's schema cannot say: that what is named exists, and that nothing stands open. */
export function composeProblems(file: ComposeFile): string[] {
  return Object.entries(file.services).flatMap(([name, service]) =>
    [
      ...dependencyProblems(file, service),
      ...nameProblems(file, service),
      ...portProblems(service),
      ...hardeningProblems(service),
    ].map((problem) => `${name}: ${problem}`),
  )
}

/** The names of all `${VAR}` in the text that have neither a default nor a message for when they are missing. */
export function unguardedVariables(text: string): string[] {
  const uncommented = text.replace(/^\s*#.*$/gm, '')
  return [...uncommented.matchAll(/\$\{(\w+)([^}]*)\}/g)]
    .filter(([, , rest = '']) => !/^:?[-?]./.test(rest))
    .map(([, name = '']) => name)
}

function* dependencyProblems(file: ComposeFile, service: ComposeService): Generator<string> {
  for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
    const target = file.services[name]
    if (!target) yield `depends on the unknown service ${name}`
    else if (condition === 'service_healthy' && !target.healthcheck?.test)
      yield `waits for ${name}, which has no health check`
    else if (condition === 'service_completed_successfully' && !endsByItself(target))
      yield `waits for the end of ${name}, which restarts for ever`
    else if (!CONDITIONS.includes(condition)) yield `the condition ${condition} does not exist`
  }
}

const CONDITIONS = ['service_started', 'service_healthy', 'service_completed_successfully']

function endsByItself({ restart = 'no' }: ComposeService): boolean {
  return restart === 'no' || restart.startsWith('on-failure')
}

function* nameProblems(file: ComposeFile, service: ComposeService): Generator<string> {
  for (const volume of service.volumes ?? []) {
    const source = typeof volume === 'string' ? (volume.split(':')[0] ?? '') : volume.source
    const target = typeof volume === 'string' ? (volume.split(':')[1] ?? '') : volume.target
    if (!/^[./~]/.test(source) && !(source in (file.volumes ?? {})))
      yield `mounts the unknown volume ${source}`
    // From version 18 the data is elsewhere, and what is mounted there stays empty.
    if (service.image?.startsWith('postgres:') && target === '/var/lib/postgresql/data')
      yield `mounts ${target}`
  }
  for (const network of service.networks ?? []) {
    if (network !== 'default' && !(network in (file.networks ?? {})))
      yield `joins the unknown network ${network}`
  }
}

function* portProblems(service: ComposeService): Generator<string> {
  for (const port of service.ports ?? []) {
    if (!port.startsWith('127.0.0.1:')) yield `publishes ${port} to every network`
  }
}

function* hardeningProblems(service: ComposeService): Generator<string> {
  if (!service.user || /^(0|root)(:|$)/.test(service.user)) yield 'runs as root'
  if (!service.read_only) yield 'may write into its image'
  if (!service.cap_drop?.includes('ALL')) yield 'keeps capabilities'
  if (!service.security_opt?.includes('no-new-privileges:true')) yield 'may gain privileges'
  if (service.restart === 'unless-stopped' && !service.healthcheck?.test) yield 'has no health check'
}
