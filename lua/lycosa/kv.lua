-- Namespaced keys with values of bytes: what the surfaces keep, such as state of sessions and long-term memory of agents.
--
--     (none) --set, compare_and_set--> kept --set, touch--> kept --delete, clear, its time ends--> (none)
--
-- An expired entry is never served, swept or not. A version is never given twice, not even to a key that was deleted and
-- set again: whoever compares it with an old one fails.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local cursor = require('lycosa.core.cursor')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')

local kv = {}

-- Fields of `kv_entry`.
local TENANT, NAMESPACE, KEY, VALUE, VERSION, CREATED, UPDATED, EXPIRES, TTL = 1, 3, 4, 5, 6, 7, 8, 9, 10

-- What values of one set_many hold together.
local MANY_BYTES = 4000000
-- What an entry weighs besides its texts, indexes included.
local ENTRY_BYTES = 192
-- Of one page: entries looked at, expired ones included, and bytes of values; the first entry is given whatever its size.
local LOOKED_AT, PAGE_BYTES = 1000, 1000000
-- The first direction of a cursor: after its key.
local AFTER = 1
local KINDS = {'string', 'string'}

-- When the step will run next, as far as known: an entry that ends earlier wakes it.
local sweep_at = math.huge
-- The last version given.
local last_version = 0

local function is_live(row, now)
    return row[EXPIRES] == nil or row[EXPIRES] > now
end

local function find(tenant, namespace, key, now)
    local row = box.space.kv_entry:get{tenant, namespace, key}
    if row ~= nil and is_live(row, now) then
        return row
    end
    return nil
end

-- Microseconds, so that they go on rising after a restart; counted on where two fall on one, or the clock was put back.
local function next_version(before, now)
    last_version = math.max(last_version + 1, math.floor(now * 1e6), before and tonumber(before[VERSION]) + 1 or 0)
    return last_version
end

local function due(at)
    if at < sweep_at then
        sweep_at = at
        daemon.wake('kv.expire')
    end
end

local function put(tenant, namespace, item, now)
    local space = box.space.kv_entry
    local row = space:get{tenant, namespace, item.key}
    local before = row ~= nil and is_live(row, now) and row or nil
    local expires_at = item.ttl and now + item.ttl or box.NULL
    if item.ttl then
        due(expires_at)
    end
    local version = next_version(row, now)
    space:replace{
        tenant, bucket.of(tenant), namespace, item.key, item.value, version, before and before[CREATED] or now, now,
        expires_at, item.ttl or box.NULL,
    }
    return {version = version, expires_at = expires_at}
end

local function admit(namespace, items)
    local bytes = 0
    for _, item in ipairs(items) do
        bytes = bytes + ENTRY_BYTES + #namespace + #item.key + #item.value
    end
    memory.admit('kv_entry', 'document', bytes)
end

---The entry of a key, or nil when there is none or it has expired.
---@param args {tenant: string, namespace: string, key: string}
---@return box.tuple?
function kv.get(args)
    return find(args.tenant, args.namespace, args.key, clock.now())
end

---Entries in the order of their keys, with box.NULL for what is not there.
---@param args {tenant: string, namespace: string, keys: string[]}
---@return box.tuple[]
function kv.get_many(args)
    local found, now = {}, clock.now()
    for i, key in ipairs(args.keys) do
        found[i] = find(args.tenant, args.namespace, key, now) or box.NULL
    end
    return found
end

---Store a value under a key, for `ttl` seconds or for ever, in place of what was there. Raises MEMORY_FULL.
---@param args {tenant: string, namespace: string, key: string, value: string, ttl: number?}
---@return {version: integer, expires_at: number?}
function kv.set(args)
    admit(args.namespace, {args})
    return put(args.tenant, args.namespace, args, clock.now())
end

---Store up to a hundred values, all or none. Raises INVALID_ARGUMENT when they hold too much together, MEMORY_FULL.
---@param args {tenant: string, namespace: string, entries: table[]} each with key, value and ttl
---@return {version: integer, expires_at: number?}[] in the order of the entries
function kv.set_many(args)
    local bytes = 0
    for _, item in ipairs(args.entries) do
        bytes = bytes + #item.value
    end
    if bytes > MANY_BYTES then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'entries', problem = ('hold more than %d bytes of values together'):format(MANY_BYTES),
        })
    end
    admit(args.namespace, args.entries)
    local stored, now = {}, clock.now()
    for i, item in ipairs(args.entries) do
        stored[i] = put(args.tenant, args.namespace, item, now)
    end
    return stored
end

---Store a value if the entry has the version that the caller saw; 0 says that there must be none. Raises KV_CONFLICT,
---MEMORY_FULL.
---@param args {tenant: string, namespace: string, key: string, value: string, version: integer, ttl: number?}
---@return {version: integer, expires_at: number?}
function kv.compare_and_set(args)
    local now = clock.now()
    local before = find(args.tenant, args.namespace, args.key, now)
    local version = before and tonumber(before[VERSION]) or 0
    if version ~= args.version then
        errors.raise('KV_CONFLICT', {key = args.key, expected = args.version, found = version})
    end
    admit(args.namespace, {args})
    return put(args.tenant, args.namespace, args, now)
end

---Let entries begin their time anew. Keys that are not there, and those without a time, are left alone.
---@param args {tenant: string, namespace: string, keys: string[]}
---@return {touched: integer}
function kv.touch(args)
    local touched, now = 0, clock.now()
    for _, key in ipairs(args.keys) do
        local row = find(args.tenant, args.namespace, key, now)
        if row ~= nil and row[TTL] ~= nil then
            box.space.kv_entry:update({args.tenant, args.namespace, key}, {{'=', EXPIRES, now + row[TTL]}})
            touched = touched + 1
        end
    end
    return {touched = touched}
end

---Delete entries. Keys that are not there are no error.
---@param args {tenant: string, namespace: string, keys: string[]}
---@return {deleted: integer} without those that had expired
function kv.delete(args)
    local deleted, now = 0, clock.now()
    for _, key in ipairs(args.keys) do
        local row = box.space.kv_entry:delete{args.tenant, args.namespace, key}
        deleted = deleted + (row ~= nil and is_live(row, now) and 1 or 0)
    end
    return {deleted = deleted}
end

local function begins_with(text, prefix)
    return text:sub(1, #prefix) == prefix
end

-- Whether a row belongs to the range: of one namespace those of a prefix, or all of the namespaces that begin like one.
local function is_inside(row, args)
    if row[TENANT] ~= args.tenant then
        return false
    elseif args.nested then
        return begins_with(row[NAMESPACE], args.namespace)
    end
    return row[NAMESPACE] == args.namespace and begins_with(row[KEY], args.prefix)
end

local function check_range(args)
    if args.nested and args.prefix ~= '' then
        errors.raise('INVALID_ARGUMENT', {argument = 'prefix', problem = 'has no meaning with nested'})
    end
end

-- Where a walk begins, the first page or one that a cursor leads to.
local function start_of(args, fingerprint)
    if args.cursor == nil then
        return {args.tenant, args.namespace, args.prefix}, 'GE'
    end
    local _, key = cursor.decode(args.cursor, fingerprint, KINDS)
    return {args.tenant, key[1], key[2]}, 'GT'
end

-- A page of live entries in the order of namespace and key. `weigh` says what an entry adds to the page's bytes.
local function page(args, weigh)
    check_range(args)
    local fingerprint = cursor.fingerprint{'kv', args.tenant, args.namespace, args.prefix, args.nested}
    local start, iterator = start_of(args, fingerprint)
    local rows, now, looked_at, bytes, last = {}, clock.now(), 0, 0, nil
    for _, row in box.space.kv_entry:pairs(start, {iterator = iterator}) do
        if not is_inside(row, args) then
            return rows, nil
        elseif #rows == args.limit or looked_at == LOOKED_AT or bytes >= PAGE_BYTES then
            return rows, cursor.encode(fingerprint, AFTER, {last[NAMESPACE], last[KEY]})
        end
        looked_at, last = looked_at + 1, row
        if is_live(row, now) then
            table.insert(rows, row)
            bytes = bytes + weigh(row)
        end
    end
    return rows, nil
end

---A page of entries with their values: as many as the limit and a million bytes of values allow. It may be short of the
---limit, and even empty, while `next` leads on.
---@param args {tenant: string, namespace: string, prefix: string, nested: boolean, cursor: string?, limit: integer}
---@return {rows: box.tuple[], next: string?}
function kv.list(args)
    local rows, next_text = page(args, function(row)
        return #row[VALUE]
    end)
    return {rows = rows, next = next_text or box.NULL}
end

---A page of keys with what is known of their entries, without the values.
---@param args {tenant: string, namespace: string, prefix: string, nested: boolean, cursor: string?, limit: integer}
---@return {keys: table[], next: string?} as {namespace, key, bytes, version, created_at, updated_at, expires_at, ttl}
function kv.keys(args)
    local rows, next_text = page(args, function()
        return 0
    end)
    local keys = {}
    for i, row in ipairs(rows) do
        keys[i] = {
            row[NAMESPACE], row[KEY], #row[VALUE], row[VERSION], row[CREATED], row[UPDATED], row[EXPIRES], row[TTL],
        }
    end
    return {keys = keys, next = next_text or box.NULL}
end

-- Whether a namespace holds a live entry among its first ones, and how many of them were looked at.
local function is_used(tenant, namespace, now)
    local looked_at = 0
    for _, row in box.space.kv_entry:pairs({tenant, namespace}) do
        looked_at = looked_at + 1
        if is_live(row, now) then
            return true, looked_at
        elseif looked_at == LOOKED_AT then
            break
        end
    end
    return false, looked_at
end

---A page of the names of namespaces that begin like `prefix`, in their order, each found by one step in the index. One
---whose first thousand entries have all expired and are not swept yet is left out. A page ends after a thousand expired
---entries, too, so that it may be short while `next` leads on.
---@param args {tenant: string, prefix: string, cursor: string?, limit: integer}
---@return {namespaces: string[], next: string?}
function kv.namespaces(args)
    local fingerprint = cursor.fingerprint{'kv.namespaces', args.tenant, args.prefix}
    local index, now = box.space.kv_entry.index.key, clock.now()
    local start, iterator = {args.tenant, args.prefix}, 'GE'
    if args.cursor ~= nil then
        local _, key = cursor.decode(args.cursor, fingerprint, {'string'})
        start, iterator = {args.tenant, key[1]}, 'GT'
    end
    local names, name, all = {}, nil, 0
    for _ = 1, args.limit do
        local row = index:select(start, {iterator = iterator, limit = 1})[1]
        if row == nil or row[TENANT] ~= args.tenant or not begins_with(row[NAMESPACE], args.prefix) then
            return {namespaces = names, next = box.NULL}
        end
        name = row[NAMESPACE]
        local used, looked_at = true, 0
        if not is_live(row, now) then
            used, looked_at = is_used(args.tenant, name, now)
        end
        if used then
            table.insert(names, name)
        end
        start, iterator, all = {args.tenant, name}, 'GT', all + looked_at
        if all >= LOOKED_AT then
            break
        end
    end
    return {namespaces = names, next = cursor.encode(fingerprint, AFTER, {name})}
end

---Delete what a listing would show, at most `limit` entries, expired ones included.
---@param args {tenant: string, namespace: string, prefix: string, nested: boolean, limit: integer}
---@return {deleted: integer, more: boolean}
function kv.clear(args)
    check_range(args)
    local space, gone = box.space.kv_entry, {}
    local more = false
    for _, row in space:pairs({args.tenant, args.namespace, args.prefix}, {iterator = 'GE'}) do
        if not is_inside(row, args) then
            break
        elseif #gone == args.limit then
            more = true
            break
        end
        table.insert(gone, row)
    end
    for _, row in ipairs(gone) do
        space:delete{args.tenant, row[NAMESPACE], row[KEY]}
    end
    return {deleted = #gone, more = more}
end

-- The first entry to expire. Those that never do are before every time.
local function first_due(index)
    return index:select({0}, {iterator = 'GE', limit = 1})[1]
end

-- Delete at most `limit` expired entries, the longest expired first: one transaction.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function expire(limit)
    local space, now = box.space.kv_entry, clock.now()
    box.begin()
    for _, row in ipairs(space.index.expiry:select({0}, {iterator = 'GE', limit = limit})) do
        if row[EXPIRES] > now then
            break
        end
        space:delete{row[TENANT], row[NAMESPACE], row[KEY]}
    end
    box.commit()
    local first = first_due(space.index.expiry)
    sweep_at = first and first[EXPIRES] or math.huge
    return sweep_at <= now, sweep_at < math.huge and sweep_at or nil
end

kv.steps = {{name = 'kv.expire', run = expire, limit = 100}}

return kv
