-- The cache of tags, stale periods and eviction: entries know more, and those of volatile namespaces stand apart.
--
-- The spaces are made anew, because the new fields are never null. Up to ROWS entries are carried over; a cache may
-- forget the rest, and one transaction must not copy what fills the memory.

local bucket = require('lycosa.core.bucket')

local ROWS, BYTES = 20000, 33554432

local ENTRY = {
    {'tenant', 'string'},
    {'bucket_id', 'unsigned'},
    {'key', 'string'},
    {'value', 'string'},
    {'media_type', 'string'},
    {'created_at', 'number'},
    {'expires_at', 'number'},
    {'stale_until', 'number'},
    {'negative', 'boolean'},
    {'tags', 'array'},
    {'seq', 'unsigned'},
}

local TOTAL = {
    {'tenant', 'string'},
    {'bucket_id', 'unsigned'},
    {'entries', 'unsigned'},
    {'bytes', 'unsigned'},
}

local function entries(name, temporary)
    local space = box.schema.space.create(name, {format = ENTRY, temporary = temporary})
    space:create_index('key', {parts = {{1, 'string'}, {3, 'string'}}})
    -- For the sweep: what may go first, of all tenants.
    space:create_index('expiry', {unique = false, parts = {{8, 'number'}, {1, 'string'}, {3, 'string'}}})
    -- For eviction: a tenant's entries from old to new. Not unique: a replica that became the leader may count again
    -- from where it had read.
    space:create_index('age', {unique = false, parts = {{1, 'string'}, {11, 'unsigned'}}})
    space:create_index('tag', {
        unique = false, parts = {{1, 'string'}, {10, 'string', path = '[*]'}, {3, 'string'}},
    })
    return space
end

local function totals(name, temporary)
    local space = box.schema.space.create(name, {format = TOTAL, temporary = temporary})
    space:create_index('tenant', {parts = {{1, 'string'}}})
    -- For eviction: the largest.
    space:create_index('bytes', {unique = false, parts = {{4, 'unsigned'}, {1, 'string'}}})
    return space
end

-- What the entries of before hold, the newest of them, as rows of now.
local function carried()
    local rows, bytes = {}, 0
    for _, row in box.space.cache_entry.index.expiry:pairs({}, {iterator = 'LE'}) do
        bytes = bytes + row:bsize()
        if #rows == ROWS or bytes > BYTES then
            break
        end
        table.insert(rows, {row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[7], false, {}, #rows + 1})
    end
    return rows
end

return {
    id = 6, name = 'cache',
    up = function()
        local rows = carried()
        box.space.cache_entry:drop()
        box.space.cache_total:drop()
        local entry, total = entries('cache_entry', false), totals('cache_total', false)
        entries('cache_volatile', true)
        totals('cache_volatile_total', true)
        for _, row in ipairs(rows) do
            local stored = entry:insert(row)
            -- The weight of an entry without tags, as lycosa.cache.pool counts it.
            local weight = stored:bsize() + 72
            if total:update({row[1]}, {{'+', 3, 1}, {'+', 4, weight}}) == nil then
                total:insert{row[1], bucket.of(row[1]), 1, weight}
            end
        end
    end,
}
