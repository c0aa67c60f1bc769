-- Where entries stand: in the log and the snapshot, or, of volatile namespaces, in memory only.
--
-- A pool is a space of entries with a space of what each tenant's entries weigh, kept by write in the transaction
-- of the entries. An entry weighs its tuple's bytes and 24 bytes for its place in each index, once for every tag.

local ffi = require('ffi')
local msgpack = require('msgpack')
local borrowed = require('lycosa.core.borrowed')
local bucket = require('lycosa.core.bucket')
local fields = require('lycosa.cache.fields')
local order = require('lycosa.cache.order')
local write_only = require('lycosa.core.write_only')

local pool = {}

-- The server declares it for itself as well, under the same signature in all versions.
pcall(ffi.cdef, 'const char *box_tuple_field(const struct tuple *tuple, uint32_t number);')
pcall(ffi.cdef, 'size_t box_tuple_bsize(const struct tuple *tuple);')
pcall(ffi.cdef, 'int memcmp(const void *left, const void *right, size_t size);')
local BYTES = ffi.typeof('const uint8_t *')

local TENANT, KEY, SEQ, LABELS = fields.TENANT, fields.KEY, fields.SEQ, fields.LABELS
local T_ENTRIES, T_BYTES, T_NUMBER = fields.T_ENTRIES, fields.T_BYTES, fields.T_NUMBER

-- 16 bytes in a tree's block or in a hash, and the room they leave. The indexes of key, expiry and age hold every entry.
local PLACE = 24
local PLACES = 3 * PLACE
-- Rows fetched at once.
local SLICE = 1000

---@class lycosa.Pool
---@field entries fun(): table the space of entries
---@field totals fun(): table the space of weights
---@field hands table<string, number> where eviction goes on, by tenant

local durable = {
    hands = {},
    entries = function() return box.space.cache_entry end,
    totals = function() return box.space.cache_total end,
}
local volatile = {
    hands = {},
    entries = function() return box.space.cache_volatile end,
    totals = function() return box.space.cache_volatile_total end,
}

-- Pools in use, and the volatile namespaces.
local used, namespaces = {durable}, nil
local last_seq

---The pool of a key, by its namespace: what stands before the first colon.
---@param key string
---@return lycosa.Pool
function pool.of(key)
    if namespaces == nil then
        return durable
    end
    local colon = key:find(':', 1, true)
    return colon ~= nil and namespaces[key:sub(1, colon - 1)] and volatile or durable
end

---The pools that may hold keys of a prefix; all of them when there is none.
---@param prefix string?
---@return lycosa.Pool[]
function pool.all(prefix)
    if prefix ~= nil and prefix:find(':', 1, true) then
        return {pool.of(prefix)}
    end
    return used
end

-- Read where it lies: a list of up to fifteen is counted by its first byte.
local function count_labels(entry)
    local first = ffi.cast(BYTES, ffi.C.box_tuple_field(entry, LABELS - 1))[0]
    return first < 0xA0 and first - 0x90 or #entry[LABELS]
end

---What an entry weighs, in bytes.
---@param entry box.tuple
---@return integer
function pool.weight(entry)
    return tonumber(ffi.C.box_tuple_bsize(entry)) + PLACES + PLACE * count_labels(entry)
end

---At most what an entry that is not made yet will weigh.
---@param tenant string
---@param item {key: string, value: string, media_type: string, tags: string[]}
---@return integer
function pool.weight_of(tenant, item)
    local bytes = #tenant + #item.key + #item.value + #item.media_type + 91 + PLACES
    for _, tag in ipairs(item.tags) do
        bytes = bytes + #tag + 14 + PLACE
    end
    return bytes
end

---What all entries weigh, from counters that the engine keeps by write: equal to the sum of all weights.
---@return integer bytes
---@return integer entries
function pool.sum()
    local bytes, count = 0, 0
    for i = 1, #used do
        local space = used[i].entries()
        local entries = space:len()
        bytes = bytes + tonumber(space:bsize()) + PLACES * entries + PLACE * space.index.tag:len()
        count = count + entries
    end
    return bytes, count
end

---What a tenant's entries of all pools weigh.
---@param tenant string
---@return integer bytes
---@return integer entries
function pool.sum_of(tenant)
    local bytes, entries = 0, 0
    for i = 1, #used do
        local total = used[i].totals():get{tenant}
        if total ~= nil then
            bytes, entries = bytes + total[T_BYTES], entries + total[T_ENTRIES]
        end
    end
    return bytes, entries
end

---Whether a tenant has ever stored an entry.
---@param tenant string
---@return boolean
function pool.knows(tenant)
    for i = 1, #used do
        if used[i].totals():get{tenant} ~= nil then
            return true
        end
    end
    return false
end

---The number of a tenant in a pool, nil when it has never stored an entry there.
---@param of lycosa.Pool
---@param tenant string
---@return integer?
function pool.number_of(of, tenant)
    local total = borrowed.get(of.totals().index.tenant, {tenant})
    return total ~= nil and total[T_NUMBER] or nil
end

---The number of a tenant in a pool: the next one when it has none. Within a transaction.
---@param of lycosa.Pool
---@param tenant string
---@return integer
function pool.enter(of, tenant)
    local number = pool.number_of(of, tenant)
    if number == nil then
        local totals = of.totals()
        -- Totals are never deleted.
        number = totals:len() + 1
        write_only.insert(totals, {tenant, bucket.of(tenant), 0, 0, number})
    end
    return number
end

---Add to the weight of a tenant that has entered a pool. Differences may be negative; the sums never are.
---@param of lycosa.Pool
---@param tenant string
---@param entries integer
---@param bytes integer
function pool.add(of, tenant, entries, bytes)
    if entries ~= 0 or bytes ~= 0 then
        write_only.update(of.totals(), {tenant}, msgpack.encode{{'+', T_ENTRIES, entries}, {'+', T_BYTES, bytes}})
    end
end

---Delete entries that stand in a pool, each once, and their weight from the totals. Within a transaction.
---@param of lycosa.Pool
---@param rows box.tuple[] may be borrowed: they are not read again
---@return table<string, integer> gone how many, by tenant
function pool.remove(of, rows)
    local space, counts, bytes = of.entries(), {}, {}
    for i = 1, #rows do
        local row = rows[i]
        local tenant = row[TENANT]
        counts[tenant] = (counts[tenant] or 0) + 1
        bytes[tenant] = (bytes[tenant] or 0) + pool.weight(row)
        -- Last: a borrowed row is not to be read once it is deleted.
        write_only.delete(space, row)
    end
    for tenant, count in pairs(counts) do
        pool.add(of, tenant, -count, -bytes[tenant])
    end
    return counts
end

---The pool and the tenant whose entries weigh most.
---@return lycosa.Pool? none when no pool holds anything
---@return string tenant
---@return integer bytes
function pool.largest()
    local found, tenant, most = nil, '', 0
    for i = 1, #used do
        local total = used[i].totals().index.bytes:max()
        if total ~= nil and total[T_BYTES] > most then
            found, tenant, most = used[i], total[TENANT], total[T_BYTES]
        end
    end
    return found, tenant, most
end

---The pool in which a tenant's entries weigh most, nil when it has none.
---@param tenant string
---@return lycosa.Pool?
function pool.larger_of(tenant)
    local found, most = nil, 0
    for i = 1, #used do
        local total = used[i].totals():get{tenant}
        if total ~= nil and total[T_BYTES] > most then
            found, most = used[i], total[T_BYTES]
        end
    end
    return found
end

local function newest_seq()
    local newest = 0
    for _, one in ipairs(used) do
        local age = one.entries().index.age
        for _, total in one.totals():pairs() do
            local last = borrowed.select(age, {order.age(total[T_NUMBER] + 1, 0)}, box.index.LT, 1)[1]
            newest = math.max(newest, last ~= nil and last[SEQ] or 0)
        end
    end
    return newest
end

---The number of the next entry: a later entry has a higher one.
---@return integer
function pool.next_seq()
    last_seq = (last_seq or newest_seq()) + 1
    return last_seq
end

-- Whether an entry's key begins so. Read where it lies: a string of each would be hashed and collected.
local function begins(entry, prefix)
    local text = ffi.cast(BYTES, ffi.C.box_tuple_field(entry, KEY - 1))
    -- MessagePack's head of a text: its length in five bits, in a byte, or in two.
    local head, length = 1, text[0] - 0xA0
    if text[0] == 0xD9 then
        head, length = 2, text[1]
    elseif text[0] == 0xDA then
        head, length = 3, text[1] * 256 + text[2]
    end
    return length >= #prefix and ffi.C.memcmp(text + head, prefix, #prefix) == 0
end

---A tenant's entries whose keys begin alike, in the order of their age. Rows are borrowed.
---@param of lycosa.Pool
---@param tenant string
---@param prefix string
---@param hand integer the number of the first entry to look at
---@param most integer how many to look at
---@param wanted integer how many to find
---@return box.tuple[] rows
---@return integer? hand where to go on, nil at the end
function pool.alike(of, tenant, prefix, hand, most, wanted)
    local number, found, looked = pool.number_of(of, tenant), {}, 0
    if number == nil then
        return found, nil
    end
    while looked < most do
        local rows = borrowed.select(of.entries().index.age, {order.age(number, hand)}, box.index.GE, SLICE)
        for i = 1, #rows do
            local row = rows[i]
            if row[TENANT] ~= tenant then
                return found, nil
            elseif begins(row, prefix) then
                if #found == wanted then
                    return found, row[SEQ]
                end
                table.insert(found, row)
            end
        end
        if #rows < SLICE then
            return found, nil
        end
        hand = rows[SLICE][SEQ] + 1
        looked = looked + SLICE
    end
    return found, hand
end

-- A namespace that has become volatile leaves nothing behind that could come back once it is durable again.
local function forget(prefix)
    for _, total in durable.totals():pairs() do
        local tenant, hand = total[TENANT], 0
        while hand ~= nil do
            box.begin()
            local rows
            rows, hand = pool.alike(durable, tenant, prefix, hand, SLICE, SLICE)
            pool.remove(durable, rows)
            box.commit()
        end
    end
end

---Take the settings: which namespaces are volatile. Reads the newest number of an entry, so that numbers go on.
---@param volatile_namespaces string[]
function pool.configure(volatile_namespaces)
    used, namespaces, last_seq = {durable}, nil, nil
    if #volatile_namespaces == 0 then
        return
    end
    used, namespaces = {durable, volatile}, {}
    for _, name in ipairs(volatile_namespaces) do
        namespaces[name] = true
        if not box.info.ro then
            forget(name .. ':')
        end
    end
end

return pool
