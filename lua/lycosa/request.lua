-- Requests: what was asked, what was answered, from which sources, at what cost.
--
-- A request, its sources and the day's sums are written in one transaction and never changed afterwards. The caller's
-- id makes appending idempotent. Sums outlive the requests that retention removes.

local msgpack = require('msgpack')
local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local cursor = require('lycosa.core.cursor')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')

local request = {}

local msgpack_encode = msgpack.encode

-- Fields of `request`.
local TENANT, BUCKET, ID, CUSTOMER, KIND, STATUS, QUESTION, ANSWER, MODEL = 1, 2, 3, 4, 5, 6, 7, 8, 9
local COST, TOKENS_IN, TOKENS_OUT, CACHED, DURATION, CREATED, ERROR = 10, 11, 12, 13, 14, 15, 16
-- Fields of `request_source`.
local S_KIND, S_REF, S_TITLE, S_QUOTE = 5, 6, 7, 8
-- Fields of `request_total`.
local T_KIND, T_DAY, T_REQUESTS, T_CACHED, T_FAILED, T_COST, T_IN, T_OUT = 3, 4, 5, 6, 7, 8, 9, 10

local EVERY_KIND = ''
-- All fields but the answer stay below this.
local LARGE_ROW = 16384
local DAY_SECONDS = 86400
local MAX_DAYS = 366
-- After the year 9999: later than any request.
local END_OF_TIME = 1e12

-- Days that requests are kept; 0 keeps them for ever.
local retention_days = 0

---Set how long requests are kept.
---@param settings {retention_days: integer?} days, 0 (default) keeps for ever
function request.configure(settings)
    retention_days = settings.retention_days or 0
    daemon.wake('request.retain')
end

-- null and absent are one: nothing.
local function or_null(value)
    if value == nil then
        return box.NULL
    end
    return value
end

local function bytes_of(args)
    local bytes = 1024 + #args.question + (args.answer and #args.answer or 0)
    for _, source in ipairs(args.sources) do
        bytes = bytes + 256 + #source.ref + #source.title + #source.quote
    end
    return bytes
end

local COMPARED = {
    {'customer_id', CUSTOMER}, {'kind', KIND}, {'status', STATUS}, {'question', QUESTION}, {'answer', ANSWER},
    {'model', MODEL}, {'cost_microusd', COST}, {'tokens_in', TOKENS_IN}, {'tokens_out', TOKENS_OUT},
    {'cached', CACHED}, {'duration_ms', DURATION}, {'error', ERROR},
}

-- Whether the stored request is what is being appended. Time is the server's own and not compared.
local function is_same(stored, args)
    for _, pair in ipairs(COMPARED) do
        if stored[pair[2]] ~= args[pair[1]] then
            return false
        end
    end
    local sources = box.space.request_source.index.request:select({stored[TENANT], stored[ID]})
    if #sources ~= #args.sources then
        return false
    end
    for i, source in ipairs(args.sources) do
        local kept = sources[i]
        if kept[S_KIND] ~= source.kind or kept[S_REF] ~= source.ref or kept[S_TITLE] ~= source.title
            or kept[S_QUOTE] ~= source.quote then
            return false
        end
    end
    return true
end

local function add_to_total(row, kind)
    local totals, day = box.space.request_total, math.floor(row[CREATED] / DAY_SECONDS)
    local key = {row[TENANT], kind, day}
    local cached, failed = row[CACHED] and 1 or 0, row[STATUS] == 'failed' and 1 or 0
    local updated = totals:update(key, {
        {'+', T_REQUESTS, 1}, {'+', T_CACHED, cached}, {'+', T_FAILED, failed},
        {'+', T_COST, row[COST]}, {'+', T_IN, row[TOKENS_IN]}, {'+', T_OUT, row[TOKENS_OUT]},
    })
    if updated == nil then
        totals:insert{row[TENANT], row[BUCKET], kind, day, 1, cached, failed, row[COST], row[TOKENS_IN], row[TOKENS_OUT]}
    end
end

---Append a request with its answer, sources and sums. The same id with the same content writes nothing; with other
---content it raises REQUEST_EXISTS.
---@param args table see lycosa.api.request
---@return box.tuple the stored request
function request.append(args)
    local space, tenant = box.space.request, args.tenant
    local stored = space:get{tenant, args.id}
    if stored ~= nil then
        if is_same(stored, args) then
            return stored
        end
        errors.raise('REQUEST_EXISTS', {id = args.id})
    end
    memory.admit('request', 'request', bytes_of(args))
    local bucket_id = bucket.of(tenant)
    local row = space:insert{
        tenant, bucket_id, args.id, or_null(args.customer_id), args.kind, args.status, args.question,
        or_null(args.answer), or_null(args.model), args.cost_microusd, args.tokens_in, args.tokens_out, args.cached,
        args.duration_ms, clock.now(), or_null(args.error),
    }
    local sources = box.space.request_source
    for i, source in ipairs(args.sources) do
        sources:insert{tenant, bucket_id, args.id, i, source.kind, source.ref, source.title, source.quote}
    end
    add_to_total(row, EVERY_KIND)
    add_to_total(row, args.kind)
    metrics.count('request.appended')
    return row
end

---One request and its sources in their order. Raises REQUEST_NOT_FOUND.
---@param args {tenant: string, id: string}
---@return {request: box.tuple, sources: box.tuple[]}
function request.get(args)
    local row = box.space.request:get{args.tenant, args.id}
    if row == nil then
        errors.raise('REQUEST_NOT_FOUND', {id = args.id})
    end
    return {request = row, sources = box.space.request_source.index.request:select({args.tenant, args.id})}
end

-- Bytes of a row's answer. Those of a large row are told from the row's size: a thousand answers of 256 KiB would
-- fill the Lua heap if they were read only to be measured.
local function answer_bytes(row)
    local size = row:bsize()
    if size < LARGE_ROW then
        local answer = row[ANSWER]
        return answer == nil and 0 or #answer
    end
    local rest = msgpack_encode{
        row[TENANT], row[BUCKET], row[ID], row[CUSTOMER], row[KIND], row[STATUS], row[QUESTION], row[MODEL], row[COST],
        row[TOKENS_IN], row[TOKENS_OUT], row[CACHED], row[DURATION], row[CREATED], row[ERROR],
    }
    -- The array of 16 fields has a header of 3 bytes, that of the 15 others one of 1. A string of up to 65,535 bytes has
    -- a header of 3, a longer one of 5; shorter than 256 it cannot be in a row of this size.
    local packed = size - 3 - (#rest - 1)
    return packed <= 65535 + 3 and packed - 3 or packed - 5
end

-- A request without its answer, which may be 256 KiB: what a page shows. The order is that of RequestSummary.
local function summary(row)
    return {
        row[ID], row[CUSTOMER], row[KIND], row[STATUS], row[QUESTION], row[MODEL], row[COST], row[TOKENS_IN],
        row[TOKENS_OUT], row[CACHED], row[DURATION], row[CREATED], row[ERROR], answer_bytes(row),
    }
end

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
        index = box.space.request.index[lookup.index], anchor = anchor, first = first, last = last,
        last_inclusive = false, fields = {CREATED, ID}, kinds = {'number', 'string'}, inside = inside,
        tenant = args.tenant, field = lookup.field, value = args.value, from = from, till = till,
        descending = args.order == 'desc',
        fingerprint = cursor.fingerprint{'request', args.tenant, args.by, args.value or '', from, till, args.order},
    }
end

---A page of requests without their answers, in order of time.
---@param args {tenant: string, by: string, value: string?, from: number?, until: number?, order: string,
---     cursor: string?, limit: integer} from <= created_at < until
---@return {rows: table[], next: string?, previous: string?}
function request.list(args)
    local rows, next_text, previous_text = cursor.page(scan_of(args), args.cursor, args.limit)
    local summaries = {}
    for i = 1, #rows do
        summaries[i] = summary(rows[i])
    end
    return {rows = summaries, next = or_null(next_text), previous = or_null(previous_text)}
end

---Sums over days (unix time / 86,400), from_day <= day < until_day. Reads at most a row a day.
---@param args {tenant: string, from_day: integer, until_day: integer, kind: string?}
---@return {requests: integer, cached: integer, failed: integer, cost_microusd: integer, tokens_in: integer,
---     tokens_out: integer} exact; 64-bit
function request.totals(args)
    if args.until_day <= args.from_day then
        errors.raise('INVALID_ARGUMENT', {argument = 'until_day', problem = 'is not after from_day'})
    elseif args.until_day - args.from_day > MAX_DAYS then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'until_day', problem = ('is more than %d days after from_day'):format(MAX_DAYS),
        })
    end
    local kind = args.kind or EVERY_KIND
    local rows = box.space.request_total.index.day:select(
        {args.tenant, kind, args.from_day}, {iterator = 'GE', limit = args.until_day - args.from_day}
    )
    -- 64-bit integers: a double would round large sums.
    local sums = {0ULL, 0ULL, 0ULL, 0ULL, 0ULL, 0ULL}
    for _, row in ipairs(rows) do
        if row[TENANT] ~= args.tenant or row[T_KIND] ~= kind or row[T_DAY] >= args.until_day then
            break
        end
        for i = 1, 6 do
            sums[i] = sums[i] + row[T_REQUESTS + i - 1]
        end
    end
    return {
        requests = sums[1], cached = sums[2], failed = sums[3],
        cost_microusd = sums[4], tokens_in = sums[5], tokens_out = sums[6],
    }
end

-- Delete one request with its sources.
---@return integer rows deleted
local function remove(tenant, id)
    local sources = box.space.request_source
    local deleted = 1
    for _, source in ipairs(sources.index.request:select({tenant, id})) do
        sources:delete{tenant, id, source[4]}
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

request.steps = {{name = 'request.retain', run = retain, limit = 100}}

return request
