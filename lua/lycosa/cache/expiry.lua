-- The sweep: entries that may not be served any more, the longest expired first.

local fiber = require('fiber')
local borrowed = require('lycosa.core.borrowed')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local counters = require('lycosa.cache.counters')
local fields = require('lycosa.cache.fields')
local pool = require('lycosa.cache.pool')

local expiry = {}

local STALE = fields.STALE
local MILLISECOND = 0.001
-- Transactions on their way to the disk at once.
local LANES = 8

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

-- How many of the rows, from the first on, have ended. They are in the order of the milliseconds of their ends: when the
-- last one ended that long ago, all have.
local function count_ended(rows, now)
    local count = #rows
    if count > 0 and rows[count][STALE] > now - MILLISECOND then
        count = 0
        while count < #rows and rows[count + 1][STALE] <= now do
            count = count + 1
        end
    end
    return count
end

-- When the first entry will end, as far as its millisecond tells.
local function next_end(index)
    local first = borrowed.select(index, {}, box.index.ALL, 1)[1]
    return first ~= nil and first[STALE] or math.huge
end

-- Delete up to `limit` entries that have ended, in a transaction.
local function remove(of, limit, now)
    local rows = borrowed.select(of.entries().index.expiry, {}, box.index.ALL, limit)
    for i = #rows, count_ended(rows, now) + 1, -1 do
        rows[i] = nil
    end
    if #rows > 0 then
        box.begin()
        local ok, gone = pcall(pool.remove, of, rows)
        if not ok then
            box.rollback()
            error(gone, 0)
        end
        box.commit()
        for tenant, number in pairs(gone) do
            counters.add(tenant, 'expired', number)
        end
    end
end

-- Delete what has ended in one pool, in several transactions: the next is made while the disk takes the last. Calls are
-- served between them.
local function sweep(of, limit, now)
    local index, lanes = of.entries().index.expiry, {}
    local slice, first = math.ceil(limit / LANES), next_end(index)
    while limit > 0 and first <= now do
        local lane = fiber.new(remove, of, math.min(slice, limit), now)
        lane:set_joinable(true)
        table.insert(lanes, lane)
        fiber.yield()
        limit, first = limit - slice, next_end(index)
    end
    local problem
    for _, lane in ipairs(lanes) do
        local ok, raised = lane:join()
        problem = problem or not ok and raised
    end
    if problem then
        error(problem, 0)
    end
end

-- Sweep at most `limit` entries of each pool.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function expire(limit)
    local now, first = clock.now(), math.huge
    for _, of in ipairs(pool.all()) do
        sweep(of, limit, now)
    end
    -- Not before: others set entries while the transactions wait for the disk.
    for _, of in ipairs(pool.all()) do
        first = math.min(first, next_end(of.entries().index.expiry))
    end
    sweep_at = first
    return first <= now, first < math.huge and first or nil
end

expiry.step = {name = 'cache.expire', run = expire, limit = 400}

return expiry
