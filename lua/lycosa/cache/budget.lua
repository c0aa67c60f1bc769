-- The bytes that all entries may weigh together, and who gives way.
--
-- A set that would pass the budget makes room in its own transaction; a step works ahead, down to a low mark, so that
-- few sets have to. A tenant above its share gives way to its own sets; else the tenant whose entries weigh most does.

local daemon = require('lycosa.core.daemon')
local memory = require('lycosa.core.memory')
local clock = require('lycosa.core.clock')
local pool = require('lycosa.cache.pool')
local sieve = require('lycosa.cache.sieve')

local budget = {}

local DEFAULT_PERCENT, DEFAULT_SHARE = 25, 50
-- Above HIGH the step is woken and works down to LOW, as fractions of the budget.
local HIGH, LOW = 0.98, 0.96
-- Each value that is set looks at so many entries, all of a batch at MOST_LOOKED_AT. Should that not do, it may pass the
-- budget by SLACK and leave the rest to the step; what is beyond is freed at once, whatever was read.
local LOOKED_AT, MOST_LOOKED_AT = 100, 1000
local SLACK = 0.01
-- What entries may go on weighing above the mark of the memory, of what they weighed when it was reached: the rest is
-- ceded to those who write what cannot be made again.
local KEPT = 0.75
-- Steps of the collector for every set above the mark of the memory.
local COLLECT_STEPS = 16
-- What an entry weighs at the least is about 150 bytes: a mark each, with room to spare.
local BYTES_OF_A_MARK = 128

local bytes, share = 0, 0
-- What all entries may weigh since memory reached the mark of the cache; nil below it.
local ceiling

---Take the settings.
---@param settings {cache_budget: integer?, cache_share: integer?} bytes, and percent of them
function budget.configure(settings)
    bytes = settings.cache_budget or math.floor(box.cfg.memtx_memory * DEFAULT_PERCENT / 100)
    share = math.floor(bytes * (settings.cache_share or DEFAULT_SHARE) / 100)
    ceiling = nil
    sieve.configure(bytes / BYTES_OF_A_MARK)
end

---The budget of the server, or a tenant's share of it, in bytes.
---@param tenant string?
---@return integer
function budget.of(tenant)
    return tenant == nil and bytes or share
end

local function giving_way(tenant)
    if tenant ~= nil and pool.sum_of(tenant) > share then
        return pool.larger_of(tenant), tenant
    end
    return pool.largest()
end

-- Free `wanted` bytes in the caller's transaction, looking at `limit` entries at the most.
local function free(tenant, wanted, limit, now, ruthless)
    local freed = 0
    while freed < wanted and limit > 0 do
        local of, owner = giving_way(tenant)
        if of == nil then
            break
        end
        local gained, examined = sieve.walk(of, owner, wanted - freed, limit, now, ruthless)
        if examined == 0 then
            break
        end
        freed, limit = freed + gained, limit - examined
    end
    return freed
end

-- What all entries may weigh now.
local function room()
    return ceiling ~= nil and math.min(bytes, ceiling) or bytes
end

---Whether so many bytes find room without anything giving way, and without the step.
---@param wanted integer bytes
---@return boolean
function budget.has_room(wanted)
    return pool.sum() + wanted <= room() * HIGH
end

---Make room for what a tenant is about to store.
---@param tenant string
---@param count integer how many values
---@param weight fun(): integer how much more will be stored than is replaced: asked again after entries went
---@param now number unix seconds
function budget.make_room(tenant, count, weight, now)
    local sum, limit = pool.sum() + weight(), room()
    if sum > bytes * HIGH then
        daemon.wake('cache.evict')
    end
    if sum <= limit then
        return
    end
    free(tenant, sum - limit, math.min(LOOKED_AT * count, MOST_LOOKED_AT), now, false)
    local most = limit * (1 + SLACK)
    repeat
        sum = pool.sum() + weight()
    until sum <= most or free(tenant, sum - most, math.huge, now, true) == 0
end

---Let what will be stored pass the marks of the memory. Above that of the cache, entries may weigh together three
---quarters of what they weighed when it was reached: a set takes the place of others. Raises MEMORY_FULL when that is less
---than it wants, in the words of that mark, or when memory is so full that nobody may write.
---@param wanted integer bytes
function budget.admit(wanted)
    if pcall(memory.admit, 'cache_entry', 'cache', wanted) then
        ceiling = nil
        return
    end
    ceiling = ceiling or math.floor(pool.sum() * KEPT)
    memory.admit('cache_entry', ceiling < wanted and 'cache' or 'cache_exchange', wanted)
    -- What gives way is free for others only once it is collected, and there is little left to wait with.
    for _ = 1, COLLECT_STEPS do
        if collectgarbage('step', 0) then
            break
        end
    end
end

-- Evict down to the low mark, at most `limit` entries looked at in one transaction.
---@param limit integer
---@return boolean more
local function evict(limit)
    local over = pool.sum() - bytes * LOW
    if over > 0 then
        box.begin()
        free(nil, over, limit, clock.now(), false)
        box.commit()
    end
    return pool.sum() > bytes * LOW
end

budget.step = {name = 'cache.evict', run = evict, limit = 100}

return budget
