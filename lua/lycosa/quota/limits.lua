-- Defining, listing, resetting and removing limits.

local digest = require('digest')
local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local cursor = require('lycosa.core.cursor')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local claims = require('lycosa.quota.claims')
local fields = require('lycosa.quota.fields')
local gcra = require('lycosa.quota.gcra')
local holds = require('lycosa.quota.holds')
local reservations = require('lycosa.quota.reservations')
local standing = require('lycosa.quota.standing')
local windows = require('lycosa.quota.windows')

local limits = {}

local RATE, PERIODIC = fields.RATE, fields.PERIODIC
local UTC = {{0, 0}}

-- Lapsed reservations that `remove` moves itself before it gives up.
local MOST_MOVED = 100

-- Which arguments of quota.define belong to which kind; `period` and `window` must be given with theirs.
local OPTIONS = {
    {'period', RATE}, {'burst', RATE}, {'window', PERIODIC}, {'time_zone', PERIODIC}, {'utc_offsets', PERIODIC},
}

local function check_definition(args)
    for i = 1, #OPTIONS do
        local option, kind = OPTIONS[i][1], OPTIONS[i][2]
        if args[option] ~= nil and args.kind ~= kind then
            errors.raise('INVALID_ARGUMENT', {argument = option, problem = 'has no meaning with kind = ' .. args.kind})
        end
    end
    local needed = ({[RATE] = 'period', [PERIODIC] = 'window'})[args.kind]
    if needed and args[needed] == nil then
        errors.raise('INVALID_ARGUMENT', {argument = needed, problem = 'is missing for kind = ' .. args.kind})
    end
    if args.kind == RATE and args.amount == 0 then
        errors.raise('INVALID_ARGUMENT', {argument = 'amount', problem = 'is 0, which is no rate'})
    elseif args.utc_offsets ~= nil and args.time_zone == nil then
        errors.raise('INVALID_ARGUMENT', {argument = 'time_zone', problem = 'is missing: utc_offsets need a name'})
    elseif args.time_zone ~= nil and args.time_zone ~= 'UTC' and args.utc_offsets == nil then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'utc_offsets', problem = 'is missing: no zone but UTC is known by its name alone',
        })
    end
end

-- {starts_at, minutes} of every entry, ascending.
local function offsets_of(args)
    if args.utc_offsets == nil then
        return UTC
    end
    local offsets = {}
    for i, entry in ipairs(args.utc_offsets) do
        offsets[i] = {entry.starts_at, entry.minutes}
        if i > 1 and entry.starts_at <= args.utc_offsets[i - 1].starts_at then
            errors.raise('INVALID_ARGUMENT', {
                argument = ('utc_offsets[%d].starts_at'):format(i), problem = 'is not after the entry before it',
            })
        end
    end
    return offsets
end

-- No two limits of one name share a generation, whatever the clock says: 40 random bits and a count.
local function first_generation()
    local generation = 0
    for byte in digest.urandom(5):gmatch('.') do
        generation = generation * 256 + byte:byte()
    end
    return generation
end

local function new_row(args, now)
    local offsets, ends = nil, fields.NEVER
    if args.kind == PERIODIC then
        offsets = offsets_of(args)
        ends = select(2, windows.bounds(args.window, offsets, now))
    end
    return {
        args.tenant, bucket.of(args.tenant), args.quota, args.kind, args.amount, args.unit, args.scale, args.shadow,
        args.period or box.NULL, args.kind == RATE and (args.burst or args.amount) or box.NULL, args.window or box.NULL,
        args.kind == PERIODIC and (args.time_zone or 'UTC') or box.NULL, offsets or box.NULL, now, now,
        0, 0, 0, now, ends, 0, 0, first_generation(),
    }
end

local function is_same_calendar(row, stored)
    local before, after = stored[fields.OFFSETS], row[fields.OFFSETS]
    if row[fields.WINDOW] ~= stored[fields.WINDOW] or #before ~= #after then
        return false
    end
    for i = 1, #after do
        if before[i][1] ~= after[i][1] or before[i][2] ~= after[i][2] then
            return false
        end
    end
    return true
end

-- The moment whose window goes on counting what is counted: now, but no window before that of the counters, also when
-- the clock has gone back.
local function counted_at(s, stored, now)
    local at = math.max(now, s.since)
    if s.ends == fields.NEVER then
        return at
    end
    -- `since` may lie before the window: see standing.charge.
    return math.max(at, (windows.bounds(stored[fields.WINDOW], stored[fields.OFFSETS], s.ends - 0.5)))
end

-- Carry the counters of a stored limit over into its new definition.
local function keep_counters(row, stored, now)
    local s = standing.counters(stored, now, {row[fields.TENANT], row[fields.QUOTA]})
    if s.kind == RATE and (row[fields.AMOUNT] ~= tonumber(stored[fields.AMOUNT])
            or row[fields.PERIOD] ~= stored[fields.PERIOD]) then
        s.used, s.since = gcra.convert(s.taken, s.since, now)
    elseif s.kind == PERIODIC and not is_same_calendar(row, stored) then
        s.ends = select(2, windows.bounds(row[fields.WINDOW], row[fields.OFFSETS], counted_at(s, stored, now)))
    end
    row[fields.CREATED] = stored[fields.CREATED]
    row[fields.USED], row[fields.RESERVED], row[fields.UNKNOWN] = s.used, s.reserved, s.unknown
    row[fields.SINCE], row[fields.ENDS] = s.since, s.ends
    row[fields.GENERATION] = s.generation or stored[fields.GENERATION]
    row[fields.NEAR], row[fields.SHADOWED] = stored[fields.NEAR], stored[fields.SHADOWED]
end

---Define a limit or change it; a change keeps its counters. Raises QUOTA_KIND_FIXED when kind or scale would change.
---@param args table see lycosa.api.quota
---@return box.tuple the stored limit
function limits.define(args)
    check_definition(args)
    memory.admit('quota_limit', 'quota')
    local now, space = clock.now(), box.space.quota_limit
    local row = new_row(args, now)
    local stored = space:get{args.tenant, args.quota}
    if stored ~= nil then
        local kind, scale = stored[fields.KIND], stored[fields.SCALE]
        if kind ~= args.kind or scale ~= args.scale then
            errors.raise('QUOTA_KIND_FIXED', {quota = args.quota, kind = kind, scale = scale})
        end
        keep_counters(row, stored, now)
    end
    return space:replace(row)
end

---Give a limit its time zone anew; nothing else of it changes. A limit that is gone or has another zone by now is left
---as it is: whoever read the zone's name had better look again.
---@param args {tenant: string, quota: string, time_zone: string, utc_offsets: table[]}
---@return {renewed: boolean}
function limits.renew_zone(args)
    memory.admit('quota_limit', 'quota')
    local now, space = clock.now(), box.space.quota_limit
    local stored = space:get{args.tenant, args.quota}
    if stored == nil or stored[fields.TIME_ZONE] ~= args.time_zone then
        return {renewed = false}
    end
    local row = stored:totable()
    row[fields.OFFSETS] = offsets_of(args)
    keep_counters(row, stored, now)
    space:replace(row)
    return {renewed = true}
end

local function inside(tuple, scan)
    return tuple[fields.TENANT] == scan.anchor[1]
end

---A page of limits by name, for definitions and for reports.
---@param args {tenant: string, prefix: string?, cursor: string?, limit: integer}
---@return box.tuple[] rows
---@return string? next
---@return string? previous
function limits.page(args)
    local anchor = {args.tenant}
    local scan = {
        index = box.space.quota_limit.index.quota, anchor = anchor, first = anchor, last = anchor,
        last_inclusive = true, fields = {fields.QUOTA}, kinds = {'string'}, inside = inside, descending = false,
        fingerprint = cursor.fingerprint{'quota', args.tenant, args.prefix or ''},
    }
    if args.prefix ~= nil then
        cursor.narrow(scan, args.prefix)
    end
    return cursor.page(scan, args.cursor, args.limit)
end

---A page of definitions by name.
---@param args {tenant: string, prefix: string?, cursor: string?, limit: integer}
---@return {rows: box.tuple[], next: string?, previous: string?}
function limits.list(args)
    local rows, next_text, previous_text = limits.page(args)
    return {rows = rows, next = next_text or box.NULL, previous = previous_text or box.NULL}
end

local EVERYTHING = {}

local function always()
    return true
end

---Limits of all tenants that have a time zone, among a page of all limits by tenant and name.
---@param args {cursor: string?, limit: integer} `limit` rows are looked at
---@return {rows: box.tuple[], next: string?, previous: string?}
function limits.zoned(args)
    local looked_at, next_text, previous_text = cursor.page({
        index = box.space.quota_limit.index.quota, anchor = EVERYTHING, first = EVERYTHING, last = EVERYTHING,
        last_inclusive = true, fields = {fields.TENANT, fields.QUOTA}, kinds = {'string', 'string'}, inside = always,
        descending = false, fingerprint = cursor.fingerprint{'quota_zoned'},
    }, args.cursor, args.limit)
    local rows = {}
    for i = 1, #looked_at do
        local zone = looked_at[i][fields.TIME_ZONE]
        if zone ~= nil and zone ~= 'UTC' then
            table.insert(rows, looked_at[i])
        end
    end
    return {rows = rows, next = next_text or box.NULL, previous = previous_text or box.NULL}
end

---Forget what was used and what is unknown, and begin the window anew; what is open stays reserved. It also mends a
---window that a clock gone wrong has opened in the future.
---@param args {tenant: string, quota: string}
---@return box.tuple the stored limit
function limits.reset(args)
    local key, now = {args.tenant, args.quota}, clock.now()
    local row = claims.limit(args.tenant, args.quota)
    local s = standing.counters(row, now, key)
    s.used, s.unknown, s.near, s.shadowed, s.since = 0, 0, 0, 0, now
    s.generation = row[fields.GENERATION] + 1
    if s.kind == PERIODIC then
        s.ends = select(2, windows.bounds(row[fields.WINDOW], row[fields.OFFSETS], now))
    end
    return standing.save(s)
end

---Remove a limit. One that open reservations hold is refused with QUOTA_IN_USE.
---@param args {tenant: string, quota: string}
---@return {removed: boolean} false when there was none
function limits.remove(args)
    local tenant, quota, now = args.tenant, args.quota, clock.now()
    for moved = 0, MOST_MOVED do
        local lapses_at, id = holds.first(tenant, quota)
        if lapses_at == nil then
            break
        elseif lapses_at > now or moved == MOST_MOVED then
            errors.raise('QUOTA_IN_USE', {
                quota = quota, retry_after = math.max(0.1, math.ceil((lapses_at - now) * 1000) / 1000),
            })
        end
        reservations.lapse_one(tenant, id, now)
    end
    return {removed = box.space.quota_limit:delete{tenant, quota} ~= nil}
end

return limits
