-- The cache by numbers: a hash finds an entry, and the trees of age, end and tags compare one number each.
--
-- The spaces are made anew, because the new fields are never null. Up to ROWS entries are carried over; a cache may
-- forget the rest, and one transaction must not copy what fills the memory.

local digest = require('digest')
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
    {'age', 'unsigned'},
    {'due', 'unsigned'},
    {'labels', 'array'},
}

local TOTAL = {
    {'tenant', 'string'},
    {'bucket_id', 'unsigned'},
    {'entries', 'unsigned'},
    {'bytes', 'unsigned'},
    {'number', 'unsigned'},
}

local function entries(name, temporary)
    local space = box.schema.space.create(name, {format = ENTRY, temporary = temporary})
    space:create_index('key', {type = 'hash', parts = {{1, 'string'}, {3, 'string'}}})
    -- For the sweep: what may go first, of all tenants.
    space:create_index('expiry', {unique = false, parts = {{13, 'unsigned'}, {1, 'string'}}})
    -- For eviction: a tenant's entries from old to new. Not unique: a replica that became the leader may count again
    -- from where it had read.
    space:create_index('age', {unique = false, parts = {{12, 'unsigned'}, {1, 'string'}}})
    space:create_index('tag', {unique = false, parts = {{14, 'unsigned', path = '[*]'}, {1, 'string'}}})
    return space
end

local function totals(name, temporary)
    local space = box.schema.space.create(name, {format = TOTAL, temporary = temporary})
    space:create_index('tenant', {parts = {{1, 'string'}}})
    -- For eviction: the largest.
    space:create_index('bytes', {unique = false, parts = {{4, 'unsigned'}, {1, 'string'}}})
    return space
end

-- What the entries of before hold, those that end last, from old to new.
local function carried()
    local rows, bytes = {}, 0
    for _, row in box.space.cache_entry.index.expiry:pairs({}, {iterator = 'LE'}) do
        bytes = bytes + row:bsize()
        if #rows == ROWS or bytes > BYTES then
            break
        end
        table.insert(rows, row:totable())
    end
    table.sort(rows, function(left, right)
        return left[11] < right[11]
    end)
    return rows
end

return {
    id = 14, name = 'cache',
    up = function()
        local rows = carried()
        for _, name in ipairs({'cache_entry', 'cache_total', 'cache_volatile', 'cache_volatile_total'}) do
            box.space[name]:drop()
        end
        local entry, total = entries('cache_entry', false), totals('cache_total', false)
        entries('cache_volatile', true)
        totals('cache_volatile_total', true)
        for seq, row in ipairs(rows) do
            local tenant = row[1]
            local known = total:get{tenant} or total:insert{tenant, bucket.of(tenant), 0, 0, total:len() + 1}
            -- As lycosa.cache.order makes them, and as lycosa.cache.pool weighs an entry.
            row[11], row[12] = seq, 4398046511104ULL * known[5] + seq
            row[13] = 131072ULL * math.floor(row[8] * 1000) + seq % 131072
            row[14] = {}
            for i, tag in ipairs(row[10]) do
                row[14][i] = 134217728ULL * digest.murmur(tenant .. ' ' .. tag) + seq % 134217728
            end
            local weight = entry:insert(row):bsize() + 72 + 24 * #row[14]
            total:update({tenant}, {{'+', 3, 1}, {'+', 4, weight}})
        end
    end,
}
