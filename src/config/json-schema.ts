import { z } from 'zod'
import { alertsSchema } from './schema.ts'
import { valueAt } from './value-at.ts'

/** As much of JSON schema as zod writes for us. */
export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly propertyNames?: JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly minItems?: number
  readonly maxItems?: number
}

const ENVIRONMENT_TEXT: JsonSchema = { $ref: '#/definitions/environmentText' }

/** The schema of what an operator may write, before defaults: what the loader checks, without the environment. */
export function inputSchema(): JsonSchema {
  return z.toJSONSchema(alertsSchema, { io: 'input', target: 'draft-7' }) as JsonSchema
}

/**
 * The schema for editors (`alerts.schema.json`, draft-07): like `inputSchema`, and wherever a number, a switch or a text
 * of a certain form is expected it also takes a text that holds `${NAME}`.
 */
export function editorSchema(): Record<string, unknown> {
  const { properties = {}, ...root } = inputSchema()
  return {
    // zod would turn a root with an id into a bare $ref, so it is set here.
    $id: 'urn:keyhound:alerts-schema:1',
    title: 'keyhound configuration',
    ...root,
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, section]) => [
        name,
        orEmpty(forEditors(section, { defaults: name !== 'overrides' })),
      ]),
    ),
    definitions: {
      environmentText: {
        type: 'string',
        pattern: '\\$\\{',
        description: 'Taken from the environment: "${NAME}" or "${NAME:-default}".',
      },
    },
  }
}

/** A section of which every line is a comment is an empty one. */
function orEmpty(section: JsonSchema): unknown {
  return section.type === 'object' || section.type === 'array'
    ? { ...section, type: [section.type, 'null'] }
    : section
}

/** Without `defaults`, as in an override: what is not written there stays as it was. */
function forEditors(schema: JsonSchema, show: { readonly defaults: boolean }): JsonSchema {
  const { maximum, default: fallback, ...rest } = schema
  const inner = (part: JsonSchema): JsonSchema => forEditors(part, show)
  const kept: JsonSchema = {
    ...rest,
    ...(fallback !== undefined && show.defaults ? { default: fallback } : {}),
    // The bound that zod gives every integer says nothing to an operator.
    ...(maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? {} : { maximum }),
    ...(rest.properties === undefined ? {} : { properties: mapValues(rest.properties, inner) }),
    ...(typeof rest.additionalProperties === 'object'
      ? { additionalProperties: inner(rest.additionalProperties) }
      : {}),
    ...(rest.items === undefined ? {} : { items: inner(rest.items) }),
    ...(rest.anyOf === undefined ? {} : { anyOf: rest.anyOf.map(inner) }),
    ...(rest.oneOf === undefined ? {} : { oneOf: rest.oneOf.map(inner) }),
  }
  return isNarrowScalar(schema) ? orEnvironmentText(kept) : kept
}

function orEnvironmentText({ description, default: fallback, ...narrow }: JsonSchema): JsonSchema {
  return {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    anyOf: [narrow, ENVIRONMENT_TEXT],
  }
}

function mapValues(
  properties: Readonly<Record<string, JsonSchema>>,
  map: (schema: JsonSchema) => JsonSchema,
): Record<string, JsonSchema> {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, map(schema)]))
}

/** A scalar that would refuse the text `${NAME}`. The `type` of a channel stays as it is: it tells the kinds apart. */
function isNarrowScalar({ type, const: constant, enum: options, pattern, format }: JsonSchema): boolean {
  if (type === 'number' || type === 'integer' || type === 'boolean') return true
  return (
    type === 'string' &&
    constant === undefined &&
    (options !== undefined || pattern !== undefined || format !== undefined)
  )
}

/** The schema of the setting at a path; among alternatives, the one that `input` chose with its `type`. */
export function schemaAt(
  root: JsonSchema,
  path: readonly PropertyKey[],
  input: unknown,
): JsonSchema | undefined {
  let schema: JsonSchema | undefined = root
  let value = input
  for (const step of path) {
    schema = childOf(chosen(schema, value), step)
    if (schema === undefined) return undefined
    value = valueAt(value, [step])
  }
  return chosen(schema, value)
}

function childOf(schema: JsonSchema, step: PropertyKey): JsonSchema | undefined {
  if (typeof step === 'number') return schema.items
  const property = schema.properties?.[String(step)]
  if (property !== undefined) return property
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
}

function chosen(schema: JsonSchema, value: unknown): JsonSchema {
  const options = schema.oneOf ?? schema.anyOf
  if (options === undefined) return schema
  const type = valueAt(value, ['type'])
  const wanted = Array.isArray(value)
    ? options.find((option) => option.type === 'array')
    : options.find((option) => option.properties?.['type']?.const === type && type !== undefined)
  return wanted ?? options[0] ?? schema
}
