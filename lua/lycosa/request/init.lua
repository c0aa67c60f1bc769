-- Requests: what was asked, what was answered, from which sources, at what cost.
--
-- A request, its sources and the day's sums are written in one transaction and never changed afterwards. The caller's
-- id makes appending idempotent. Sums outlive the requests that retention removes.

local msgpack = require('msgpack')
local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local cold = require('lycosa.request.cold')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.request.fields')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')
local pages = require('lycosa.request.pages')
local retention = require('lycosa.request.retention')
local write_only = require('lycosa.core.write_only')

local request = {}

local TENANT, CUSTOMER, KIND, STATUS = fields.TENANT, fields.CUSTOMER, fields.KIND, fields.STATUS
local QUESTION, ANSWER, MODEL, COST = fields.QUESTION, fields.ANSWER, fields.MODEL, fields.COST
local TOKENS_IN, TOKENS_OUT, CACHED = fields.TOKENS_IN, fields.TOKENS_OUT, fields.CACHED
local DURATION, ERROR = fields.DURATION, fields.ERROR
local S_KIND, S_REF, S_TITLE, S_QUOTE = fields.source.KIND, fields.source.REF, fields.source.TITLE, fields.source.QUOTE
-- Fields of `request_total`.
local T_KIND, T_DAY, T_REQUESTS, T_CACHED, T_FAILED, T_COST, T_IN, T_OUT = 3, 4, 5, 6, 7, 8, 9, 10

local ONE_REQUEST, ONE_CACHED, ONE_FAILED = {'+', T_REQUESTS, 1}, {'+', T_CACHED, 1}, {'+', T_FAILED, 1}
-- What a request that was served from the cache mostly adds: itself.
local ONLY_CACHED = msgpack.encode{ONE_REQUEST, ONE_CACHED}
local SUMMED = {{T_COST, 'cost_microusd'}, {T_IN, 'tokens_in'}, {T_OUT, 'tokens_out'}}

local EVERY_KIND = ''
local NOTHING = {}
local DAY_SECONDS = 86400
local MAX_DAYS = 366

---Set how long requests are kept, and after how many days they move to disk.
---@param settings {retention_days: integer?, request_cold_days: integer?} 0 (default): for ever, and never
function request.configure(settings)
    retention.configure(settings)
    cold.configure(settings)
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
    for i = 1, #args.sources do
        local source = args.sources[i]
        bytes = bytes + 256 + #source.ref + #source.title + #source.quote
    end
    return bytes
end

local COMPARED = {
    {'customer_id', CUSTOMER}, {'kind', KIND}, {'status', STATUS}, {'question', QUESTION}, {'answer', ANSWER},
    {'model', MODEL}, {'cost_microusd', COST}, {'tokens_in', TOKENS_IN}, {'tokens_out', TOKENS_OUT},
    {'cached', CACHED}, {'duration_ms', DURATION}, {'error', ERROR},
}

local function sources_of(tenant, id)
    return box.space.request_source.index.request:select({tenant, id})
end

-- Whether the stored request is what is being appended. Time is the server's own and not compared.
local function is_same(stored, sources, args)
    for _, pair in ipairs(COMPARED) do
        if stored[pair[2]] ~= args[pair[1]] then
            return false
        end
    end
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

-- What a request adds to a row of sums, packed. Only what changes: each operation of an update costs.
local function additions(args)
    if args.cached and args.status ~= 'failed' and args.cost_microusd + args.tokens_in + args.tokens_out == 0 then
        return ONLY_CACHED
    end
    local found = {ONE_REQUEST}
    if args.cached then
        table.insert(found, ONE_CACHED)
    end
    if args.status == 'failed' then
        table.insert(found, ONE_FAILED)
    end
    for i = 1, #SUMMED do
        local amount = args[SUMMED[i][2]]
        if amount > 0 then
            table.insert(found, {'+', SUMMED[i][1], amount})
        end
    end
    return msgpack.encode(found)
end

local function add_to_total(args, bucket_id, kind, day, added)
    local totals = box.space.request_total
    if not write_only.update(totals, {args.tenant, kind, day}, added) then
        write_only.insert(totals, {
            args.tenant, bucket_id, kind, day, 1, args.cached and 1 or 0, args.status == 'failed' and 1 or 0,
            args.cost_microusd, args.tokens_in, args.tokens_out,
        })
    end
end

---What is on disk under the id of a request to be appended. Runs before the transaction, for it waits for the disk.
---@param args table see lycosa.api.request
---@return {row: box.tuple?, sources: any[][]?} empty when nothing is, or when the request is in memory
function request.look_up(args)
    -- Of most tenants nothing ever moved, which is the cheapest to know.
    if cold.newest(args.tenant) == nil or box.space.request:get{args.tenant, args.id} ~= nil then
        return NOTHING
    end
    local row, sources = cold.find(args.tenant, args.id)
    return {row = row, sources = sources}
end

-- The request of the same id, wherever it is, and its sources.
local function find_stored(args, on_disk)
    local row = box.space.request:get{args.tenant, args.id}
    if row ~= nil then
        return row, sources_of(args.tenant, args.id)
    end
    on_disk = on_disk or request.look_up(args)
    return on_disk.row, on_disk.sources
end

---Record a request with its answer, sources and sums. The same id with the same content writes nothing; with other
---content it raises REQUEST_EXISTS.
---@param args table see lycosa.api.request
---@param on_disk {row: box.tuple?, sources: any[][]?}? what request.look_up gave; without it, within a transaction of the
---caller, REQUEST_ON_DISK is raised when the id may be that of a request on disk
---@return box.tuple? stored the request when it was recorded before
function request.record(args, on_disk)
    local tenant = args.tenant
    local stored, kept = find_stored(args, on_disk)
    if stored ~= nil then
        if is_same(stored, kept, args) then
            return stored
        end
        errors.raise('REQUEST_EXISTS', {id = args.id})
    end
    memory.admit('request', 'request', bytes_of(args))
    local bucket_id, now = bucket.of(tenant), clock.now()
    write_only.insert(box.space.request, {
        tenant, bucket_id, args.id, or_null(args.customer_id), args.kind, args.status, args.question,
        or_null(args.answer), or_null(args.model), args.cost_microusd, args.tokens_in, args.tokens_out, args.cached,
        args.duration_ms, now, or_null(args.error),
    })
    local sources = box.space.request_source
    for i = 1, #args.sources do
        local source = args.sources[i]
        write_only.insert(sources, {tenant, bucket_id, args.id, i, source.kind, source.ref, source.title, source.quote})
    end
    local day, added = math.floor(now / DAY_SECONDS), additions(args)
    add_to_total(args, bucket_id, EVERY_KIND, day, added)
    add_to_total(args, bucket_id, args.kind, day, added)
    metrics.count('request.appended')
    return nil
end

---Append a request as `record` does.
---@param args table see lycosa.api.request
---@param on_disk table? what request.look_up gave
---@return box.tuple the stored request
function request.append(args, on_disk)
    return request.record(args, on_disk) or box.space.request:get{args.tenant, args.id}
end

---One request and its sources in their order. Waits for the disk when it is not in memory. Raises REQUEST_NOT_FOUND.
---@param args {tenant: string, id: string}
---@return {request: box.tuple, sources: box.tuple[]}
function request.get(args)
    local row = box.space.request:get{args.tenant, args.id}
    if row ~= nil then
        return {request = row, sources = sources_of(args.tenant, args.id)}
    end
    local sources
    row, sources = cold.find(args.tenant, args.id)
    if row == nil then
        errors.raise('REQUEST_NOT_FOUND', {id = args.id})
    end
    return {request = row, sources = sources}
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

request.list = pages.list

request.steps = {retention.step, unpack(cold.steps)}

return request
