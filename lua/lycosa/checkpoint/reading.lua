-- Reading: a state with the values of its channels and the pending writes on top of it, and lists of states.

local cursor = require('lycosa.core.cursor')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.checkpoint.fields')
local threads = require('lycosa.checkpoint.threads')
local values = require('lycosa.checkpoint.values')

local reading = {}

local TENANT, GENERATION = fields.TENANT, fields.GENERATION
local NAMESPACE, ID, BLOBS, FACTS = fields.state.NAMESPACE, fields.state.ID, fields.state.BLOBS, fields.state.FACTS
local VALUE, METADATA = fields.state.VALUE, fields.state.METADATA
local W_NAMESPACE, W_ID = fields.write.NAMESPACE, fields.write.ID
local TASK, POSITION = fields.write.TASK, fields.write.POSITION

local AFTER = 1
-- Of one page of a list: bytes of states and metadata, and states looked at.
local LIST_BYTES, LOOKED_AT = 1000000, 1000

-- A state as it is told: without what only the store has need of.
local function head_of(thread, row)
    local head = {thread}
    for i = NAMESPACE, fields.state.METADATA_PARTS do
        head[i - 2] = row[i]
    end
    return head
end

local function find(tenant, generation, args)
    if args.id ~= nil then
        return box.space.checkpoint_state:get{tenant, generation, args.namespace, args.id}
    end
    return box.space.checkpoint_state.index.id:max{tenant, generation, args.namespace}
end

-- Values of channels from the `from`th on; the bytes so far, and the first that found no room.
local function read_blobs(row, from, found)
    local bytes, names, space = 0, row[BLOBS], box.space.checkpoint_blob
    for i = from, #names do
        if bytes >= values.MOST_BYTES then
            return bytes, i
        end
        local blob = space:get{row[TENANT], row[GENERATION], row[NAMESPACE], names[i]}
        if blob ~= nil then
            table.insert(found, blob)
            bytes = bytes + values.ROW_BYTES + #blob[fields.blob.VALUE]
        end
    end
    return bytes, nil
end

-- Pending writes after one, within what is left of the bytes; the last one read when there are more.
local function read_writes(row, after, bytes, found)
    local start = {row[TENANT], row[GENERATION], row[NAMESPACE], row[ID], after[1], after[2]}
    for _, write in box.space.checkpoint_write:pairs(start, {iterator = after[1] and 'GT' or 'GE'}) do
        local is_other = write[TENANT] ~= row[TENANT] or write[GENERATION] ~= row[GENERATION]
            or write[W_NAMESPACE] ~= row[NAMESPACE] or write[W_ID] ~= row[ID]
        if is_other then
            return nil
        elseif bytes >= values.MOST_BYTES then
            return found[#found] or after
        end
        table.insert(found, write)
        bytes = bytes + values.ROW_BYTES + #write[fields.write.VALUE]
    end
    return nil
end

-- Where a page begins: at which channel, and after which write. A state that went between two pages, or a new one of its
-- name, must not be taken for the rest of the first.
local function place_of(args, fingerprint, row)
    if args.cursor == nil then
        return 1, {}
    end
    local _, key = cursor.decode(args.cursor, fingerprint, {'number', 'string', 'number', 'number'})
    if row == nil or row[GENERATION] ~= key[4] then
        errors.raise('CHECKPOINT_CHANGED', {thread = args.thread})
    end
    return math.max(1, math.floor(key[1])), key[2] ~= '' and {key[2], key[3]} or {}
end

---A state, the latest of its namespace when no id is given, with values and pending writes: as many as four million bytes
---allow. A cursor leads to the rest, whose page has no head; CHECKPOINT_CHANGED is raised when the state went meanwhile.
---@param args {tenant: string, thread: string, namespace: string, id: string?, cursor: string?}
---@return {head: table?, blobs: box.tuple[], writes: box.tuple[], next: string?}
function reading.get(args)
    local answer = {head = box.NULL, blobs = {}, writes = {}, next = box.NULL}
    local thread = threads.find(args.tenant, args.thread)
    local row = thread and find(args.tenant, thread[fields.thread.GENERATION], args)
    local id = row and row[ID] or args.id or ''
    local fingerprint = cursor.fingerprint{'checkpoint.get', args.tenant, args.thread, args.namespace, id}
    local from, after = place_of(args, fingerprint, row)
    if row == nil then
        return answer
    elseif args.cursor == nil then
        answer.head = head_of(args.thread, row)
    end
    local generation = tonumber(row[GENERATION])
    local bytes, next_from = read_blobs(row, from, answer.blobs)
    if next_from ~= nil then
        answer.next = cursor.encode(fingerprint, AFTER, {next_from, '', 0, generation})
        return answer
    end
    local last = read_writes(row, after, bytes, answer.writes)
    if last ~= nil then
        local place = {#row[BLOBS] + 1, last[TASK] or '', last[POSITION] or 0, generation}
        answer.next = cursor.encode(fingerprint, AFTER, place)
    end
    return answer
end

-- What a listing walks, from the newest id down: a namespace of a thread, a thread, or all threads.
local function scan_of(args, generation, key)
    local tenant, states = args.tenant, box.space.checkpoint_state.index
    local function start(index, anchor, rest)
        local whole = {unpack(anchor)}
        for _, value in ipairs(key and rest or {args.before}) do
            table.insert(whole, value)
        end
        return {index = index, anchor = anchor, start = whole, iterator = #whole > #anchor and 'LT' or 'REQ'}
    end
    local id, namespace, of = unpack(key or {})
    if args.namespace ~= nil then
        return start(states.id, {tenant, generation, args.namespace}, {id})
    elseif args.thread ~= nil then
        return start(states.thread, {tenant, generation}, {id, namespace})
    end
    return start(states.all, {tenant}, {id, of, namespace})
end

local function is_inside(row, anchor)
    return row[TENANT] == anchor[1] and (anchor[2] == nil or row[GENERATION] == anchor[2])
        and (anchor[3] == nil or row[NAMESPACE] == anchor[3])
end

-- Whether the facts that are known of a state let it pass. One whose facts are not all known may pass.
local function may_match(row, filter)
    local facts = row[FACTS]
    if facts == nil then
        return true
    end
    for name, wanted in pairs(filter) do
        if facts[name] ~= wanted then
            return false
        end
    end
    return true
end

---A page of states, the newest first, of a namespace, a thread or all threads, without values and writes. It may be short
---of the limit, and even empty, while `next` leads on.
---@param args {tenant: string, thread: string?, namespace: string?, before: string?, filter: table<string, any>,
---     cursor: string?, limit: integer}
---@return {heads: table[], next: string?}
function reading.list(args)
    local thread = args.thread and threads.find(args.tenant, args.thread)
    if args.namespace ~= nil and args.thread == nil then
        errors.raise('INVALID_ARGUMENT', {argument = 'namespace', problem = 'has no meaning without thread'})
    elseif args.thread ~= nil and thread == nil then
        return {heads = {}, next = box.NULL}
    end
    local fingerprint = cursor.fingerprint{
        'checkpoint.list', args.tenant, args.thread or '', args.namespace or '', args.namespace == nil, args.before or '',
    }
    local key = args.cursor and select(2, cursor.decode(args.cursor, fingerprint, {'string', 'string', 'number'}))
    local scan = scan_of(args, thread and thread[fields.thread.GENERATION], key)
    local heads, looked_at, bytes, last = {}, 0, 0, nil
    for _, row in scan.index:pairs(scan.start, {iterator = scan.iterator}) do
        if not is_inside(row, scan.anchor) then
            break
        elseif #heads == args.limit or looked_at == LOOKED_AT or bytes >= LIST_BYTES then
            local place = {last[ID], last[NAMESPACE], tonumber(last[GENERATION])}
            return {heads = heads, next = cursor.encode(fingerprint, AFTER, place)}
        end
        looked_at, last = looked_at + 1, row
        local name = args.thread or threads.name_of(args.tenant, row[GENERATION])
        if name ~= nil and may_match(row, args.filter) then
            table.insert(heads, head_of(name, row))
            bytes = bytes + #row[VALUE] + #row[METADATA]
        end
    end
    return {heads = heads, next = box.NULL}
end

return reading
