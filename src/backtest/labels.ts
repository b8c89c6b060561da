import { z } from 'zod'
import { hashSecretsIn } from '../usage/secret-key-id.ts'
import { parseTimestamp } from '../usage/timestamp.ts'
import { HASH_KEY } from './event-source.ts'

/** A known case of abuse of one key. */
export interface Incident {
  readonly keyId: string
  readonly kind: string
  readonly startMs: number
  readonly endMs: number
  /** True for a kind that is known to be hard to see. */
  readonly hard: boolean
  /** What the abuse cost in all, in US dollars, and how it grew: seconds since the start, requests and dollars so far. */
  readonly costUsd: number | undefined
  readonly curve: readonly (readonly [seconds: number, requests: number, usd: number])[]
}

/** A known change that is no abuse. Alerts in it are false, but for those of the detectors it allows. */
export interface BenignWindow {
  readonly keyId: string
  readonly kind: string
  readonly startMs: number
  readonly endMs: number
  readonly allow: readonly string[]
}

/** What is known about a history: `--labels`. */
export interface Labels {
  readonly incidents: readonly Incident[]
  readonly benign: readonly BenignWindow[]
}

export const NO_LABELS: Labels = { incidents: [], benign: [] }

const instantMs = z.union([z.string(), z.number()]).transform((value, context) => {
  const atMs = typeof value === 'number' ? value : parseTimestamp(value)
  if (atMs !== undefined) return atMs
  context.addIssue({
    code: 'custom',
    message: 'expected an ISO-8601 time with a zone, or epoch milliseconds',
  })
  return z.NEVER
})
const span = { key_id: z.string().min(1), start: instantMs, end: instantMs }
// Loose objects: labels may say more than is needed here.
const labelsSchema = z.object({
  attacks: z.array(
    z.object({
      ...span,
      kind: z.string().default('incident'),
      hard: z.boolean().default(false),
      cost_usd: z.number().min(0).optional(),
      curve: z.array(z.tuple([z.number(), z.number(), z.number()])).default([]),
    }),
  ),
  hard_negatives: z
    .array(z.object({ ...span, kind: z.string().default('benign'), allow: z.array(z.string()).default([]) }))
    .default([]),
})

/** Reads the text of a labels file. Throws an error that names the file, the field and what is expected there. */
export function parseLabels(text: string, file: string): Labels {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error(`${file}: not JSON; expected { "attacks": [{ "key_id", "start", "end", "kind" }, ...] }`)
  }
  const parsed = labelsSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new Error(
      `${file}: ${issue === undefined ? 'not labels' : `${pathOf(issue.path)}: ${issue.message}`}`,
    )
  }
  const { attacks, hard_negatives: negatives } = parsed.data
  return {
    incidents: attacks.map(({ key_id: keyId, start, end, kind, hard, cost_usd: costUsd, curve }) => ({
      ...windowOf({ keyId, start, end }, file),
      kind,
      hard,
      costUsd,
      curve,
    })),
    benign: negatives.map(({ key_id: keyId, start, end, kind, allow }) => ({
      ...windowOf({ keyId, start, end }, file),
      kind,
      allow,
    })),
  }
}

function windowOf(
  { keyId, start, end }: { readonly keyId: string; readonly start: number; readonly end: number },
  file: string,
) {
  if (end < start)
    throw new Error(`${file}: a window ends before it starts (${new Date(start).toISOString()})`)
  // As the events' key ids are: a secret must neither be shown nor miss its events.
  return { keyId: hashSecretsIn(keyId, HASH_KEY), startMs: start, endMs: end }
}

function pathOf(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('')
}
