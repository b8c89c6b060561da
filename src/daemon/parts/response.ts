import { containmentMs, type ContainmentStage } from '../../alert/containment.ts'
import type { PollLoop } from '../../outbound/poll-loop.ts'
import { startResponding } from '../../respond/respond.ts'
import { startWatching } from '../../respond/watch.ts'
import type { EngineStore } from '../../store/engine-store.ts'
import type { Revocation } from '../../store/revocation-store.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import type { PartContext } from './part.ts'

/** Decisions about keys, calls to the gateway, and the watch over what was revoked. A part of the role `detect`. */
export function startResponse(context: PartContext, store: Pick<EngineStore, 'commit'>): PollLoop {
  const { session, live, clock, log, metrics, begins } = context
  const { revocations } = session
  const settings = () => live.config.revoke
  const responding = startResponding({
    revocations,
    revoker: (key) => live.revokerFor(key),
    settings,
    clock,
    log,
    begins,
    onDecided: (decided) => {
      for (const { state } of decided) metrics.engine.revocation(state)
      context.alertsChanged()
    },
    onOutcome: ({ state, round }, { kind }, settled) => {
      if (kind === 'done') metrics.engine.revocation(state === 'restoring' ? 'restored' : 'revoked')
      if (kind === 'failed') metrics.engine.revocation('failed')
      if (kind === 'done' && state === 'pending' && round === 1)
        observe(context, settled, ['alert', 'revoked'])
      context.alertsChanged()
    },
  })
  const watching = startWatching({
    revocations,
    settings,
    clock,
    log,
    begins,
    raise: async (finding, key) => {
      // A group of its own: within the key's incident, announced as critical already, nobody would hear of it.
      const groupKey = JSON.stringify([finding.detector, finding.keyId])
      const nowMs = clock.nowMs()
      const { tick } = live
      const { opened } = await store.commit(
        // With the open windows, as of a tick: without them the commit would think that they have ended.
        {
          nowMs,
          findings: [{ finding, key, groupKey }],
          resolved: [],
          mutes: tick.lifecycle?.mutesAt(nowMs),
        },
        tick.plan,
      )
      for (const { detector, severity } of opened) metrics.engine.alertOpened(detector, severity)
      context.alertsChanged()
    },
    onConfirmed: (revocation) => {
      metrics.engine.revocation('confirmed')
      observe(context, revocation, ['confirmed'])
      context.alertsChanged()
    },
    onNotEffective: () => metrics.engine.notEffective(),
    onDue: () => responding.wake(),
  })
  context.onAlertsChanged(() => responding.wake())
  return {
    wake: () => responding.wake(),
    stop: async () => {
      await watching.stop()
      await responding.stop()
    },
  }
}

/** Tells how long the abuse went on until it was noticed, stopped and proven to be over. */
function observe(
  { metrics }: PartContext,
  revocation: Revocation | undefined,
  stages: readonly ContainmentStage[],
): void {
  if (revocation === undefined) return
  for (const stage of stages) {
    const ms = containmentMs(revocation.containment, stage)
    if (ms !== undefined) metrics.engine.containment(stage, ms / SECOND_MS)
  }
}
