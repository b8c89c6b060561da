import { sql, type RawBuilder } from 'kysely'
import { HOUR_MS } from '../../usage/duration.ts'
import { RECENT_USAGE_MS } from '../../usage/key-usage.ts'
import { BUCKET_MS, bucketStart } from '../../usage/rollup.ts'
import { SOURCE_BUCKET_MS, type SourceUsage } from '../../usage/source.ts'
import { LATE_JUDGED_MS, type Shard, type UsageLook } from '../engine-store.ts'
import { isAny } from '../is-any.ts'
import { Unjudged, type JudgementBasis, type LookRange } from '../unjudged.ts'
import { Arrivals, type News } from './arrivals.ts'
import { changedAmong, mayHaveChanged, profileDueFrom, type CalmKey } from './calm-keys.ts'
import type { CachedKey } from './cached-key.ts'
import { CachedUsage } from './cached-usage.ts'
import type { Database } from './database.ts'
import { readAttributes } from './key-attributes.ts'
import { recentSources } from './key-sources.ts'
import { LateHours } from './late-hours.ts'
import { notedHours, notedSince, placesOf, type Places } from './late-usage.ts'
import { RecentCells, recentFromMs } from './recent-cells.ts'
import { inShard } from './shard.ts'
import { eachRollup, eachSource } from './usage-rows.ts'

/**
 * The recent usage of the keys of one shard, kept in memory: a look reads only the rows that were written since the one
 * before, and so costs what has happened since and not what the fleet is. Several processes may look at a shard in turns:
 * each keeps what it has read itself, and each is exact.
 */
export class ShardUsage {
  readonly #db: Database
  readonly #shard: Shard
  readonly #arrivals = new Arrivals()
  #cells: RecentCells | undefined
  #unjudged = new Unjudged<CachedKey>()
  readonly #late: LateHours
  /** Ends when the look that is being made ends, well or not. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Of the last look. */
  nowMs = Number.NaN

  constructor(db: Database, shard: Shard) {
    this.#db = db
    this.#shard = shard
    this.#late = new LateHours(db)
  }

  /** Looks are made one after the other: a tick that takes long may meet the next. */
  look(range: LookRange, basis: JudgementBasis): Promise<UsageLook> {
    const look = this.#turn.then(() => this.#look(range, basis))
    this.#turn = look.catch(() => undefined)
    return look
  }

  /** The profile of a key is another. */
  learnt(keyId: string): void {
    const key = this.#cells?.keys.get(keyId)
    if (key !== undefined) this.#unjudged.changed(key)
  }

  /** Cube, sources and attributes are read in one snapshot, so that they tell of the same requests. */
  async #look(range: LookRange, basis: JudgementBasis): Promise<UsageLook> {
    const { nowMs } = range
    const { look, seen } = await this.#db
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute(async (trx) => {
        // No compiler is started for a query of a second, and no workers for rows that one process has to take.
        await sql`
          select set_config('work_mem', '64MB', true), set_config('jit', 'off', true),
            set_config('max_parallel_workers_per_gather', '0', true)`.execute(trx)
        const arrivals = await this.#arrivals.begin(trx)
        const cells = await this.#read(trx, nowMs, arrivals)
        const calmKeys: CalmKey[] = []
        const picked = this.#unjudged.pick(range, basis, {
          all: () => cells.keys.values(),
          byId: (keyId) => cells.keys.get(keyId),
          isCalm: (key, calm) => {
            const isCalm = calm.isCalm(new CachedUsage(key, { cells, nowMs, sources: undefined }), nowMs)
            if (isCalm && mayHaveChanged(key, nowMs)) calmKeys.push({ key, calm })
            return isCalm
          },
        })
        await readAttributes(trx, picked.keys, nowMs)
        // They are judged at the next tick.
        for (const key of await changedAmong(trx, calmKeys, nowMs)) this.#unjudged.changed(key)
        const { news } = arrivals
        this.#late.put(
          await notedHours(trx, {
            fromMs: nowMs - LATE_JUDGED_MS,
            toMs: recentFromMs(nowMs),
            news,
            isMine: inShard(this.#shard, sql.ref('key_id')),
          }),
        )
        const sources = await this.#unkeptSources(trx, picked.keys, nowMs)
        const usages = picked.keys.map(
          (key) => new CachedUsage(key, { cells, nowMs, sources: sources.get(key.keyId) }),
        )
        const isInUse = (key: CachedKey): boolean => key.hasUsageFrom(range.activeSinceMs, nowMs)
        const look: Omit<UsageLook, 'late'> = {
          usages,
          isInUse: (keyId) => {
            const key = cells.keys.get(keyId)
            return key !== undefined && isInUse(key)
          },
          isAnyInUse: () => picked.keys.some(isInUse) || isAny(cells.keys.values(), isInUse),
          isAsBefore: picked.isAsBefore,
          keepCalm: (keyId, calm) => {
            const key = cells.keys.get(keyId)
            // What is stamped later than now has not been judged, and may be all that is new of a key.
            if (key === undefined || key.isAheadOf(nowMs)) return
            key.profileDueMs = profileDueFrom(key, calm, nowMs)
            picked.keepCalm(key, calm)
          },
          judged: picked.judged,
        }
        return { look, seen: arrivals.seen }
      })
    seen()
    this.nowMs = nowMs
    const late = await this.#late.next(nowMs)
    return {
      ...look,
      late: late.usages,
      judged: (failed) => {
        look.judged(failed)
        late.judged(failed)
      },
    }
  }

  /** What came since the last look, put to what is known; all that is recent at the first, or when what is known does not suffice. */
  async #read(
    trx: Database,
    nowMs: number,
    { news, atMs }: { readonly news: News | undefined; readonly atMs: number },
  ): Promise<RecentCells> {
    const known = this.#cells
    if (news === undefined || known?.reachesBack(nowMs) !== true) {
      const cells = await this.#readAll(trx, nowMs)
      this.#cells = cells
      this.#unjudged = new Unjudged()
      return cells
    }
    const places = placesOf(news, { recentMs: recentFromMs(nowMs), atMs })
    const hourMs = bucketStart(nowMs, HOUR_MS)
    const takeRollup = known.rollupTaker(bucketStart(nowMs - RECENT_USAGE_MS), (key, bucketMs, isStrange) => {
      this.#unjudged.arrived(key, bucketMs)
      if (isStrange || bucketMs < hourMs) this.#unjudged.strange(key)
    })
    await eachRollup(trx, this.#newRows('usage_rollup', BUCKET_MS, { news, places }), takeRollup)
    const takeSource = known.sourceTaker(recentFromMs(nowMs), (key) => {
      this.#unjudged.strange(key)
    })
    await eachSource(trx, this.#newRows('usage_source', SOURCE_BUCKET_MS, { news, places }), takeSource)
    known.sweep(nowMs, (key) => {
      this.#unjudged.forget(key)
    })
    return known
  }

  /** In slices of time: no statement takes longer than the database allows, however large the fleet. */
  async #readAll(trx: Database, nowMs: number): Promise<RecentCells> {
    const cells = new RecentCells(nowMs)
    const nothing = (): void => undefined
    const lastMs = bucketStart(nowMs, SOURCE_BUCKET_MS)
    for (let fromMs = recentFromMs(nowMs); fromMs <= lastMs; fromMs += SOURCE_BUCKET_MS) {
      // What is stamped later than now is read once, here, and seen when its time has come.
      const slice = { fromMs, toMs: fromMs === lastMs ? undefined : fromMs + SOURCE_BUCKET_MS }
      await eachRollup(trx, this.#rows('usage_rollup', slice), cells.rollupTaker(fromMs, nothing))
      await eachSource(trx, this.#rows('usage_source', slice), cells.sourceTaker(fromMs, nothing))
    }
    return cells
  }

  #rows(
    table: string,
    { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number | undefined },
  ): RawBuilder<unknown> {
    const end = toMs === undefined ? sql`` : sql`and bucket < ${new Date(toMs)}`
    return sql`
      from ${sql.table(table)}
      where bucket >= ${new Date(fromMs)} ${end} and ${inShard(this.#shard, sql.ref('key_id'))}`
  }

  /** Rows of a table with buckets of `bucketMs` that were written since the last look. */
  #newRows(
    table: string,
    bucketMs: number,
    { news, places }: { readonly news: News; readonly places: Places },
  ): RawBuilder<unknown> {
    const from = new Date(bucketStart(places.fromMs, bucketMs))
    const mine = inShard(this.#shard, sql.ref('key_id'))
    const newest = sql`select * from ${sql.table(table)} where bucket >= ${from} and ${news.isNew} and ${mine}`
    if (places.notedFromMs === undefined) return sql`from (${newest}) as row`
    return sql`
      from (
        ${newest}
        union all
        select late.*
        from (
          select distinct key_id, date_bin(${bucketMs} * interval '1 millisecond', bucket, 'epoch') as bucket
          from ${notedSince(places.notedFromMs, news.isNew)} as noted
          where ${mine}
        ) as noted
        cross join lateral (
          select * from ${sql.table(table)} where bucket = noted.bucket and key_id = noted.key_id
          offset 0 -- keeps the planner from turning the probes into a scan
        ) as late
        where noted.bucket >= ${new Date(places.recentMs)} and noted.bucket < ${from}
      ) as row`
  }

  /** The sources of keys that have too many to be kept. */
  async #unkeptSources(
    trx: Database,
    keys: readonly CachedKey[],
    nowMs: number,
  ): Promise<Map<string, SourceUsage[]>> {
    const unkept = keys.filter(({ sources }) => sources === undefined).map(({ keyId }) => keyId)
    const read = await recentSources(trx, unkept, nowMs)
    return new Map(unkept.map((keyId) => [keyId, read.get(keyId) ?? []]))
  }
}
