-- Letting go of all entries with a tag, or all whose keys begin alike, a bounded number a call.

local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local counters = require('lycosa.cache.counters')
local fields = require('lycosa.cache.fields')
local pool = require('lycosa.cache.pool')

local invalidation = {}

local TENANT, KEY, STALE = fields.TENANT, fields.KEY, fields.STALE

-- Up to `limit` entries of a pool that are meant.
local function meant(of, args, limit)
    local space, tenant, prefix = of.entries(), args.tenant, args.prefix
    if prefix == nil then
        return space.index.tag:select({tenant, args.tag}, {limit = limit})
    end
    local rows = space:select({tenant, prefix}, {iterator = 'GE', limit = limit})
    for i, row in ipairs(rows) do
        if row[TENANT] ~= tenant or row[KEY]:sub(1, #prefix) ~= prefix then
            for j = #rows, i, -1 do
                rows[j] = nil
            end
            break
        end
    end
    return rows
end

---Delete entries by tag or by the beginning of their keys, whichever is given.
---@param args {tenant: string, tag: string?, prefix: string?, limit: integer}
---@return {deleted: integer, more: boolean} `deleted` without those that had expired; call again while `more`
function invalidation.run(args)
    if (args.tag == nil) == (args.prefix == nil) then
        errors.raise('INVALID_ARGUMENT', {argument = 'tag', problem = 'or prefix must be given, and not both'})
    end
    local deleted, left, now = 0, args.limit, clock.now()
    local more = false
    for _, of in ipairs(pool.all(args.prefix)) do
        local rows = meant(of, args, left + 1)
        if #rows > left then
            rows[#rows], more = nil, true
        end
        for _, row in ipairs(rows) do
            deleted = deleted + (row[STALE] > now and 1 or 0)
        end
        pool.remove(of, rows)
        left = left - #rows
    end
    counters.add(args.tenant, 'invalidated', deleted)
    return {deleted = deleted, more = more}
end

return invalidation
