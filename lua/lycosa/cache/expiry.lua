-- The sweep: entries that may not be served any more, the longest expired first.

local borrowed = require('lycosa.core.borrowed')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local counters = require('lycosa.cache.counters')
local fields = require('lycosa.cache.fields')
local pool = require('lycosa.cache.pool')

local expiry = {}

local STALE = fields.STALE

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

-- How many of the rows, from the first on, have ended. They are in the order of their ends: the last one has, all have.
local function count_ended(rows, now)
    local count = #rows
    if count > 0 and rows[count][STALE] > now then
        count = 0
        while rows[count + 1][STALE] <= now do
            count = count + 1
        end
    end
    return count
end

-- Delete what has ended in one pool; gives when the next will.
local function sweep(of, limit, now)
    local index = of.entries().index.expiry
    local rows = borrowed.select(index, {}, box.index.ALL, limit)
    for i = #rows, count_ended(rows, now) + 1, -1 do
        rows[i] = nil
    end
    if #rows > 0 then
        box.begin()
        local gone = pool.remove(of, rows)
        box.commit()
        for tenant, number in pairs(gone) do
            counters.add(tenant, 'expired', number)
        end
    end
    -- Not before: others set entries while the transaction waits for the disk.
    local first = borrowed.select(index, {}, box.index.ALL, 1)[1]
    return first ~= nil and first[STALE] or math.huge
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

expiry.step = {name = 'cache.expire', run = expire, limit = 50}

return expiry
