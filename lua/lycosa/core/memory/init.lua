-- How full the memory is, and who may still write.
--
-- The measure is bytes in rows and indexes over bytes allowed (see arena.used), with the bytes admitted since the last
-- reading added. Deleted rows count until the collector has freed them, because until then nothing can take their place.

local arena = require('lycosa.core.memory.arena')
local clock = require('lycosa.core.clock')
local collector = require('lycosa.core.memory.collector')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local footprint = require('lycosa.core.memory.footprint')
local growth = require('lycosa.core.memory.growth')

local memory = {}

-- Percent of the quota up to which a class of rows is accepted. What can be made again stops first, so that there is
-- room for what cannot: an arena is truly full at 84 to 95 %, depending on the sizes of its rows.
local LIMITS = {cache = 80, document = 80}
local OTHER_LIMIT = 97
-- Memory can be short of slabs while half of its bytes are free. Fewer than two free slabs: only what finds a place
-- among the present ones is let in.
local FREE_SLABS = 2
local TIGHT_LIMIT = 50

-- A reading costs 2 us; it is kept for this long or this many admissions, with the bytes admitted since added.
local READING_SECONDS = 0.02
local READING_ADMISSIONS = 1000
-- Assumed of a row whose writer does not say: its own bytes and its index entries.
local DEFAULT_BYTES = 512

local used, quota, tight = 0, 1, false
-- The space that asked last.
local asked
local admitted, read_at = READING_ADMISSIONS, -math.huge

local function read()
    local slab = box.slab.info()
    used, quota = arena.used(slab), tonumber(slab.quota_size)
    tight = arena.free_in_slabs(slab) < FREE_SLABS * arena.SLAB
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
        if used * 100 > quota * collector.ABOVE then
            daemon.wake('memory.collect')
        end
    end
    admitted, asked = admitted + 1, space
    local limit = limit_of(class)
    local after = used + (bytes or DEFAULT_BYTES)
    if after * 100 > quota * limit then
        errors.raise('MEMORY_FULL', {
            used = math.floor(used * 100 / quota + 0.5), space = space, limit = limit, retry_after = 1,
        })
    end
    used = after
end

---For which space a write of a domain found no memory though it was admitted: an arena can be full of rows of other sizes.
---@param domain string
---@return string the space that asked last when it is the domain's, else the domain
function memory.writing(domain)
    return asked ~= nil and asked:match('^%l+') == domain and asked or domain
end

---Percent of the quota in use, read now.
---@return number 0..100
function memory.used_percent()
    read()
    return used * 100 / quota
end

---Memory in bytes, and what takes it. `live` is what is not deleted, `vinyl` and `lua_used` stand beside the quota.
---`growth` is the rate of live bytes per second over the last minutes, and `seconds_to_full` when at that rate every write
---is refused (97 % in use); both nil when not known, the second also when memory does not grow.
---@return {quota: integer, used: integer, used_percent: number, live: integer, items_used: integer, lua_used: number,
---     vinyl: integer, growth: number?, seconds_to_full: number?, spaces: table[], size_classes: table[]}
function memory.figures()
    local slab, spaces = box.slab.info(), footprint.spaces()
    local in_use, size = arena.used(slab), tonumber(slab.quota_size)
    return {
        quota = size, used = in_use, used_percent = in_use * 100 / size, live = footprint.live(spaces),
        items_used = tonumber(slab.items_used), lua_used = collectgarbage('count') * 1024, vinyl = footprint.vinyl(),
        growth = growth.rate(), seconds_to_full = growth.seconds(size * OTHER_LIMIT / 100 - in_use),
        spaces = spaces, size_classes = arena.size_classes(),
    }
end

memory.steps = {collector.step(memory.used_percent), growth.step}

return memory
