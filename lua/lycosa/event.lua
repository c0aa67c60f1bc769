-- Events of what is being done, kept for some minutes: whoever lost the stream reads on from any process.
--
--     (none) --append--> open --append--> open --append, ended--> ended        each --its time ends--> (none)
--
-- Numbers begin at 1 and have no gaps: an append that does not follow the last event changes nothing. A stream belongs
-- to its writer. An open one whose writer has not been seen for a while was left behind by a process that died.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')

local event = {}

-- Fields of `event_stream`.
local TENANT, STREAM, WRITER, LAST, BYTES, ENDED, SEEN, ENDS = 1, 3, 4, 5, 6, 7, 8, 9
-- Fields of `event`.
local B_LAST, B_BYTES, B_EVENTS = 4, 5, 6

---Bytes that one stream may hold.
event.MOST_BYTES = 4 * 1048576
-- Of one call: a batch is one row, and a row has at most 2 MiB.
local MOST_BATCH_BYTES = 1500000
-- Of one read; the first batch is read whatever its size.
local READ_BYTES = 262144
-- What an event costs besides its text.
local EVENT_BYTES = 32

local function stream_of(args)
    return box.space.event_stream:get{args.tenant, args.stream}
end

local function bytes_of(events)
    local bytes = 0
    for _, one in ipairs(events) do
        bytes = bytes + EVENT_BYTES + #one.kind + #one.data
    end
    return bytes
end

-- What the stream is before this call. A repeated call finds its own events there.
local function open(args, now)
    local row = stream_of(args)
    if row == nil then
        row = box.space.event_stream:insert{
            args.tenant, bucket.of(args.tenant), args.stream, args.writer, 0, 0, false, now, now + args.keep,
        }
        daemon.wake('event.expire')
    end
    local is_repeated = (#args.events > 0 or args.ended) and row[LAST] == args.first + #args.events - 1
        and row[ENDED] == args.ended
    local follows = not row[ENDED] and row[LAST] == args.first - 1
    if row[WRITER] ~= args.writer or not (follows or is_repeated) then
        errors.raise('EVENT_OUT_OF_ORDER', {stream = args.stream, first = args.first, last = row[LAST]})
    end
    return row, not follows
end

---Append events to a stream, beginning it with the first call; without events, say that the writer is still there.
---Raises EVENT_OUT_OF_ORDER when they do not follow the last one, the stream has ended or is another writer's,
---EVENT_STREAM_FULL, MEMORY_FULL.
---@param args {tenant: string, stream: string, writer: string, first: integer, events: {kind: string, data: string}[],
---     ended: boolean, keep: number}
---@return {last: integer} number of the last event
function event.append(args)
    local now, bytes = clock.now(), bytes_of(args.events)
    if bytes > MOST_BATCH_BYTES then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'events', problem = ('hold %d bytes, at most %d are taken in one call'):format(bytes, MOST_BATCH_BYTES),
        })
    end
    local row, is_repeated = open(args, now)
    if is_repeated then
        return {last = row[LAST]}
    elseif row[BYTES] + bytes > event.MOST_BYTES then
        errors.raise('EVENT_STREAM_FULL', {stream = args.stream, bytes = row[BYTES], limit = event.MOST_BYTES})
    end
    memory.admit('event', 'cache', 512 + bytes)
    local last = row[LAST] + #args.events
    if #args.events > 0 then
        local packed = {}
        for i, one in ipairs(args.events) do
            packed[i] = {one.kind, one.data}
        end
        box.space.event:insert{args.tenant, bucket.of(args.tenant), args.stream, last, bytes, packed}
        metrics.count('event.appended', #args.events)
    end
    box.space.event_stream:update({args.tenant, args.stream}, {
        {'=', LAST, last}, {'+', BYTES, bytes}, {'=', ENDED, args.ended}, {'=', SEEN, now}, {'=', ENDS, now + args.keep},
    })
    return {last = last}
end

---The events of a stream after a number, in order. Raises EVENT_STREAM_NOT_FOUND for one that never began or expired.
---@param args {tenant: string, stream: string, after: integer, limit: integer}
---@return {events: table[], last: integer, ended: boolean, silent: number} `events` as {number, kind, data}, at least
---     one when there is any; `silent` seconds since the writer was seen
function event.read(args)
    local row, now = stream_of(args), clock.now()
    if row == nil or row[ENDS] <= now then
        errors.raise('EVENT_STREAM_NOT_FOUND', {stream = args.stream})
    end
    local found, bytes = {}, 0
    local from = {args.tenant, args.stream, args.after + 1}
    for _, batch in box.space.event.index.stream:pairs(from, {iterator = 'GE'}) do
        local is_other = batch[TENANT] ~= args.tenant or batch[STREAM] ~= args.stream
        if is_other or #found >= args.limit or bytes >= READ_BYTES then
            break
        end
        bytes = bytes + batch[B_BYTES]
        local events = batch[B_EVENTS]
        local before = batch[B_LAST] - #events
        for i = math.max(1, args.after + 1 - before), #events do
            if #found < args.limit then
                table.insert(found, {before + i, events[i][1], events[i][2]})
            end
        end
    end
    return {events = found, last = row[LAST], ended = row[ENDED], silent = math.max(0, now - row[SEEN])}
end

-- Delete at most `limit` batches of streams that have expired, and the streams that have none left: one transaction.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function expire(limit)
    local streams, now, left = box.space.event_stream.index['end'], clock.now(), limit
    box.begin()
    for _, row in ipairs(streams:select({}, {limit = limit})) do
        if row[ENDS] > now or left == 0 then
            break
        end
        local batches = box.space.event.index.stream:select({row[TENANT], row[STREAM]}, {limit = left})
        for _, batch in ipairs(batches) do
            box.space.event:delete{row[TENANT], row[STREAM], batch[B_LAST]}
        end
        left = left - #batches
        if left > 0 then
            left = left - 1
            box.space.event_stream:delete{row[TENANT], row[STREAM]}
        end
    end
    box.commit()
    local first = streams:min()
    return first ~= nil and first[ENDS] <= now, first and first[ENDS] or nil
end

event.steps = {{name = 'event.expire', run = expire, limit = 100}}

return event
