-- The sweep: entries that may not be served any more, the longest expired first.

local borrowed = require('lycosa.core.borrowed')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local counters = require('lycosa.cache.counters')
local fields = require('lycosa.cache.fields')
local pool = require('lycosa.cache.pool')

local expiry = {}

local TENANT, STALE = fields.TENANT, fields.STALE

-- When the sweep will run next, as far as known: an entry that ends earlier wakes it.
local sweep_at = math.huge

---Say that an entry will end at a time.
---@param at number unix seconds
function expiry.due(at)
    if at < sweep_at then
        sweep_at = at
        daemon.wake('cache.expire')
    end
end

-- Delete what has ended in one pool; gives when the next will.
local function sweep(of, limit, now)
    local ended, gone = {}, {}
    local index = of.entries().index.expiry
    for _, entry in ipairs(borrowed.select(index, {}, box.index.ALL, limit)) do
        if entry[STALE] > now then
            break
        end
        table.insert(ended, entry)
        gone[entry[TENANT]] = (gone[entry[TENANT]] or 0) + 1
    end
    if #ended > 0 then
        box.begin()
        pool.remove(of, ended)
        box.commit()
        for tenant, number in pairs(gone) do
            counters.add(tenant, 'expired', number)
        end
    end
    local first = index:min()
    return first and first[STALE] or math.huge
end

---Sweep at most `limit` entries of each pool, a transaction each.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function expire(limit)
    local now, first = clock.now(), math.huge
    for _, of in ipairs(pool.all()) do
        first = math.min(first, sweep(of, limit, now))
    end
    sweep_at = first
    return first <= now, first < math.huge and first or nil
end

expiry.step = {name = 'cache.expire', run = expire, limit = 100}

return expiry
