import { plainText } from '../alert/plain-text.ts'
import { columns } from './columns.ts'
import type { LevelScore } from './score.ts'

const KIND_CHARACTERS = 40

/** The scores of the severity ladder as lines of text, and those of warning and worse by kind. */
export function scoreTable(scores: readonly LevelScore[]): string[] {
  const warning = scores.find(({ severity }) => severity === 'warning')
  const ladder = columns([
    [
      'against the labels',
      'incidents',
      'detected',
      'recall',
      'precision',
      'false per 100 key-days',
      'minutes to detect, median',
      'p90',
      'spend prevented',
    ],
    ...scores.map((score) => [
      score.severity === 'critical' ? 'critical' : `${score.severity} and worse`,
      String(score.incidents),
      String(score.detected),
      fixed(score.recall, 2),
      fixed(score.precision, 2),
      score.false_per_100_key_days.toFixed(2),
      fixed(score.minutes_to_detect.median, 1),
      fixed(score.minutes_to_detect.p90, 1),
      fixed(score.spend_prevented, 2),
    ]),
  ])
  if (warning === undefined || warning.kinds.length + warning.benign.length === 0) return ladder
  return [...ladder, '', ...kindTable(warning)]
}

function kindTable({ kinds, benign }: LevelScore): string[] {
  return columns([
    ['by kind, warning and worse', 'cases', 'alerted', 'minutes, median'],
    ...kinds.map((kind) => [
      plainText(kind.kind, KIND_CHARACTERS),
      String(kind.incidents),
      String(kind.detected),
      fixed(kind.minutes_to_detect_median, 1),
    ]),
    ...benign.map((window) => [
      `benign: ${plainText(window.kind, KIND_CHARACTERS)}`,
      String(window.windows),
      String(window.alerted),
    ]),
  ])
}

function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? '-' : value.toFixed(digits)
}
