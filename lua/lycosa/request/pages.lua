-- Pages of requests, from memory and from disk alike.

local cold = require('lycosa.request.cold')
local cursor = require('lycosa.core.cursor')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.request.fields')
local summary = require('lycosa.request.summary')

local pages = {}

local TENANT, ID, CUSTOMER, STATUS, CREATED = fields.TENANT, fields.ID, fields.CUSTOMER, fields.STATUS, fields.CREATED

-- After the year 9999: later than any request.
local END_OF_TIME = 1e12

-- Which index a look-up walks, and by which field besides the tenant.
local LOOKUPS = {
    time = {index = 'time'},
    customer = {index = 'customer', field = CUSTOMER},
    status = {index = 'status', field = STATUS},
}

local function inside(tuple, scan)
    local created = tuple[CREATED]
    return tuple[TENANT] == scan.tenant and (scan.field == nil or tuple[scan.field] == scan.value)
        and created >= scan.from and created < scan.till
end

-- How many of the rows, from the first on, the query asks for.
local function count_inside(rows, scan)
    for i = 1, #rows do
        if not inside(rows[i], scan) then
            return i - 1
        end
    end
    return #rows
end

-- One list of two, each in the order of the walk. What stands in both is taken from the first.
local function merged(left, right, scan, limit, upwards)
    local left_count, right_count = count_inside(left, scan), count_inside(right, scan)
    local rows, i, j = {}, 1, 1
    while #rows < limit and (i <= left_count or j <= right_count) do
        local a, b = i <= left_count and left[i] or nil, j <= right_count and right[j] or nil
        local same = a and b and a[CREATED] == b[CREATED] and a[ID] == b[ID]
        local a_first = b == nil or same
        if a and b and not same then
            local is_less = a[CREATED] < b[CREATED] or a[CREATED] == b[CREATED] and a[ID] < b[ID]
            a_first = is_less == upwards
        end
        if a_first then
            rows[#rows + 1] = a
            i, j = i + 1, same and j + 1 or j
        else
            rows[#rows + 1] = b
            j = j + 1
        end
    end
    return rows
end

-- Whether rows on disk may stand among those that were read from memory just now.
local function may_be_on_disk(scan, rows, start, limit, upwards)
    local newest = cold.newest(scan.tenant)
    if newest == nil or scan.from > newest then
        return false
    elseif upwards then
        return start[#scan.anchor + 1] <= newest
    end
    local last = rows[limit]
    return last == nil or not inside(last, scan) or last[CREATED] <= newest
end

-- Memory first: what moves while the disk is waited for is seen twice and shown once, never missed.
local function read(scan, start, iterator, limit)
    local rows = scan.index:select(start, {iterator = iterator, limit = limit})
    local upwards = iterator == box.index.GE or iterator == box.index.GT
    if not may_be_on_disk(scan, rows, start, limit, upwards) then
        return rows
    end
    local from_disk = cold.summaries(scan.index.name, start, iterator, limit)
    return merged(rows, from_disk, scan, limit, upwards)
end

local function scan_of(args)
    local lookup = LOOKUPS[args.by]
    if lookup.field and args.value == nil then
        errors.raise('INVALID_ARGUMENT', {argument = 'value', problem = 'is missing for look-ups by ' .. args.by})
    elseif not lookup.field and args.value ~= nil then
        errors.raise('INVALID_ARGUMENT', {argument = 'value', problem = 'is not used by look-ups by time'})
    end
    local from, till = args.from or 0, args['until'] or END_OF_TIME
    local anchor, first, last = {args.tenant}, {args.tenant}, {args.tenant}
    if lookup.field then
        anchor[2], first[2], last[2] = args.value, args.value, args.value
    end
    table.insert(first, from)
    table.insert(last, till)
    return {
        index = box.space.request.index[lookup.index], anchor = anchor, first = first, last = last, read = read,
        last_inclusive = false, fields = {CREATED, ID}, kinds = {'number', 'string'}, inside = inside,
        tenant = args.tenant, field = lookup.field, value = args.value, from = from, till = till,
        descending = args.order == 'desc',
        fingerprint = cursor.fingerprint{'request', args.tenant, args.by, args.value or '', from, till, args.order},
    }
end

---A page of requests without their answers, in order of time. Waits for the disk when the page reaches requests there.
---@param args {tenant: string, by: string, value: string?, from: number?, until: number?, order: string,
---     cursor: string?, limit: integer} from <= created_at < until
---@return {rows: table[], next: string?, previous: string?}
function pages.list(args)
    local rows, next_text, previous_text = cursor.page(scan_of(args), args.cursor, args.limit)
    local summaries = {}
    for i = 1, #rows do
        summaries[i] = summary.of(rows[i])
    end
    return {rows = summaries, next = next_text or box.NULL, previous = previous_text or box.NULL}
end

return pages
