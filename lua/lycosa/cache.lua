-- The cache: values that expire.
--
-- An expired entry is never served, swept or not. The sweep walks the index of expiry and so touches only what has
-- expired. What each tenant's entries weigh is kept by write; hits and misses are counted in memory.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')

local cache = {}

-- Fields of `cache_entry`.
local TENANT, KEY, EXPIRES = 1, 3, 7
-- Fields of `cache_total`.
local T_ENTRIES, T_BYTES = 3, 4

-- When the sweep will run next, as far as known: an entry that expires earlier wakes it.
local sweep_at = math.huge

-- Hits, misses and expired entries since the start: of the server, and of each tenant that has ever cached.
local counted = {hits = 0, misses = 0, expired = 0}
local by_tenant = {}

-- A tenant gets counters once it has stored something, so that look-ups of unknown tenants leave nothing behind.
local function counters_of(tenant)
    local counters = by_tenant[tenant]
    if counters == nil and box.space.cache_total:get{tenant} ~= nil then
        counters = {hits = 0, misses = 0, expired = 0}
        by_tenant[tenant] = counters
    end
    return counters
end

local function count(tenant, what, amount)
    counted[what] = counted[what] + amount
    local counters = counters_of(tenant)
    if counters ~= nil then
        counters[what] = counters[what] + amount
    end
end

-- Add to a tenant's weight. Differences may be negative; the sums never are.
local function add_to_total(tenant, entries, bytes)
    local totals = box.space.cache_total
    if totals:update({tenant}, {{'+', T_ENTRIES, entries}, {'+', T_BYTES, bytes}}) == nil then
        totals:insert{tenant, bucket.of(tenant), entries, bytes}
    end
end

---An entry, or nil when there is none or it has expired.
---@param args {tenant: string, key: string}
---@return box.tuple?
function cache.get(args)
    local entry = box.space.cache_entry:get{args.tenant, args.key}
    if entry == nil or entry[EXPIRES] <= clock.now() then
        count(args.tenant, 'misses', 1)
        return nil
    end
    count(args.tenant, 'hits', 1)
    return entry
end

---Store a value under a key for `ttl` seconds, in place of what was there.
---@param args {tenant: string, key: string, value: string, media_type: string, ttl: number}
---@return {created_at: number, expires_at: number}
function cache.set(args)
    local entries, tenant = box.space.cache_entry, args.tenant
    memory.admit('cache_entry', 'cache', #args.value + #args.key + 256)
    local now = clock.now()
    local expires_at = now + args.ttl
    local before = entries:get{tenant, args.key}
    local row = entries:replace{tenant, bucket.of(tenant), args.key, args.value, args.media_type, now, expires_at}
    add_to_total(tenant, before == nil and 1 or 0, row:bsize() - (before == nil and 0 or before:bsize()))
    if expires_at < sweep_at then
        sweep_at = expires_at
        daemon.wake('cache.expire')
    end
    return {created_at = now, expires_at = expires_at}
end

---Delete entries. Keys that are not there are no error.
---@param args {tenant: string, keys: string[]}
---@return {deleted: integer}
function cache.delete(args)
    local entries, deleted, bytes = box.space.cache_entry, 0, 0
    for _, key in ipairs(args.keys) do
        local entry = entries:delete{args.tenant, key}
        if entry ~= nil then
            deleted, bytes = deleted + 1, bytes + entry:bsize()
        end
    end
    if deleted > 0 then
        add_to_total(args.tenant, -deleted, -bytes)
    end
    return {deleted = deleted}
end

---What the cache holds (expired entries that are not swept yet included) and how it was used since the start.
---@param args {tenant: string?} one tenant's figures, or the whole server's
---@return {entries: integer, bytes: integer, hits: integer, misses: integer, expired: integer}
function cache.figures(args)
    local entries, bytes, used = 0, 0, counted
    if args.tenant == nil then
        local space = box.space.cache_entry
        entries, bytes = space:len(), space:bsize()
    else
        local total = box.space.cache_total:get{args.tenant}
        if total ~= nil then
            entries, bytes = total[T_ENTRIES], total[T_BYTES]
        end
        used = by_tenant[args.tenant] or {hits = 0, misses = 0, expired = 0}
    end
    return {entries = entries, bytes = bytes, hits = used.hits, misses = used.misses, expired = used.expired}
end

-- Delete what has expired, the longest expired first, at most `limit` entries in one transaction.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function expire(limit)
    local entries, now = box.space.cache_entry, clock.now()
    local expiry = entries.index.expiry
    local gone, weights = {}, {}
    box.begin()
    for _, entry in ipairs(expiry:select({}, {limit = limit})) do
        if entry[EXPIRES] > now then
            break
        end
        local tenant = entry[TENANT]
        entries:delete{tenant, entry[KEY]}
        gone[tenant] = (gone[tenant] or 0) + 1
        weights[tenant] = (weights[tenant] or 0) + entry:bsize()
    end
    for tenant, number in pairs(gone) do
        add_to_total(tenant, -number, -weights[tenant])
    end
    box.commit()
    for tenant, number in pairs(gone) do
        count(tenant, 'expired', number)
    end
    local first = expiry:min()
    sweep_at = first and first[EXPIRES] or math.huge
    return sweep_at <= now, first and sweep_at or nil
end

cache.steps = {{name = 'cache.expire', run = expire, limit = 100}}

---Declare the figures that a scrape shows.
function cache.configure()
    for _, what in ipairs({'hits', 'misses', 'expired'}) do
        metrics.gauge('cache.' .. what, function()
            return counted[what]
        end)
    end
end

return cache
