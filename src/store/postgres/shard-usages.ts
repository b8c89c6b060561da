import { RECENT_USAGE_MS } from '../../usage/key-usage.ts'
import type { Shard, UsageLook } from '../engine-store.ts'
import type { JudgementBasis, LookRange } from '../unjudged.ts'
import type { Database } from './database.ts'
import { ShardUsage } from './shard-usage.ts'

/** The shards that this process has looked at of late. */
export class ShardUsages {
  readonly #db: Database
  readonly #shards = new Map<string, ShardUsage>()

  constructor(db: Database) {
    this.#db = db
  }

  look(shard: Shard, range: LookRange, basis: JudgementBasis): Promise<UsageLook> {
    // Of shards that are others' now, or no more since their number was changed, nothing is up to date any more.
    for (const [name, { nowMs }] of this.#shards)
      if (nowMs < range.nowMs - RECENT_USAGE_MS) this.#shards.delete(name)
    return this.#shardOf(shard).look(range, basis)
  }

  /** The profiles of the keys are others. */
  learnt(keyIds: readonly string[]): void {
    for (const usage of this.#shards.values()) for (const keyId of keyIds) usage.learnt(keyId)
  }

  #shardOf(shard: Shard): ShardUsage {
    const name = `${shard.index}/${shard.count}`
    const known = this.#shards.get(name)
    if (known !== undefined) return known
    const usage = new ShardUsage(this.#db, shard)
    this.#shards.set(name, usage)
    return usage
  }
}
