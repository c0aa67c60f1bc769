-- Requests on disk: those older than a setting, moved out of memory in small steps.
--
-- A slice takes three transactions, since none spans memory and disk: the tenants' boundaries are raised, the requests
-- are written to disk, and then they leave memory. Whoever reads looks into memory first and on disk second, so a request
-- that has left memory meanwhile is found on disk, and one that is in both places is known by its key and shown once. What
-- if the process dies between two of the three? The next slice begins with the same requests and writes the same again.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.request.fields')
local metrics = require('lycosa.core.metrics')
local summary = require('lycosa.request.summary')

local cold = {}

local TENANT, ID, ANSWER = fields.TENANT, fields.ID, fields.ANSWER
local CREATED, SOURCES = fields.CREATED, fields.SOURCES
local POSITION = fields.source.POSITION
-- Field of `request_boundary`.
local NEWEST = 3

local DAY_SECONDS = 86400
-- A slice holds the server while it reads and deletes: rows, sources included, and bytes at the most.
local MOST_ROWS = 100
local MOST_BYTES = 1048576
-- How long to wait for the disk when it is behind.
local BUSY_SECONDS = 1

local cold_days, retention_days = 0, 0
-- Age key of the last request that retention removed from disk. An index on disk keeps what was deleted until it is
-- merged; beginning here, a step does not read all of it again.
local removed_up_to

---Set when requests move to disk and how long they are kept there.
---@param settings {request_cold_days: integer?, retention_days: integer?} 0 (default): never, and for ever
function cold.configure(settings)
    cold_days, retention_days = settings.request_cold_days or 0, settings.retention_days or 0
    removed_up_to = nil
    daemon.wake('request.move')
    daemon.wake('request.retain_cold')
end

-- Reading from disk waits, and a transaction in memory must not.
local function refuse_in_transaction()
    if box.is_in_txn() then
        errors.raise('REQUEST_ON_DISK', {})
    end
end

---When the youngest request that may be on disk was created.
---@param tenant string
---@return number? nil when none ever moved
function cold.newest(tenant)
    local row = box.space.request_boundary:get{tenant}
    return row and row[NEWEST]
end

---A request on disk and its sources. Waits for the disk. Raises REQUEST_ON_DISK within a transaction.
---@param tenant string
---@param id string
---@return box.tuple? row as it was in `request`, its fields without names; nil when it is not on disk
---@return any[][]? sources as they were in `request_source`
function cold.find(tenant, id)
    if cold.newest(tenant) == nil then
        return nil
    end
    refuse_in_transaction()
    local row = box.space.request_cold:get{tenant, id}
    if row == nil then
        return nil
    end
    return row:transform(SOURCES, 1), row[SOURCES]
end

---Summaries on disk along an index. Waits for the disk. Raises REQUEST_ON_DISK within a transaction.
---@param index string time, customer or status
---@param start any[]
---@param iterator integer
---@param limit integer
---@return box.tuple[]
function cold.summaries(index, start, iterator, limit)
    refuse_in_transaction()
    return box.space.request_cold_summary.index[index]:select(start, {iterator = iterator, limit = limit})
end

-- The oldest requests that are due to move, with their sources. Those that retention is about to remove stay.
local function due(limit)
    local now = clock.now()
    local horizon = now - cold_days * DAY_SECONDS
    local after = retention_days > 0 and {now - retention_days * DAY_SECONDS} or {}
    local by_request = box.space.request_source.index.request
    local batch, rows, bytes = {}, 0, 0
    for _, row in ipairs(box.space.request.index.age:select(after, {iterator = 'GT', limit = limit})) do
        if row[CREATED] > horizon or rows >= limit or bytes >= MOST_BYTES then
            break
        end
        local sources = by_request:select{row[TENANT], row[ID]}
        rows, bytes = rows + 1 + #sources, bytes + row:bsize()
        for _, source in ipairs(sources) do
            bytes = bytes + source:bsize()
        end
        table.insert(batch, {row = row, sources = sources})
    end
    return batch
end

local function raise_boundaries(batch)
    local newest = {}
    for _, moved in ipairs(batch) do
        -- The oldest come first.
        newest[moved.row[TENANT]] = moved.row[CREATED]
    end
    box.begin()
    for tenant, created in pairs(newest) do
        local known = cold.newest(tenant)
        if known == nil or known < created then
            box.space.request_boundary:replace{tenant, bucket.of(tenant), created}
        end
    end
    box.commit()
end

local function write_to_disk(batch)
    if removed_up_to ~= nil and batch[1].row[CREATED] <= removed_up_to[1] then
        removed_up_to = nil
    end
    box.begin()
    for _, moved in ipairs(batch) do
        local row = moved.row
        -- An update would make its tuple in the store's memory, which may be full.
        box.space.request_cold:replace(row:transform(SOURCES, 0, moved.sources))
        box.space.request_cold_summary:replace(row:transform(ANSWER, 1, summary.answer_bytes(row)))
    end
    box.commit()
end

-- Requests never change, so a row of the same key and time is the one that was written.
local function leave_memory(batch)
    local requests, sources = box.space.request, box.space.request_source
    box.begin()
    for _, moved in ipairs(batch) do
        local tenant, id = moved.row[TENANT], moved.row[ID]
        local row = requests:get{tenant, id}
        if row ~= nil and row[CREATED] == moved.row[CREATED] then
            for _, source in ipairs(moved.sources) do
                sources:delete{tenant, id, source[POSITION]}
            end
            requests:delete{tenant, id}
        end
    end
    box.commit()
end

-- Whether the disk is behind: a write would wait, and all background work with it.
local function is_disk_behind()
    local figures = box.stat.vinyl()
    return figures.memory.level0 >= figures.regulator.dump_watermark
end

-- The daemon step that moves: about 1 MiB or `limit` rows a slice, one request at least.
local function move(limit)
    if cold_days == 0 then
        return false
    end
    local batch = due(limit)
    if #batch == 0 then
        local oldest = box.space.request.index.age:min()
        return false, oldest and oldest[CREATED] + cold_days * DAY_SECONDS
    elseif is_disk_behind() then
        return false, clock.now() + BUSY_SECONDS
    end
    raise_boundaries(batch)
    write_to_disk(batch)
    leave_memory(batch)
    metrics.count('request.moved', #batch)
    return true
end

-- The daemon step that removes from disk what is older than the retention, the oldest first.
local function retain(limit)
    if retention_days == 0 then
        return false
    end
    local kept_seconds = retention_days * DAY_SECONDS
    local horizon = clock.now() - kept_seconds
    local age = box.space.request_cold_summary.index.age
    local rows = age:select(removed_up_to or {}, {iterator = 'GT', limit = limit + 1})
    local removed, last = 0
    box.begin()
    for i = 1, math.min(limit, #rows) do
        local row = rows[i]
        if row[CREATED] > horizon then
            break
        end
        box.space.request_cold_summary:delete{row[TENANT], row[CREATED], row[ID]}
        box.space.request_cold:delete{row[TENANT], row[ID]}
        removed, last = removed + 1, {row[CREATED], row[TENANT], row[ID]}
    end
    box.commit()
    removed_up_to = last or removed_up_to
    metrics.count('request.retained_away', removed)
    local oldest = rows[removed + 1]
    if oldest == nil then
        return false
    end
    return oldest[CREATED] <= horizon, oldest[CREATED] + kept_seconds
end

cold.steps = {
    {name = 'request.move', run = move, limit = MOST_ROWS},
    {name = 'request.retain_cold', run = retain, limit = MOST_ROWS},
}

return cold
