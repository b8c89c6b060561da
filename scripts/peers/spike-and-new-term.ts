import { DAY_MS, HOUR_MS, OncePerHour, peerAlert, PerKey, type Peer } from './peer.ts'

const SPIKE_HEIGHT = 3
const THRESHOLD_CURRENT = 20
const WINDOW_DAYS = 30

/**
 * ElastAlert2's `spike` (spike_height 3, timeframe 1 h, threshold_cur 20, spike_type up) and `new_term` (country and
 * model, terms_window_size 30 days) by key, as its documentation describes them: the current hour against the hour
 * before it; a term that was not seen in the window. Both say nothing in a key's first day, as after a start with
 * empty memory.
 */
export function spikeAndNewTerm(): Peer {
  const states = new PerKey(({ atMs }) => ({
    firstMs: atMs,
    times: [] as number[],
    /** Of times: before it, older than two hours; before middle, in the reference window. */
    start: 0,
    middle: 0,
    terms: new Map<string, number>(),
  }))
  const once = { spike: new OncePerHour(), term: new OncePerHour() }
  return {
    name: 'ElastAlert2-style spike + new term',
    rule: `${SPIKE_HEIGHT} times the hour before and at least ${THRESHOLD_CURRENT}; a country or model not seen in ${WINDOW_DAYS} days`,
    add(event) {
      const state = states.of(event)
      const isLearning = event.atMs - state.firstMs < DAY_MS
      const alerts = []
      state.times.push(event.atMs)
      while ((state.times[state.start] ?? Infinity) <= event.atMs - 2 * HOUR_MS) state.start += 1
      while ((state.times[state.middle] ?? Infinity) <= event.atMs - HOUR_MS) state.middle += 1
      const current = state.times.length - state.middle
      const reference = state.middle - state.start
      if (state.start > 10_000) {
        state.times.splice(0, state.start)
        state.middle -= state.start
        state.start = 0
      }
      const isSpike = current >= THRESHOLD_CURRENT && current >= SPIKE_HEIGHT * Math.max(1, reference)
      if (isSpike && !isLearning && once.spike.allows(event))
        alerts.push(peerAlert('spike', event, `${current} after ${reference}`))
      for (const term of [`country ${event.country ?? ''}`, `model ${event.model}`]) {
        const seenMs = state.terms.get(term) ?? -Infinity
        state.terms.set(term, event.atMs)
        if (term === 'country ' || event.atMs - seenMs <= WINDOW_DAYS * DAY_MS) continue
        if (!isLearning && once.term.allows(event)) alerts.push(peerAlert('new_term', event, `new ${term}`))
      }
      return alerts
    },
  }
}
