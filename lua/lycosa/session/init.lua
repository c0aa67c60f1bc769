-- Chat histories: sessions, and their messages in strict order.
--
--     (none) --create, append--> live --append, update--> live --delete, idle for its time--> (none)

local clock = require('lycosa.core.clock')
local append = require('lycosa.session.append')
local cursor = require('lycosa.core.cursor')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.session.fields')
local memory = require('lycosa.core.memory')
local rows = require('lycosa.session.rows')

local session = {}

local S, M, G = fields.S, fields.M, fields.G

-- Of one read; the newest message is read whatever its size.
local READ_BYTES = 1000000

session.append = append.run

-- Whether a stored map of scalars is the given one, which may be absent.
local function is_same(stored, given)
    given = given or {}
    for name, value in pairs(given) do
        if stored[name] ~= value then
            return false
        end
    end
    for name in pairs(stored) do
        if given[name] == nil then
            return false
        end
    end
    return true
end

---Begin a session. Repeated while it has no messages it gives the same; else SESSION_EXISTS is raised.
---@param args {tenant: string, id: string, current_agent: string?, metadata: table?, idle: number}
---@return box.tuple
function session.create(args)
    local row = rows.find(args.tenant, args.id)
    if row == nil then
        memory.admit('session', 'session')
        return rows.begin(args.tenant, args.id, args)
    elseif row[S.MESSAGES] > 0 or row[S.AGENT] ~= args.current_agent or row[S.IDLE] ~= args.idle
        or not is_same(row[S.METADATA], args.metadata) then
        errors.raise('SESSION_EXISTS', {id = args.id})
    end
    return row
end

---A session without its messages. Raises SESSION_NOT_FOUND.
---@param args {tenant: string, id: string}
---@return box.tuple
function session.get(args)
    return rows.get(args.tenant, args.id)
end

---Change what is given and leave the rest; it counts as activity. Raises SESSION_NOT_FOUND.
---@param args {tenant: string, id: string, current_agent: string?, metadata: table?, idle: number?}
---@return box.tuple
function session.update(args)
    local row, now = rows.get(args.tenant, args.id), clock.now()
    local idle = args.idle or row[S.IDLE]
    local changes = {{'=', S.ACTIVE, now}, {'=', S.IDLE, idle}, {'=', S.ENDS, rows.ends(now, idle)}}
    if args.current_agent ~= nil then
        table.insert(changes, {'=', S.AGENT, args.current_agent == '' and box.NULL or args.current_agent})
    end
    if args.metadata ~= nil then
        table.insert(changes, {'=', S.METADATA, args.metadata})
    end
    memory.admit('session', 'session')
    return box.space.session:update({args.tenant, args.id}, changes)
end

---Delete a session; it is gone at once.
---@param args {tenant: string, id: string}
---@return {deleted: boolean} whether there was one
function session.delete(args)
    local row = rows.find(args.tenant, args.id)
    if row ~= nil then
        rows.retire(row)
    end
    return {deleted = row ~= nil}
end

-- How many messages from `first` on, in the order of reading, fit the bounds.
local function count_fitting(found, limit, tokens)
    local bytes, left = 0, tokens or math.huge
    for i, message in ipairs(found) do
        left = left - message[M.TOKENS]
        if i > limit or left < 0 or (i > 1 and bytes + message:bsize() > READ_BYTES) then
            return i - 1
        end
        bytes = bytes + message:bsize()
    end
    return #found
end

-- At most `limit` + 1 messages beyond `from`. Their bytes are bounded afterwards: a row costs nothing until it is sent.
local function read(row, from, iterator, limit)
    local key = {row[S.TENANT], row[S.ID], row[S.GENERATION], from}
    local found = {}
    for _, message in box.space.session_message.index.number:pairs(key, {iterator = iterator}) do
        local is_other = message[M.SESSION] ~= row[S.ID] or message[M.GENERATION] ~= row[S.GENERATION]
            or message[M.TENANT] ~= row[S.TENANT]
        if is_other or #found > limit then
            break
        end
        table.insert(found, message)
    end
    return found
end

---A session and some of its messages, always in their order: with `after` those that follow that number, else the last
---ones before `before` (or the end), as many as `limit`, `tokens` and a megabyte allow. Raises SESSION_NOT_FOUND.
---@param args {tenant: string, id: string, after: integer?, before: integer?, limit: integer, tokens: integer?}
---@return {session: box.tuple, messages: box.tuple[], more: boolean} `more` whether others lie beyond, in the direction read
function session.history(args)
    if args.after ~= nil and args.before ~= nil then
        errors.raise('INVALID_ARGUMENT', {argument = 'before', problem = 'stands beside after'})
    end
    local row = rows.get(args.tenant, args.id)
    local forwards = args.after ~= nil
    local from = args.after or args.before or row[S.MESSAGES] + 1
    local found = read(row, from, forwards and 'GT' or 'LT', args.limit)
    local count, messages = count_fitting(found, args.limit, args.tokens), {}
    for i = 1, count do
        messages[i] = found[forwards and i or count + 1 - i]
    end
    return {session = row, messages = messages, more = count < #found}
end

local function inside(tuple, scan)
    return tuple[S.TENANT] == scan.anchor[1]
end

---A page of sessions, the one last active first.
---@param args {tenant: string, cursor: string?, limit: integer}
---@param packs boolean? whether the rows are packed at once: then they are borrowed
---@return {rows: box.tuple[], next: string?, previous: string?}
function session.list(args, packs)
    local anchor = {args.tenant}
    local found, next_text, previous_text = cursor.page({
        index = box.space.session.index.active, anchor = anchor, first = anchor, last = anchor, last_inclusive = true,
        fields = {S.ACTIVE, S.ID}, kinds = {'number', 'string'}, inside = inside, descending = true,
        borrows = packs,
        fingerprint = cursor.fingerprint{'session', args.tenant},
    }, args.cursor, args.limit)
    -- Those that have ended and still wait for the step.
    local live, now = {}, clock.now()
    for _, row in ipairs(found) do
        if row[S.ENDS] > now then
            table.insert(live, row)
        end
    end
    return {rows = live, next = next_text or box.NULL, previous = previous_text or box.NULL}
end

-- Delete at most `limit` messages of what is gone. Returns what is left of the limit.
local function sweep(limit)
    local gone = box.space.session_gone
    for _, row in ipairs(gone:select({}, {limit = limit})) do
        local key = {row[G.TENANT], row[G.SESSION], row[G.GENERATION]}
        local messages = box.space.session_message.index.number:select(key, {limit = limit})
        for _, message in ipairs(messages) do
            box.space.session_message:delete{key[1], key[2], key[3], message[M.NUMBER]}
        end
        limit = limit - #messages
        if limit <= 0 then
            return 0
        end
        gone:delete(key)
        limit = limit - 1
    end
    return limit
end

-- Retire at most `limit` sessions that have ended and delete as many messages of those retired: one transaction.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function expire(limit)
    local ends, now = box.space.session.index['end'], clock.now()
    box.begin()
    for _, row in ipairs(ends:select({}, {limit = limit})) do
        if row[S.ENDS] > now then
            break
        end
        rows.retire(row)
    end
    local left = sweep(limit)
    box.commit()
    local first = ends:min()
    return left <= 0 or first ~= nil and first[S.ENDS] <= now, first and first[S.ENDS] or nil
end

session.steps = {{name = 'session.expire', run = expire, limit = 500}}

return session
