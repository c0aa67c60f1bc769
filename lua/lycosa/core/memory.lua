-- How full the memory is, and who may still write.
--
-- The measure is bytes in rows and indexes over bytes allowed. The arena's share of the quota never shrinks again, so
-- it says nothing of its fill; rows near 1 MiB and larger stand outside the arena, in the quota only. A deleted row's
-- bytes come back only when the Lua collector has dropped the last reference to its tuple; above a mark a daemon step
-- therefore steps the collector.

local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')

local memory = {}

-- Percent of the quota up to which a class of rows is accepted. What can be made again stops first, so that there is
-- room for what cannot: an arena is truly full at 84 to 95 %, depending on the sizes of its rows.
local LIMITS = {cache = 80, document = 80}
local OTHER_LIMIT = 97
-- Slabs serve rows of one size each, the largest of them 16 MiB at a time, so memory can be short of slabs while half
-- of its bytes are free. Fewer than two free slabs: only what finds a place among the present ones is let in.
local SLAB = 16 * 1048576
local FREE_SLABS = 2
local TIGHT_LIMIT = 50

-- A reading costs 2 us; it is kept for this long or this many admissions, with the bytes admitted since added.
local READING_SECONDS = 0.02
local READING_ADMISSIONS = 1000
-- Assumed of a row whose writer does not say: its own bytes and its index entries.
local DEFAULT_BYTES = 512

-- The collector is stepped above this fill, a slice at a time, and rests after a whole cycle.
local COLLECT_ABOVE = 45
local SLICE_SECONDS = 0.001
local REST_SECONDS = 1
local LOOK_SECONDS = 1

local SYSTEM_ID_MAX = 511

local used, quota, tight = 0, 1, false
local admitted, read_at = READING_ADMISSIONS, -math.huge

local function in_use(slab)
    local outside = tonumber(slab.quota_used) - tonumber(slab.arena_size)
    return tonumber(slab.arena_used) + math.max(0, outside)
end

-- Bytes in slabs that no size of row has taken yet, and in those still to be taken from the quota.
local function free_in_slabs(slab)
    local index_bytes = tonumber(slab.arena_used) - tonumber(slab.items_used)
    local index_slabs = math.ceil(index_bytes / SLAB) * SLAB
    local outside = math.max(0, tonumber(slab.quota_used) - tonumber(slab.arena_size))
    return tonumber(slab.quota_size) - outside - tonumber(slab.items_size) - index_slabs
end

local function read()
    local slab = box.slab.info()
    used, quota = in_use(slab), tonumber(slab.quota_size)
    tight = free_in_slabs(slab) < FREE_SLABS * SLAB
    admitted, read_at = 0, clock.monotonic()
end

local function limit_of(class)
    local limit = LIMITS[class]
    if limit == nil then
        return OTHER_LIMIT
    end
    return tight and TIGHT_LIMIT or limit
end

---Let a write pass, or raise MEMORY_FULL. To be called before the first write of a procedure; cheap.
---@param space string name of the space, for the message
---@param class string `cache` and `document` stop at 80 % of the quota (50 % when slabs are short), others at 97 %
---@param bytes integer? about how many bytes will be written; a row's worth when absent
function memory.admit(space, class, bytes)
    if admitted >= READING_ADMISSIONS or clock.monotonic() - read_at > READING_SECONDS then
        read()
        if used * 100 > quota * COLLECT_ABOVE then
            daemon.wake('memory.collect')
        end
    end
    admitted = admitted + 1
    local limit = limit_of(class)
    local after = used + (bytes or DEFAULT_BYTES)
    if after * 100 > quota * limit then
        errors.raise('MEMORY_FULL', {
            used = math.floor(used * 100 / quota + 0.5), space = space, limit = limit, retry_after = 1,
        })
    end
    used = after
end

---Percent of the quota in use, read now.
---@return number 0..100
function memory.used_percent()
    read()
    return used * 100 / quota
end

-- Rows and bytes of every space of ours. The sizes are counters of the engine, nothing is walked.
local function spaces()
    local answer = {}
    for _, row in box.space._space:pairs({SYSTEM_ID_MAX}, {iterator = 'GT'}) do
        local space = box.space[row[3]]
        local index_bytes = 0
        for id, index in pairs(space.index) do
            if type(id) == 'number' then
                index_bytes = index_bytes + index:bsize()
            end
        end
        table.insert(answer, {
            name = space.name, engine = space.engine,
            rows = tonumber(space:len()), bytes = tonumber(space:bsize()), index_bytes = tonumber(index_bytes),
        })
    end
    table.sort(answer, function(left, right)
        return left.name < right.name
    end)
    return answer
end

---Memory in bytes, and the spaces by name.
---@return {quota: integer, used: integer, items_used: integer, lua_used: number, used_percent: number,
---     spaces: {name: string, engine: string, rows: integer, bytes: integer, index_bytes: integer}[]}
function memory.figures()
    local slab = box.slab.info()
    return {
        quota = tonumber(slab.quota_size), used = in_use(slab),
        items_used = tonumber(slab.items_used), lua_used = collectgarbage('count') * 1024,
        used_percent = in_use(slab) * 100 / tonumber(slab.quota_size),
        spaces = spaces(),
    }
end

local rested_at = -math.huge

---The daemon step: one millisecond of collection at a time while memory is above the mark.
---@param limit integer collector steps at the most
---@return boolean more whether the cycle is unfinished
---@return number? next_due unix seconds
local function collect(limit)
    local started = clock.monotonic()
    if memory.used_percent() <= COLLECT_ABOVE then
        return false, clock.now() + LOOK_SECONDS
    end
    if started - rested_at < REST_SECONDS then
        return false, clock.now() + REST_SECONDS
    end
    for _ = 1, limit do
        if collectgarbage('step', 0) then
            rested_at = clock.monotonic()
            return false, clock.now() + REST_SECONDS
        end
        if clock.monotonic() - started > SLICE_SECONDS then
            break
        end
    end
    return true
end

memory.step = {name = 'memory.collect', run = collect, limit = 10000}

return memory
