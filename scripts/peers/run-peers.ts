import { fileEvents } from '../../src/backtest/event-source.ts'
import { geoLitePlaces } from '../../src/enrich/place.ts'
import { NANO_USD_PER_USD } from '../../src/usage/event.ts'
import { hourOfWeekMedian } from './hour-of-week-median.ts'
import type { Peer, PeerAlert } from './peer.ts'
import { spikeAndNewTerm } from './spike-and-new-term.ts'
import { staticThreshold } from './static-threshold.ts'
import { zScore } from './z-score.ts'

/** The rules that comparable products offer, re-implemented, each with fresh memory. */
export function allPeers(): Peer[] {
  return [
    staticThreshold(),
    spikeAndNewTerm(),
    zScore(3),
    zScore(8),
    zScore(12),
    hourOfWeekMedian(5),
    hourOfWeekMedian(12),
    hourOfWeekMedian(20),
  ]
}

/** What each peer raises on a file of events, in the order of `peers`. */
export async function runPeers(peers: readonly Peer[], file: string): Promise<PeerAlert[][]> {
  const places = geoLitePlaces()
  const raised = peers.map((): PeerAlert[] => [])
  const refuse = ({ line, error }: { readonly line: number; readonly error: string }): never => {
    throw new Error(`${file}:${line}: ${error}`)
  }
  for await (const batch of fileEvents(file, { onRejected: refuse, onProgress: () => undefined })) {
    for (const event of batch) {
      const seen = {
        atMs: event.timestampMs,
        keyId: event.keyId,
        model: event.model,
        country: event.ip === undefined ? undefined : places.find(event.ip)?.country,
        costUsd: (event.costNanoUsd ?? 0) / NANO_USD_PER_USD,
        refused: event.statusCode >= 400,
      }
      for (const [index, peer] of peers.entries()) raised[index]?.push(...peer.add(seen))
    }
  }
  return raised
}
