import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import {
  type ClaimedJob,
  type ClaimLimit,
  HARMLESS_OPTIONS,
  LEASE_MS,
  type LeasedJobs,
  type LeasingClaim,
} from './bulk-claim.ts'

/**
 * Jobs in bulk from BullMQ's keys in Redis, as version 6 lays them out: the lists `wait` (taken from its right end) and
 * `active`, the set `stalled` of running jobs whose lock is looked at next, the hash of each job, and its lock. A job
 * whose lock runs out is BullMQ's to recover. What differs from BullMQ's own way: no `active` and `completed` events and
 * no BullMQ metrics for these jobs (keyhound counts them itself).
 */
export function redisBulkClaim(client: Redis, queueName: string): LeasingClaim {
  const prefix = `bull:${queueName}:`
  const key = (name: string): string => prefix + name
  const scripts = withScripts(client)
  const lease = (token: string, taken: readonly string[]): LeasedJobs['complete'] => {
    return async () => scripts.keyhoundComplete(key('active'), key('stalled'), prefix, token, ...taken)
  }
  return {
    kind: 'lease',
    async claim({ jobs, bytes }: ClaimLimit) {
      const token = `keyhound-${randomUUID()}`
      const [ordinaryAhead, ...found] = await scripts.keyhoundClaim(
        key('wait'),
        key('active'),
        key('meta'),
        key('limiter'),
        prefix,
        token,
        LEASE_MS,
        jobs,
        bytes,
      )
      const claimed = pairs(found)
      const ids = claimed.map(({ id }) => id)
      return {
        jobs: claimed,
        ordinaryAhead: ordinaryAhead === '1',
        renew: async () => void (await scripts.keyhoundRenew(prefix, token, LEASE_MS, ...ids)),
        complete: lease(token, ids),
        putBack: async () => {
          const keys = [key('wait'), key('active'), key('stalled'), key('meta'), key('marker')]
          await scripts.keyhoundPutBack(...keys, prefix, token, ...ids)
        },
      }
    },
  }
}

/** A fresh job has these fields and no others; a parent, a failure, a stall or a deduplication would add some. */
const FIELDS_OF_A_FRESH_JOB = 6

/** KEYS: wait, active, meta, limiter. ARGV: prefix, token, lease in ms, jobs, bytes. Gives `ordinary ahead`, id, data, id, data ... */
const CLAIM = `
local prefix, token, lease, bytesLeft = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[5])
local meta = redis.call('HMGET', KEYS[3], 'paused', 'concurrency', 'max', 'version')
if meta[1] or meta[2] or meta[3] or not meta[4] or string.sub(meta[4], 1, 9) ~= 'bullmq:6.' then return {'1'} end
if redis.call('EXISTS', KEYS[4]) == 1 then return {'1'} end
local harmless = { ${HARMLESS_OPTIONS.map((name) => `${name} = true`).join(', ')} }
local function removes(keep) return keep == true or keep == 0 or (type(keep) == 'table' and keep.count == 0) end
local function judge(opts)
  local known, decoded = pcall(cjson.decode, opts)
  if not known then return false end
  for name, value in pairs(decoded) do
    if not harmless[name] and not (name == 'removeOnComplete' and removes(value)) then return false end
  end
  return true
end
-- Most jobs of a queue have the same options.
local judged = { ['{"attempts":0}'] = true }
local function isPlain(opts)
  if judged[opts] == nil then judged[opts] = judge(opts) end
  return judged[opts]
end
local waiting = redis.call('LRANGE', KEYS[1], -tonumber(ARGV[4]), -1)
local found, taken = {'0'}, {}
for at = #waiting, 1, -1 do
  local id = waiting[at]
  local key = prefix .. id
  local job = redis.call('HMGET', key, 'opts', 'data', 'priority', 'delay')
  if redis.call('HLEN', key) ~= ${FIELDS_OF_A_FRESH_JOB} or not job[1] or not job[2] or job[3] ~= '0' or job[4] ~= '0'
    or not isPlain(job[1]) then
    found[1] = '1'
    break
  end
  redis.call('SET', key .. ':lock', token, 'PX', lease)
  taken[#taken + 1] = id
  found[#found + 1] = id
  found[#found + 1] = job[2]
  bytesLeft = bytesLeft - #job[2]
  if bytesLeft <= 0 then break end
end
if #taken > 0 then
  redis.call('LTRIM', KEYS[1], 0, -(#taken + 1))
  for from = 1, #taken, 5000 do
    redis.call('LPUSH', KEYS[2], unpack(taken, from, math.min(from + 4999, #taken)))
  end
end
return found`

/** KEYS: active, stalled. ARGV: prefix, token, id ... Removes what is still ours, as BullMQ removes a job that is not kept. */
const COMPLETE = `
local prefix, token = ARGV[1], ARGV[2]
local mine, isMine = {}, {}
for at = 3, #ARGV do
  local id = ARGV[at]
  local key = prefix .. id
  if redis.call('GET', key .. ':lock') == token then
    redis.call('DEL', key, key .. ':lock', key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed',
      key .. ':unsuccessful')
    mine[#mine + 1] = id
    isMine[id] = true
  end
end
if #mine == 0 then return 0 end
for from = 1, #mine, 5000 do redis.call('SREM', KEYS[2], unpack(mine, from, math.min(from + 4999, #mine))) end
if redis.call('LLEN', KEYS[1]) > 4 * #mine + 1000 then
  for _, id in ipairs(mine) do redis.call('LREM', KEYS[1], -1, id) end
  return #mine
end
-- One by one each removal would search the list.
local others = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if not isMine[id] then others[#others + 1] = id end
end
redis.call('DEL', KEYS[1])
for from = 1, #others, 5000 do redis.call('RPUSH', KEYS[1], unpack(others, from, math.min(from + 4999, #others))) end
return #mine`

/** ARGV: prefix, token, lease in ms, id ... */
const RENEW = `
local renewed = 0
for at = 4, #ARGV do
  local lock = ARGV[1] .. ARGV[at] .. ':lock'
  if redis.call('GET', lock) == ARGV[2] then renewed = renewed + redis.call('PEXPIRE', lock, ARGV[3]) end
end
return renewed`

/** KEYS: wait, active, stalled, meta, marker. ARGV: prefix, token, id ... in the order of claiming. */
const PUT_BACK = `
local back = 0
for at = #ARGV, 3, -1 do
  local id = ARGV[at]
  local lock = ARGV[1] .. id .. ':lock'
  if redis.call('GET', lock) == ARGV[2] then
    redis.call('DEL', lock)
    redis.call('SREM', KEYS[3], id)
    if redis.call('LREM', KEYS[2], -1, id) > 0 then
      redis.call('RPUSH', KEYS[1], id)
      back = back + 1
    end
  end
end
if back > 0 and not redis.call('HGET', KEYS[4], 'paused') then redis.call('ZADD', KEYS[5], 0, '0') end
return back`

interface Scripts {
  keyhoundClaim(...keysAndArguments: readonly (string | number)[]): Promise<string[]>
  keyhoundComplete(...keysAndArguments: readonly string[]): Promise<number>
  keyhoundRenew(...keysAndArguments: readonly (string | number)[]): Promise<number>
  keyhoundPutBack(...keysAndArguments: readonly string[]): Promise<number>
}

function withScripts(client: Redis): Scripts {
  if (!('keyhoundClaim' in client)) {
    client.defineCommand('keyhoundClaim', { numberOfKeys: 4, lua: CLAIM })
    client.defineCommand('keyhoundComplete', { numberOfKeys: 2, lua: COMPLETE })
    client.defineCommand('keyhoundRenew', { numberOfKeys: 0, lua: RENEW })
    client.defineCommand('keyhoundPutBack', { numberOfKeys: 5, lua: PUT_BACK })
  }
  return client as unknown as Scripts // what defineCommand adds has no type of its own
}

function pairs(found: readonly string[]): ClaimedJob[] {
  return Array.from({ length: found.length / 2 }, (_, at) => ({
    id: found[2 * at] ?? '',
    data: parsed(found[2 * at + 1] ?? ''),
  }))
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
