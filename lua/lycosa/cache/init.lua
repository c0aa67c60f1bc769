-- The cache: values that expire, within a budget of bytes.
--
-- An expired entry is never served, swept or not. `pool` knows where entries stand and what they weigh, `entries` gets
-- and sets, `expiry` and `budget` (by `sieve`) let go, `invalidation` does when told, `counters` count.

local budget = require('lycosa.cache.budget')
local counters = require('lycosa.cache.counters')
local entries = require('lycosa.cache.entries')
local expiry = require('lycosa.cache.expiry')
local invalidation = require('lycosa.cache.invalidation')
local pool = require('lycosa.cache.pool')

local cache = {
    get = entries.get, get_many = entries.get_many, set = entries.set, set_many = entries.set_many,
    take = entries.take, delete = entries.delete, invalidate = invalidation.run,
    steps = {expiry.step, budget.step},
}

---What the cache holds (expired entries that are not swept yet included) and how it was used since the start.
---@param args {tenant: string?} one tenant's figures, or the whole server's
---@return {entries: integer, bytes: integer, budget: integer, hits: integer, stale_hits: integer, misses: integer,
---     expired: integer, evicted: integer, invalidated: integer}
function cache.figures(args)
    local tenant = args.tenant
    local bytes, held, counts
    if tenant == nil then
        bytes, held = pool.sum()
    else
        bytes, held = pool.sum_of(tenant)
    end
    counts = counters.of(tenant)
    return {
        entries = held, bytes = bytes, budget = budget.of(tenant), hits = counts.hits, stale_hits = counts.stale_hits,
        misses = counts.misses, expired = counts.expired, evicted = counts.evicted, invalidated = counts.invalidated,
    }
end

---Take the settings and declare the figures that a scrape shows.
---@param settings {cache_budget: integer?, cache_share: integer?, cache_volatile: string[]?}
function cache.configure(settings)
    pool.configure(settings.cache_volatile or {})
    budget.configure(settings)
    counters.configure()
end

return cache
