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
-- A set looks at so many entries. Should that not do, it may pass the budget by SLACK and leave the rest to the step;
-- what is beyond is freed at once, whatever was read.
local LOOKED_AT = 100
local SLACK = 0.01
-- What an entry weighs at the least is about 150 bytes: a mark each, with room to spare.
local BYTES_OF_A_MARK = 128

local bytes, share = 0, 0

---Take the settings.
---@param settings {cache_budget: integer?, cache_share: integer?} bytes, and percent of them
function budget.configure(settings)
    bytes = settings.cache_budget or math.floor(box.cfg.memtx_memory * DEFAULT_PERCENT / 100)
    share = math.floor(bytes * (settings.cache_share or DEFAULT_SHARE) / 100)
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

---Whether so many bytes find room without anything giving way, and without the step.
---@param wanted integer bytes
---@return boolean
function budget.has_room(wanted)
    return pool.sum() + wanted <= bytes * HIGH
end

---Make room for what a tenant is about to store.
---@param tenant string
---@param weight fun(): integer how much more will be stored than is replaced: asked again after entries went
---@param now number unix seconds
function budget.make_room(tenant, weight, now)
    local sum = pool.sum() + weight()
    if sum > bytes * HIGH then
        daemon.wake('cache.evict')
    end
    if sum <= bytes then
        return
    end
    free(tenant, sum - bytes, LOOKED_AT, now, false)
    local most = bytes * (1 + SLACK)
    repeat
        sum = pool.sum() + weight()
    until sum <= most or free(tenant, sum - most, math.huge, now, true) == 0
end

---Let what will be stored pass the marks of the memory. Above them it takes the place of as much as it is.
---@param tenant string
---@param wanted integer bytes
---@param now number unix seconds
function budget.admit(tenant, wanted, now)
    if pcall(memory.admit, 'cache_entry', 'cache', wanted) then
        return
    end
    local freed = free(tenant, wanted, LOOKED_AT, now, false)
    if freed < wanted then
        freed = freed + free(tenant, wanted - freed, math.huge, now, true)
    end
    -- With nothing to exchange it is refused in the words of the mark; what is exchanged stops where all others do.
    memory.admit('cache_entry', freed < wanted and 'cache' or 'cache_exchange', wanted)
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
