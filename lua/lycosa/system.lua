-- What the server says about itself.

local clock = require('lycosa.core.clock')
local contract = require('lycosa.core.contract')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')
local schema = require('lycosa.schema')

local system = {}

-- lycosa/init.lua requires this module, so the list of procedures is looked up when asked for.
local function descriptions()
    return require('lycosa').contract()
end

---What a client compares on connecting: digests by procedure, and the server's wall clock for its skew.
function system.contract()
    local procedures = setmetatable({}, {__serialize = 'map'})
    for _, described in ipairs(descriptions()) do
        procedures[described.name] = described.digest
    end
    return {digest = contract.digest(descriptions()), procedures = procedures, time = clock.wall()}
end

---The whole contract and the error catalogue, for generating clients and reference pages.
function system.describe()
    return {procedures = descriptions(), errors = errors.catalogue, digest = contract.digest(descriptions())}
end

---Whether this instance takes calls and writes.
function system.health()
    return {
        status = box.info.status, writable = not box.info.ro, uptime = box.info.uptime,
        schema = schema.version(), tarantool = _TARANTOOL, time = clock.wall(),
    }
end

---Counters, gauges, procedure figures, daemon steps, memory and spaces: what a scrape shows.
function system.figures()
    local collected = metrics.collect()
    local slab = box.slab.info()
    return {
        counters = collected.counters, gauges = collected.gauges, procedures = collected.procedures,
        steps = daemon.figures(),
        memory = {
            quota_bytes = tonumber(slab.quota_size), arena_bytes = tonumber(slab.arena_used),
            item_bytes = tonumber(slab.items_used), lua_bytes = collectgarbage('count') * 1024,
        },
        time = clock.wall(), spaces = memory.figures().spaces,
    }
end

---The fill of the memory, its growth, what takes it, and how it is split by size of rows.
function system.memory()
    local figures = memory.figures()
    return {
        quota_bytes = figures.quota, used_bytes = figures.used, live_bytes = figures.live,
        item_bytes = figures.items_used, lua_bytes = math.floor(figures.lua_used), vinyl_bytes = figures.vinyl,
        growth = figures.growth or box.NULL, seconds_to_full = figures.seconds_to_full or box.NULL,
        spaces = figures.spaces, size_classes = figures.size_classes,
    }
end

return system
