-- Requests in memory that are older than the retention are removed; cold.lua does the same on disk.

local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local fields = require('lycosa.request.fields')
local metrics = require('lycosa.core.metrics')

local retention = {}

local TENANT, ID, CREATED = fields.TENANT, fields.ID, fields.CREATED
local POSITION = fields.source.POSITION

local DAY_SECONDS = 86400

-- Days that requests are kept; 0 keeps them for ever.
local retention_days = 0

---Set how long requests are kept.
---@param settings {retention_days: integer?} days, 0 (default) keeps for ever
function retention.configure(settings)
    retention_days = settings.retention_days or 0
    daemon.wake('request.retain')
end

-- Delete one request with its sources.
---@return integer rows deleted
local function remove(tenant, id)
    local sources = box.space.request_source
    local deleted = 1
    for _, source in ipairs(sources.index.request:select({tenant, id})) do
        sources:delete{tenant, id, source[POSITION]}
        deleted = deleted + 1
    end
    box.space.request:delete{tenant, id}
    return deleted
end

-- Remove requests older than the retention, the oldest first, in one transaction. A limit counts rows, sources
-- included; the last request is removed whole, so that at most 64 rows more go.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function retain(limit)
    if retention_days == 0 then
        return false
    end
    local horizon = clock.now() - retention_days * DAY_SECONDS
    local age = box.space.request.index.age
    local deleted, removed = 0, 0
    box.begin()
    for _, row in ipairs(age:select({}, {limit = limit})) do
        if row[CREATED] > horizon or deleted >= limit then
            break
        end
        deleted = deleted + remove(row[TENANT], row[ID])
        removed = removed + 1
    end
    box.commit()
    metrics.count('request.retained_away', removed)
    local oldest = age:min()
    if oldest == nil then
        return false
    end
    return oldest[CREATED] <= horizon, oldest[CREATED] + retention_days * DAY_SECONDS
end

retention.step = {name = 'request.retain', run = retain, limit = 100}

return retention
