-- Entries one by one and in batches: get, set, take, delete.

local new_table = require('table.new')
local borrowed = require('lycosa.core.borrowed')
local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local budget = require('lycosa.cache.budget')
local counters = require('lycosa.cache.counters')
local expiry = require('lycosa.cache.expiry')
local fields = require('lycosa.cache.fields')
local order = require('lycosa.cache.order')
local pool = require('lycosa.cache.pool')
local sieve = require('lycosa.cache.sieve')
local write_only = require('lycosa.core.write_only')

local entries = {}

local TENANT, BUCKET, KEY, VALUE, MEDIA_TYPE = fields.TENANT, fields.BUCKET, fields.KEY, fields.VALUE, fields.MEDIA_TYPE
local CREATED, EXPIRES, STALE, NEGATIVE = fields.CREATED, fields.EXPIRES, fields.STALE, fields.NEGATIVE
local TAGS, SEQ, AGE, DUE, LABELS = fields.TAGS, fields.SEQ, fields.AGE, fields.DUE, fields.LABELS
-- What the values of one set_many hold together.
local MANY_BYTES = 4000000

local function find(tenant, key, stale, now)
    local entry = borrowed.find(pool.of(key).entries().index.key, tenant, key)
    if entry == nil then
        counters.add(tenant, 'misses', 1)
        return nil
    elseif entry[EXPIRES] > now then
        counters.add(tenant, 'hits', 1)
    elseif stale and entry[STALE] > now then
        counters.add(tenant, 'stale_hits', 1)
    else
        counters.add(tenant, 'misses', 1)
        return nil
    end
    sieve.mark(entry[SEQ])
    return borrowed.own(entry)
end

---An entry, or nil when there is none or it has expired.
---@param args {tenant: string, key: string, stale: boolean} `stale` takes it in its stale period, too
---@return box.tuple?
function entries.get(args)
    return find(args.tenant, args.key, args.stale, clock.now())
end

---Entries in the order of their keys, with box.NULL for what is not there.
---@param args {tenant: string, keys: string[], stale: boolean}
---@return box.tuple[]
function entries.get_many(args)
    local found, now = {}, clock.now()
    for i, key in ipairs(args.keys) do
        found[i] = find(args.tenant, key, args.stale, now) or box.NULL
    end
    return found
end

-- Tags each once.
local function distinct(tags)
    if #tags < 2 then
        return tags
    end
    local kept, seen = {}, {}
    for _, tag in ipairs(tags) do
        if not seen[tag] then
            seen[tag] = true
            table.insert(kept, tag)
        end
    end
    return kept
end

-- How much more items weigh than what they replace; of a key that is there twice, both count.
local function growth(tenant, items)
    local more = 0
    for _, item in ipairs(items) do
        local before = borrowed.find(pool.of(item.key).entries().index.key, tenant, item.key)
        more = more + pool.weight_of(tenant, item) - (before ~= nil and pool.weight(before) or 0)
    end
    return more
end

-- Filled by every write, and nothing yields until it is written: a table of each would be collected.
local row = new_table(LABELS, 0)

-- Store an item. One that replaces an entry that is still kept has its number and counts as read; others are new.
-- Gives its times, and by how many entries and bytes the pool has grown.
local function put(of, tenant, number, bucket_id, item, now)
    local space = of.entries()
    local before = borrowed.find(space.index.key, tenant, item.key)
    local more, weighed, seq = 1, 0, nil
    if before ~= nil then
        more, weighed = 0, pool.weight(before)
        seq = before[STALE] > now and before[SEQ] or nil
    end
    if seq ~= nil then
        sieve.mark(seq)
    else
        seq = pool.next_seq()
        sieve.wipe(seq)
    end
    local expires_at = now + item.ttl
    local stale_until = expires_at + item.stale_for
    row[TENANT], row[BUCKET], row[KEY], row[VALUE], row[MEDIA_TYPE] = tenant, bucket_id, item.key, item.value, item.media_type
    row[CREATED], row[EXPIRES], row[STALE], row[NEGATIVE] = now, expires_at, stale_until, item.negative
    row[TAGS], row[SEQ], row[AGE] = item.tags, seq, order.age(number, seq)
    row[DUE], row[LABELS] = order.due(stale_until, seq), order.labels(tenant, item.tags, seq)
    local weight = pool.weight(write_only.replace(space, row))
    expiry.due(stale_until)
    return {created_at = now, expires_at = expires_at, stale_until = stale_until}, more, weight - weighed
end

-- Store items, and add what they weigh to the totals once: a total is written at half the cost of an entry.
local function put_all(tenant, items, now)
    local times, bucket_id = {}, bucket.of(tenant)
    local adding, number, entries_more, bytes_more
    for i = 1, #items do
        local of = pool.of(items[i].key)
        if of ~= adding then
            if adding ~= nil then
                pool.add(adding, tenant, entries_more, bytes_more)
            end
            adding, number, entries_more, bytes_more = of, pool.enter(of, tenant), 0, 0
        end
        local item_times, count, bytes = put(of, tenant, number, bucket_id, items[i], now)
        times[i] = item_times
        entries_more, bytes_more = entries_more + count, bytes_more + bytes
    end
    if adding ~= nil then
        pool.add(adding, tenant, entries_more, bytes_more)
    end
    return times
end

local function store(tenant, items)
    local now, bytes = clock.now(), 0
    for _, item in ipairs(items) do
        item.tags = distinct(item.tags)
        bytes = bytes + pool.weight_of(tenant, item)
    end
    budget.admit(bytes)
    if not budget.has_room(bytes) then
        budget.make_room(tenant, #items, function()
            return growth(tenant, items)
        end, now)
    end
    return put_all(tenant, items, now)
end

---Store a value under a key for `ttl` seconds, in place of what was there.
---@param args {tenant: string, key: string, value: string, media_type: string, ttl: number, stale_for: number,
---     negative: boolean, tags: string[]}
---@return {created_at: number, expires_at: number, stale_until: number}
function entries.set(args)
    return store(args.tenant, {args})[1]
end

---Store up to a hundred values, all or none.
---@param args {tenant: string, entries: table[]} each as the arguments of `set`
---@return {created_at: number, expires_at: number, stale_until: number}[] in the order of the entries
function entries.set_many(args)
    local bytes = 0
    for _, item in ipairs(args.entries) do
        bytes = bytes + #item.value
    end
    if bytes > MANY_BYTES then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'entries', problem = ('hold more than %d bytes of values together'):format(MANY_BYTES),
        })
    end
    return store(args.tenant, args.entries)
end

---An entry that is deleted by being read; nil when there is none or it has expired.
---@param args {tenant: string, key: string}
---@return box.tuple?
function entries.take(args)
    local entry = find(args.tenant, args.key, false, clock.now())
    if entry ~= nil then
        pool.remove(pool.of(args.key), {entry})
    end
    return entry
end

---Delete entries. Keys that are not there are no error.
---@param args {tenant: string, keys: string[]}
---@return {deleted: integer} without those that had expired
function entries.delete(args)
    local deleted, now = 0, clock.now()
    for _, key in ipairs(args.keys) do
        local of = pool.of(key)
        local entry = of.entries():get{args.tenant, key}
        if entry ~= nil then
            deleted = deleted + (entry[STALE] > now and 1 or 0)
            pool.remove(of, {entry})
        end
    end
    return {deleted = deleted}
end

return entries
