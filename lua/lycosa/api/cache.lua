local T = require('lycosa.core.types')
local cache = require('lycosa.cache')

local KEY = T.text{min = 1, max = 512}
-- A row of 1 MiB and more would stand outside the memory arena and split it; with key, tags and names this stays below.
local VALUE = T.bytes{max = 1000000}
local COUNT = T.integer{min = 0}
local TTL, STALE_FOR = T.number{min = 0.001, max = 31536000}, T.number{min = 0, max = 31536000}
local TAGS = T.list(T.name, {max = 16})

local ENTRY = T.record('CacheEntry', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'key', KEY}, {'value', VALUE}, {'media_type', T.name},
    {'created_at', T.time}, {'expires_at', T.time}, {'stale_until', T.time}, {'negative', T.boolean}, {'tags', TAGS},
    {'seq', COUNT},
}, {form = 'tuple'})

local TIMES = T.record('CacheTimes', {{'created_at', T.time}, {'expires_at', T.time}, {'stale_until', T.time}})

local ITEM = {
    {'key', KEY, doc = 'any text of 1 to 512 bytes; what stands before its first colon is its namespace'},
    {'value', VALUE, doc = 'any bytes, at most 1,000,000'},
    {'media_type', T.name, default = 'application/json', doc = 'what the bytes are'},
    {'ttl', TTL, doc = 'seconds until it expires, at most a year'},
    {'stale_for', STALE_FOR, default = 0, doc = 'seconds after that in which it is served to those who take it stale'},
    {'negative', T.boolean, default = false, doc = 'whether it says that there is nothing'},
    {'tags', TAGS, default = {}, doc = 'names by which it can be invalidated'},
}

local OWNER = {'tenant', T.name, doc = 'whose entry'}
local STALE = {
    'stale', T.boolean, default = false,
    doc = 'whether an entry in its stale period is taken; its expires_at tells that it is stale',
}
local DELETED = T.record('CacheDeleted', {{'deleted', COUNT}})

return {
    {
        name = 'cache.get', access = 'read', mode = 'read', coalesce = 'cache.get_many',
        doc = 'An entry of the cache, or null when there is none. An expired entry is never served, but in its stale '
            .. 'period to those who take it stale.',
        args = {OWNER, {'key', KEY, doc = 'as given to cache.set'}, STALE},
        returns = T.nullable(ENTRY), errors = {}, run = cache.get,
    },
    {
        name = 'cache.get_many', access = 'read', mode = 'read',
        doc = 'Entries in the order of their keys, with null where there is none.',
        args = {OWNER, {'keys', T.list(KEY, {max = 100}), doc = 'as given to cache.set'}, STALE},
        returns = T.list(T.nullable(ENTRY), {max = 100}), errors = {}, run = cache.get_many,
    },
    {
        name = 'cache.set', access = 'app', mode = 'write', idempotent = true, coalesce = 'cache.set_many',
        doc = 'Store a value under a key for a time, in place of what was there. Entries that were not read of late go '
            .. 'when the budget is spent; refused with MEMORY_FULL only while memory is over 80 % full and all that may '
            .. 'go would not do.',
        args = {OWNER, ITEM[1], ITEM[2], ITEM[3], ITEM[4], ITEM[5], ITEM[6], ITEM[7]},
        returns = TIMES, errors = {'MEMORY_FULL'}, run = cache.set,
    },
    {
        name = 'cache.set_many', access = 'app', mode = 'write', idempotent = true,
        doc = 'Store up to a hundred values, all or none, together at most 4,000,000 bytes. Answers the times of each, '
            .. 'in order; of a key that is there twice, the last value stays.',
        args = {OWNER, {'entries', T.list(T.record('CacheItem', ITEM), {max = 100}), doc = 'what to store'}},
        returns = T.list(TIMES, {max = 100}), errors = {'MEMORY_FULL'}, run = cache.set_many,
    },
    {
        name = 'cache.take', access = 'app', mode = 'write',
        doc = 'Get an entry and delete it in one; null when there is none or it has expired. Of many who ask at once, '
            .. 'one has it.',
        args = {OWNER, {'key', KEY, doc = 'as given to cache.set'}},
        returns = T.nullable(ENTRY), errors = {}, run = cache.take,
    },
    {
        name = 'cache.delete', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete entries by key. Keys that are not there are no error; those that had expired do not count.',
        args = {OWNER, {'keys', T.list(KEY, {max = 1000}), doc = 'keys to delete'}},
        returns = DELETED, errors = {}, run = cache.delete,
    },
    {
        name = 'cache.invalidate', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete the entries with a tag, or those whose keys begin with a prefix: exactly one of both is given. '
            .. 'Deletes at most limit entries and says whether more may be left: call again until there are none. A prefix '
            .. 'is looked for in 2,000 entries a call, so one may delete none and still say more.',
        args = {
            OWNER, {'tag', T.name, optional = true, doc = 'one of the tags given to cache.set'},
            {'prefix', KEY, optional = true, doc = 'how keys begin, byte by byte'},
            {'limit', T.integer{min = 1, max = 1000}, default = 1000, doc = 'entries at the most'},
        },
        returns = T.record('CacheInvalidated', {{'deleted', COUNT}, {'more', T.boolean}}),
        errors = {}, run = cache.invalidate,
    },
    {
        name = 'cache.figures', access = 'read', mode = 'read',
        doc = 'What the cache holds in entries and bytes (with 24 bytes for each place in an index), expired ones that '
            .. 'wait for the sweep included, what it may hold, and hits, misses and entries let go since the server '
            .. 'started. The budget of one tenant is its share, beyond which its own entries go first.',
        args = {{'tenant', T.name, optional = true, doc = 'only this tenant; the whole server when absent'}},
        returns = T.record('CacheFigures', {
            {'entries', COUNT}, {'bytes', COUNT}, {'budget', COUNT}, {'hits', COUNT}, {'stale_hits', COUNT},
            {'misses', COUNT}, {'expired', COUNT}, {'evicted', COUNT}, {'invalidated', COUNT},
        }),
        errors = {}, run = cache.figures,
    },
}
