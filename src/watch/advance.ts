import { minute } from '../alert/message-values.ts'
import type { Notice } from '../alert/notice.ts'
import type { SelfAlert, SelfMoves } from '../store/self-alert-store.ts'
import { MINUTE_MS, SECOND_MS, WEEK_MS } from '../usage/duration.ts'
import { elapsedInWords } from './elapsed-in-words.ts'
import type { Judgement, Problem } from './judgement.ts'

/** So long everything must have been well, for every process, before a self-alert is over. */
export const CLOSE_AFTER_MS = 90 * SECOND_MS
/** One that no process says anything of any more (it stopped, the channel or detector is gone) is over after this. */
export const STALE_AFTER_MS = 15 * MINUTE_MS
/** What is not urgent is told again this rarely. */
const CALM_REPEAT_MS = WEEK_MS

/**
 * What the judgements of one process change about the self-alerts that are open for all. What is bad opens or goes on;
 * what is unclear goes on; what is good ends, once no process has found it bad for CLOSE_AFTER_MS: with several replicas
 * the one that is well does not speak for the one that is not. Pure but for the ids that `newId` makes.
 */
export function advance(
  open: readonly SelfAlert[],
  judgements: readonly Judgement[],
  tools: { readonly nowMs: number; readonly repeatMs: number; readonly newId: () => string },
): SelfMoves {
  const openOf = new Map(open.map((alert) => [alert.topic, alert]))
  const judged = new Map(judgements.map((judgement) => [judgement.topic, judgement]))
  const bad = judgements.filter((judgement) => judgement.state === 'bad')
  const ongoing = open.filter(({ topic }) => ['bad', 'unclear'].includes(judged.get(topic)?.state ?? ''))
  return {
    opened: bad
      .filter(({ topic }) => !openOf.has(topic))
      .map(({ topic, problem }) => openedBy(topic, problem, tools)),
    goingOn: ongoing.map(({ topic }) => topic),
    repeated: bad.flatMap(({ topic, problem }) => {
      const alert = openOf.get(topic)
      if (alert === undefined || !isToldAgain(alert, problem, tools)) return []
      const since = ` (since ${minute(alert.openedAt)})`
      return [
        { topic, notice: problemNotice(topic, { ...problem, title: `${problem.title}${since}` }, tools) },
      ]
    }),
    closed: open
      .filter((alert) => isOver(alert, judged.get(alert.topic), tools.nowMs))
      .map((alert) => ({ topic: alert.topic, notice: recoveredNotice(alert, tools) })),
  }
}

type Tools = Parameters<typeof advance>[2]

function openedBy(topic: string, problem: Problem, tools: Tools): SelfMoves['opened'][number] {
  const now = new Date(tools.nowMs)
  const { severity, title } = problem
  return {
    alert: { topic, severity, title, openedAt: now, lastBadAt: now, toldAt: now },
    notice: problemNotice(topic, problem, tools),
  }
}

function isToldAgain({ toldAt }: SelfAlert, { severity }: Problem, { nowMs, repeatMs }: Tools): boolean {
  const everyMs = severity === 'critical' ? repeatMs : Math.max(repeatMs, CALM_REPEAT_MS)
  return nowMs - toldAt.getTime() >= everyMs
}

function isOver(alert: SelfAlert, judgement: Judgement | undefined, nowMs: number): boolean {
  const quietMs = nowMs - alert.lastBadAt.getTime()
  if (judgement === undefined) return quietMs >= STALE_AFTER_MS
  return judgement.state === 'good' && quietMs >= CLOSE_AFTER_MS
}

function problemNotice(topic: string, problem: Problem, { nowMs, newId }: Tools): Notice {
  return { id: newId(), type: 'keyhound.problem', topic, at: new Date(nowMs), ...problem }
}

function recoveredNotice({ topic, title, openedAt, lastBadAt }: SelfAlert, { nowMs, newId }: Tools): Notice {
  const lastedMs = lastBadAt.getTime() - openedAt.getTime()
  return {
    id: newId(),
    type: 'keyhound.recovered',
    topic,
    at: new Date(nowMs),
    severity: 'info',
    title: `it is over: ${title}`,
    text: `It lasted ${elapsedInWords(lastedMs)}, from ${minute(openedAt)} to ${minute(lastBadAt)}.`,
    advice: 'Nothing more is to be done.',
  }
}
