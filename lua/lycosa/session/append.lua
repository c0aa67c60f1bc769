-- Appending messages: any number of sessions of a tenant in one transaction.
--
-- Numbers begin at 1 and have no gaps. A message is known by its id: what is there already is not written again, so a
-- caller whose answer was lost repeats the whole call. What is wrong with one batch stops no other.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.session.fields')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')
local rows = require('lycosa.session.rows')

local append = {}

local S, M = fields.S, fields.M

-- Of one call.
local MOST_MESSAGES, MOST_CALL_BYTES = 1000, 4000000
---What one session holds.
append.MOST_MESSAGES = 100000
append.MOST_BYTES = 64 * 1048576
-- What a message costs besides its texts, in its row and two indexes.
local ROW_BYTES = 256
-- English takes about four bytes a token, Russian two letters of two bytes.
local BYTES_A_TOKEN = 4

local EMPTY = setmetatable({}, {__serialize = 'map'})

local function bytes_of(message)
    local bytes = ROW_BYTES + #message.content + #(message.body or '')
    for name, value in pairs(message.extra or EMPTY) do
        bytes = bytes + #name + #tostring(value)
    end
    return bytes
end

local function check_size(batches)
    local count, bytes = 0, 0
    for _, batch in ipairs(batches) do
        count = count + #batch.messages
        for _, message in ipairs(batch.messages) do
            bytes = bytes + bytes_of(message)
        end
    end
    if count > MOST_MESSAGES then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'batches', problem = ('hold %d messages, at most %d are taken in one call'):format(count, MOST_MESSAGES),
        })
    elseif bytes > MOST_CALL_BYTES then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'batches', problem = ('hold %d bytes, at most %d are taken in one call'):format(bytes, MOST_CALL_BYTES),
        })
    end
    return bytes
end

-- The messages of a batch that are not there yet, and what they come to; or the problem with it.
local function sift(tenant, row, messages)
    local fresh, seen, bytes = {}, {}, 0
    local known = row ~= nil and row[S.MESSAGES] > 0 and box.space.session_message.index.id or nil
    for _, message in ipairs(messages) do
        local id = message.id
        local stored = known and known:get{tenant, row[S.ID], row[S.GENERATION], id}
        local same = seen[id]
        if stored ~= nil then
            same = {role = stored[M.ROLE], content = stored[M.CONTENT]}
        end
        if same == nil then
            seen[id] = message
            table.insert(fresh, message)
            bytes = bytes + bytes_of(message)
        elseif same.role ~= message.role or same.content ~= message.content then
            return nil, nil, 'SESSION_MESSAGE_EXISTS', ('message %s was appended before with other content'):format(id)
        end
    end
    local count = (row and row[S.MESSAGES] or 0) + #fresh
    if count > append.MOST_MESSAGES or (row and row[S.BYTES] or 0) + bytes > append.MOST_BYTES then
        return nil, nil, 'SESSION_FULL', ('the session would hold more than %d messages or %d bytes'):format(
            append.MOST_MESSAGES, append.MOST_BYTES
        )
    end
    return fresh, bytes
end

local function write(tenant, row, fresh, bytes)
    local space, now, tokens = box.space.session_message, clock.now(), 0
    local bucket_id, id, generation, number = bucket.of(tenant), row[S.ID], row[S.GENERATION], row[S.MESSAGES]
    for i, message in ipairs(fresh) do
        local counted = message.tokens or math.ceil((#message.content + #(message.body or '')) / BYTES_A_TOKEN)
        tokens = tokens + counted
        space:insert{
            tenant, bucket_id, id, generation, number + i, message.id, message.role, message.content,
            message.body == nil and box.NULL or message.body, counted, message.created_at or now, message.extra or EMPTY,
        }
    end
    return box.space.session:update({tenant, id}, {
        {'=', S.ACTIVE, now}, {'=', S.ENDS, rows.ends(now, row[S.IDLE])}, {'+', S.MESSAGES, #fresh},
        {'+', S.BYTES, bytes}, {'+', S.TOKENS, tokens},
    })
end

local function append_batch(tenant, batch)
    local row = rows.find(tenant, batch.session)
    local fresh, bytes, code, problem = sift(tenant, row, batch.messages)
    if fresh == nil then
        return {batch.session, row and row[S.MESSAGES] or 0, 0, 0, code, problem}
    end
    row = row or rows.begin(tenant, batch.session, {})
    if #fresh > 0 then
        row = write(tenant, row, fresh, bytes)
        metrics.count('session.appended', #fresh)
    end
    return {batch.session, row[S.MESSAGES], #fresh, #batch.messages - #fresh, box.NULL, box.NULL}
end

---Append messages to sessions, beginning those that do not exist, with an outcome for every batch in order.
---@param args {tenant: string, batches: {session: string, messages: table[]}[]} at most 1,000 messages and 4,000,000 bytes
---@return table[] outcomes {session, last, appended, repeated, code?, problem?}
function append.run(args)
    memory.admit('session', 'session', check_size(args.batches))
    local outcomes = {}
    for i, batch in ipairs(args.batches) do
        outcomes[i] = append_batch(args.tenant, batch)
    end
    return outcomes
end

return append
