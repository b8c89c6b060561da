import { falseShare, type LargeFleet } from './fleet.ts'
import type { KitScore, Level, LevelFigures } from './kit.ts'

/** What was measured. Undefined: not run. */
export interface Measured {
  /** All seeds together, and each alone. */
  readonly fleets: KitScore
  readonly seeds: readonly KitScore[]
  readonly rhythm: KitScore | undefined
  /** What critical alerts are judged on; the fleets above stand in for it when it was not run. */
  readonly largeFleet?: LargeFleet | undefined
  readonly nabStandard: number | undefined
  readonly isCausal: boolean | undefined
}

export interface GoalRow {
  readonly name: string
  readonly comparable: string
  readonly gate: string
  readonly goal: string
  readonly measured: string
  /** Lowest and highest of the seeds taken alone. */
  readonly spread: string
  readonly reached: 'goal' | 'gate' | 'missed' | 'not run'
}

interface Goal {
  readonly name: string
  readonly comparable: string
  readonly gate: number
  readonly goal: number
  readonly better: 'more' | 'less'
  readonly of: (score: KitScore) => number | undefined
  readonly text?: (value: number) => string
}

/** Benign changes that look like a thief to a rule that knows novelty only. */
const MOVES = ['business_travel', 'region_move', 'model_migration']

/** The figures are those of the headline's level of severity, but where the name says warning or critical. */
const FLEET_GOALS: readonly Goal[] = [
  {
    name: 'headline: macro recall at no more than 1 false alert per 100 key-days',
    comparable: '0 (spike + new term: 0.78 at 58 false alerts)',
    gate: 0.75,
    goal: 0.9,
    better: 'more',
    of: ({ headline }) => headline,
  },
  {
    name: 'hard kinds (slow drip, spend creep), recall',
    comparable: '0.17',
    gate: 0.35,
    goal: 0.6,
    better: 'more',
    of: at((level) => level.recall_hard),
  },
  {
    name: 'token inflation, recall',
    comparable: '0.44',
    gate: 0.8,
    goal: 0.95,
    better: 'more',
    of: at((level) => level.kinds['token_inflation']?.recall_any),
  },
  {
    name: 'abusive spend prevented, had the key been revoked at the first alert of warning or worse',
    comparable: '0.45',
    gate: 0.6,
    goal: 0.8,
    better: 'more',
    of: ({ levels }) => levels.warning.spend_prevented ?? undefined,
  },
  {
    name: 'precision of alerts',
    comparable: '0.61',
    gate: 0.65,
    goal: 0.8,
    better: 'more',
    of: at((level) => level.precision_alerts),
  },
  {
    name: 'windows of benign travel, region move and model migration alerted at warning or worse',
    comparable: '0.81 (17 of 21)',
    gate: 1 / 3,
    goal: 1 / 6,
    better: 'less',
    of: ({ levels }) => shareAlerted(levels.warning),
  },
  {
    name: 'median time to detect, minutes',
    comparable: '0',
    gate: 1,
    goal: 0,
    better: 'less',
    of: at((level) => level.ttd_min_median),
    text: (value) => value.toFixed(1),
  },
  {
    name: 'time to detect, 90th percentile, minutes',
    comparable: '41',
    gate: 30,
    goal: 10,
    better: 'less',
    of: at((level) => level.ttd_min_p90),
    text: (value) => value.toFixed(1),
  },
]

const CRITICAL_GOAL: Goal = {
  name: 'critical alerts that are false',
  comparable: '',
  gate: 1 / 10,
  goal: 1 / 30,
  better: 'less',
  of: (score) => falseShare(score, 'critical'),
  text: (value) => value.toFixed(3),
}

/** On the large fleet, or on the fleets that stand in for it. */
export function criticalRow({
  fleets,
  seeds,
  largeFleet,
}: Pick<Measured, 'fleets' | 'seeds' | 'largeFleet'>): GoalRow {
  if (largeFleet === undefined)
    return rowOf(CRITICAL_GOAL, CRITICAL_GOAL.of(fleets), seeds.map(CRITICAL_GOAL.of))
  const name = `${CRITICAL_GOAL.name}, in a fleet of ${largeFleet.keys.toLocaleString('en-US')} keys`
  return rowOf({ ...CRITICAL_GOAL, name }, CRITICAL_GOAL.of(largeFleet.score), [])
}

const RHYTHM_GOALS: readonly Goal[] = [
  {
    name: 'real rhythm: false alerts per 100 key-days, warning or worse',
    comparable: '0.60',
    gate: 0.4,
    goal: 0.15,
    better: 'less',
    of: ({ levels }) => levels.warning.false_per_100_key_days,
  },
  {
    name: 'real rhythm: recall, warning or worse',
    comparable: '0.85',
    gate: 0.9,
    goal: 0.95,
    better: 'more',
    of: ({ levels }) => levels.warning.recall_macro,
  },
]

/** A median time to detect of up to a tick and a half of the daemon counts as the goal of 0. The gate has no such slack. */
export const TICK_MINUTES = 0.25

/** The goals' table, measured. */
export function goalRows({ fleets, seeds, rhythm, nabStandard, isCausal, largeFleet }: Measured): GoalRow[] {
  return [
    ...FLEET_GOALS.map((goal) => rowOf(goal, goal.of(fleets), seeds.map(goal.of))),
    criticalRow({ fleets, seeds, largeFleet }),
    ...RHYTHM_GOALS.map((goal) => rowOf(goal, rhythm === undefined ? undefined : goal.of(rhythm), [])),
    rowOf(
      {
        name: 'NAB standard profile, volume maths, causal, one threshold (tuned on NAB itself, see below)',
        comparable: '47.1 (Twitter ADVec)',
        gate: 47,
        goal: 60,
        better: 'more',
        of: () => undefined,
        text: (value) => value.toFixed(1),
      },
      nabStandard,
      [],
    ),
    {
      name: 'causality check',
      comparable: '',
      gate: 'passes',
      goal: 'passes',
      measured: isCausal === undefined ? 'not run' : isCausal ? 'passes' : 'fails',
      spread: '',
      reached: isCausal === undefined ? 'not run' : isCausal ? 'goal' : 'missed',
    },
  ]
}

/** The level of severity that gives the headline; warning when none keeps the budget. */
export function headlineLevel(score: KitScore): Level {
  return score.headline_level ?? 'warning'
}

/** Share of the windows of moves and migrations in which a false alert was raised. */
export function shareAlerted({ benign }: LevelFigures): number | undefined {
  const windows = MOVES.flatMap((kind) => benign[kind] ?? [])
  const all = windows.reduce((sum, window) => sum + window.windows, 0)
  return all === 0 ? undefined : windows.reduce((sum, window) => sum + window.windows_alerted, 0) / all
}

function at(figure: (level: LevelFigures) => number | null | undefined): Goal['of'] {
  return (score) => figure(score.levels[headlineLevel(score)]) ?? undefined
}

function rowOf(goal: Goal, measured: number | undefined, alone: readonly (number | undefined)[]): GoalRow {
  const text = goal.text ?? ((value: number) => value.toFixed(2))
  const known = alone.filter((value) => value !== undefined)
  return {
    name: goal.name,
    comparable: goal.comparable,
    gate: text(goal.gate),
    goal: text(goal.goal),
    measured: measured === undefined ? 'not run' : text(measured),
    spread: known.length < 2 ? '' : `${text(Math.min(...known))} to ${text(Math.max(...known))}`,
    reached: reachedBy(goal, measured),
  }
}

const ROUNDING = 1e-9

function reachedBy({ gate, goal, better }: Goal, measured: number | undefined): GoalRow['reached'] {
  if (measured === undefined) return 'not run'
  const goalSlack = goal === 0 ? TICK_MINUTES : ROUNDING
  const reaches = (bound: number, slack: number): boolean =>
    better === 'more' ? measured >= bound - slack : measured <= bound + slack
  if (reaches(goal, goalSlack)) return 'goal'
  return reaches(gate, ROUNDING) ? 'gate' : 'missed'
}
