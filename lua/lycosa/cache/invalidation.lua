-- Letting go of all entries with a tag, or all whose keys begin alike, a bounded number a call.

local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local counters = require('lycosa.cache.counters')
local fields = require('lycosa.cache.fields')
local order = require('lycosa.cache.order')
local pool = require('lycosa.cache.pool')

local invalidation = {}

local TENANT, KEY, STALE = fields.TENANT, fields.KEY, fields.STALE
local TAGS, LABELS = fields.TAGS, fields.LABELS
-- Entries that one call looks at for a prefix, a millisecond or two; scans that are on their way, together.
local LOOKED_AT, MOST_SCANS = 2000, 1000

-- Where the next call goes on, by tenant and prefix, while a scan has not come to its end: no entry that is older begins
-- so, because what is set later has a higher number. Without it a call begins anew and finds the same.
local scans, scanning = {}, 0

local function forget_scans()
    scans, scanning = {}, 0
end

local function go_on_at(scan, place)
    scanning = scanning + (place ~= nil and 1 or 0) - (scans[scan] ~= nil and 1 or 0)
    scans[scan] = place
    if scanning > MOST_SCANS then
        forget_scans()
    end
end

local function has(tags, wanted)
    for _, tag in ipairs(tags) do
        if tag == wanted then
            return true
        end
    end
    return false
end

local function has_between(labels, first, last)
    for _, label in ipairs(labels) do
        if label >= first and label <= last then
            return true
        end
    end
    return false
end

-- Up to `limit` entries of a pool with a tag, and whether there are more.
local function tagged(of, tenant, tag, limit)
    local rows, met, first, last = {}, {}, order.labels_of(tenant, tag)
    for _, row in of.entries().index.tag:pairs({first}, {iterator = 'GE'}) do
        local key, is_own = row[KEY], row[TENANT] == tenant
        -- Behind the last entry of a tag come those of another one, which may have this tag as well.
        if is_own and met[key] or not has_between(row[LABELS], first, last) then
            break
        elseif is_own and has(row[TAGS], tag) then
            if #rows == limit then
                return rows, true
            end
            table.insert(rows, row)
            met[key] = true
        end
    end
    return rows, false
end

-- Delete entries of a pool; gives how many of them had not expired.
local function delete(of, rows, now)
    local deleted = 0
    for _, row in ipairs(rows) do
        deleted = deleted + (row[STALE] > now and 1 or 0)
    end
    pool.remove(of, rows)
    return deleted
end

local function by_tag(tenant, tag, limit, now)
    local deleted, more = 0, false
    for _, of in ipairs(pool.all()) do
        local rows, further = tagged(of, tenant, tag, limit)
        limit, more = limit - #rows, more or further
        deleted = deleted + delete(of, rows, now)
    end
    return deleted, more
end

-- Pools are looked through one after the other.
local function by_prefix(tenant, prefix, limit, now)
    box.on_rollback(forget_scans)
    local scan, pools, deleted = tenant .. ' ' .. prefix, pool.all(prefix), 0
    local at = scans[scan] or {pool = 1, hand = 0}
    local hand = at.hand
    for i = at.pool, #pools do
        local rows, next_hand = pool.alike(pools[i], tenant, prefix, hand, LOOKED_AT, limit)
        limit = limit - #rows
        deleted = deleted + delete(pools[i], rows, now)
        if next_hand ~= nil then
            go_on_at(scan, {pool = i, hand = next_hand})
            return deleted, true
        end
        hand = 0
    end
    go_on_at(scan, nil)
    return deleted, false
end

---Delete entries by tag or by the beginning of their keys, whichever is given.
---@param args {tenant: string, tag: string?, prefix: string?, limit: integer}
---@return {deleted: integer, more: boolean} `deleted` without those that had expired, 0 where a call met none that begins
---     so; call again while `more`
function invalidation.run(args)
    if (args.tag == nil) == (args.prefix == nil) then
        errors.raise('INVALID_ARGUMENT', {argument = 'tag', problem = 'or prefix must be given, and not both'})
    end
    local deleted, more
    if args.prefix ~= nil then
        deleted, more = by_prefix(args.tenant, args.prefix, args.limit, clock.now())
    else
        deleted, more = by_tag(args.tenant, args.tag, args.limit, clock.now())
    end
    counters.add(args.tenant, 'invalidated', deleted)
    return {deleted = deleted, more = more}
end

return invalidation
