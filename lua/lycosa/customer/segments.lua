-- Figures of segments and of a whole tenant, kept by every write of customers in its own transaction: never by a scan.

local bucket = require('lycosa.core.bucket')
local cursor = require('lycosa.core.cursor')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.customer.fields')

local segments = {}

-- customer_segment
local SEGMENT_TENANT, SEGMENT_NAME, SEGMENT_CUSTOMERS = 1, 3, 4
local SEGMENT_REVENUE, SEGMENT_ORDERS, SEGMENT_UPDATED_AT = 5, 6, 7
-- customer_total
local TOTAL_CUSTOMERS = 3

local CUSTOMERS, REVENUE, ORDERS = 1, 2, 3

---What one transaction changes: segment -> {customers, revenue, orders}.
---@alias lycosa.Tally table<string, integer[]>

---@return lycosa.Tally
function segments.tally()
    return {}
end

---Add a customer's figures to its segment, or take them away.
---@param tally lycosa.Tally
---@param segment string
---@param sign integer 1 or -1
---@param revenue integer cents
---@param orders integer
function segments.add(tally, segment, sign, revenue, orders)
    local sums = tally[segment]
    if sums == nil then
        sums = {0, 0, 0}
        tally[segment] = sums
    end
    sums[CUSTOMERS] = sums[CUSTOMERS] + sign
    sums[REVENUE] = sums[REVENUE] + sign * revenue
    sums[ORDERS] = sums[ORDERS] + sign * orders
end

---Take a stored customer's figures away from its segment.
---@param tally lycosa.Tally
---@param stored box.tuple
function segments.remove(tally, stored)
    segments.add(tally, stored[fields.SEGMENT], -1, stored[fields.REVENUE], stored[fields.ORDERS])
end

local function write_segment(tenant, segment, sums, now)
    local space = box.space.customer_segment
    local stored = space:get{tenant, segment}
    if stored == nil then
        space:insert{tenant, bucket.of(tenant), segment, sums[CUSTOMERS], sums[REVENUE], sums[ORDERS], now}
    elseif stored[SEGMENT_CUSTOMERS] + sums[CUSTOMERS] == 0 then
        space:delete{tenant, segment}
    else
        space:update({tenant, segment}, {
            {'+', SEGMENT_CUSTOMERS, sums[CUSTOMERS]},
            {'+', SEGMENT_REVENUE, sums[REVENUE]},
            {'+', SEGMENT_ORDERS, sums[ORDERS]},
            {'=', SEGMENT_UPDATED_AT, now},
        })
    end
end

---Store what a transaction changed. Once, at its end.
---@param tenant string
---@param tally lycosa.Tally
---@param now number
function segments.write(tenant, tally, now)
    local customers = 0
    for segment, sums in pairs(tally) do
        customers = customers + sums[CUSTOMERS]
        if sums[CUSTOMERS] ~= 0 or sums[REVENUE] ~= 0 or sums[ORDERS] ~= 0 then
            write_segment(tenant, segment, sums, now)
        end
    end
    if customers == 0 then
        return
    end
    local total = box.space.customer_total
    local stored = total:get(tenant)
    if stored == nil then
        total:insert{tenant, bucket.of(tenant), customers}
    elseif stored[TOTAL_CUSTOMERS] + customers == 0 then
        total:delete(tenant)
    else
        total:update(tenant, {{'+', TOTAL_CUSTOMERS, customers}})
    end
end

---How many customers a tenant has.
---@param args {tenant: string}
---@return integer
function segments.count(args)
    local stored = box.space.customer_total:get(args.tenant)
    return stored and stored[TOTAL_CUSTOMERS] or 0
end

---Figures of one segment. Raises SEGMENT_NOT_FOUND when no customer is in it.
---@param args {tenant: string, segment: string}
---@return box.tuple
function segments.one(args)
    local stored = box.space.customer_segment:get{args.tenant, args.segment}
    if stored == nil then
        errors.raise('SEGMENT_NOT_FOUND', {segment = args.segment})
    end
    return stored
end

local FIELDS, KINDS = {SEGMENT_NAME}, {'string'}

local function of_tenant(tuple, scan)
    return tuple[SEGMENT_TENANT] == scan.anchor[1]
end

---A page of figures, in the order of the segments' names.
---@param args {tenant: string, prefix: string?, cursor: string?, limit: integer}
---@return {rows: box.tuple[], next: string?, previous: string?}
function segments.list(args)
    local anchor = {args.tenant}
    local scan = {
        index = box.space.customer_segment.index.segment,
        anchor = anchor, first = anchor, last = anchor, last_inclusive = true,
        fields = FIELDS, kinds = KINDS, inside = of_tenant,
        fingerprint = cursor.fingerprint{'customer.segments', args.tenant, args.prefix or ''},
        descending = false,
    }
    if args.prefix ~= nil then
        cursor.narrow(scan, args.prefix)
    end
    local rows, next_page, previous_page = cursor.page(scan, args.cursor, args.limit)
    return {rows = rows, next = next_page or box.NULL, previous = previous_page or box.NULL}
end

return segments
