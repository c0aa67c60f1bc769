-- How the cache was used since the start: by the server, and by each tenant that has ever cached.

local metrics = require('lycosa.core.metrics')
local pool = require('lycosa.cache.pool')

local counters = {}

local NAMES = {'hits', 'stale_hits', 'misses', 'expired', 'evicted', 'invalidated'}

local function zeros()
    local made = {}
    for _, name in ipairs(NAMES) do
        made[name] = 0
    end
    return made
end

local whole, by_tenant = zeros(), {}

---Count something of a tenant. A tenant gets counters of its own once it has stored something, so that look-ups of
---unknown tenants leave nothing behind.
---@param tenant string
---@param what string
---@param amount integer
function counters.add(tenant, what, amount)
    whole[what] = whole[what] + amount
    local own = by_tenant[tenant]
    if own == nil then
        if not pool.knows(tenant) then
            return
        end
        own = zeros()
        by_tenant[tenant] = own
    end
    own[what] = own[what] + amount
end

---A tenant's counts, or those of the server.
---@param tenant string?
---@return table<string, integer>
function counters.of(tenant)
    if tenant == nil then
        return whole
    end
    return by_tenant[tenant] or zeros()
end

---Declare what a scrape shows.
function counters.configure()
    for _, name in ipairs(NAMES) do
        metrics.gauge('cache.' .. name, function()
            return whole[name]
        end)
    end
end

return counters
