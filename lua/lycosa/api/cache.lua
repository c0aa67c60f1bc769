local T = require('lycosa.core.types')
local cache = require('lycosa.cache')

local KEY = T.text{min = 1, max = 512}
-- A row of 1 MiB and more would stand outside the memory arena and split it; with key and names this stays below.
local VALUE = T.text{max = 1000000}
local COUNT = T.integer{min = 0}

local ENTRY = T.record('CacheEntry', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'key', KEY}, {'value', VALUE}, {'media_type', T.name},
    {'created_at', T.time}, {'expires_at', T.time},
}, {form = 'tuple'})

return {
    {
        name = 'cache.get', access = 'read', mode = 'read',
        doc = 'An entry of the cache, or null when there is none. An expired entry is never served.',
        args = {
            {'tenant', T.name, doc = 'whose entry'},
            {'key', KEY, doc = 'as given to cache.set'},
        },
        returns = T.nullable(ENTRY), errors = {}, run = cache.get,
    },
    {
        name = 'cache.set', access = 'app', mode = 'write', idempotent = true,
        doc = 'Store a text under a key for a time, in place of what was there. At most 1,000,000 bytes; refused with '
            .. 'MEMORY_FULL while memory is over 80 % full.',
        args = {
            {'tenant', T.name, doc = 'whose entry'},
            {'key', KEY, doc = 'any text of 1 to 512 bytes'},
            {'value', VALUE, doc = 'the text, at most 1,000,000 bytes'},
            {'media_type', T.name, default = 'application/json', doc = 'what the text is'},
            {'ttl', T.number{min = 0.001, max = 31536000}, doc = 'seconds until it expires, at most a year'},
        },
        returns = T.record('CacheTimes', {{'created_at', T.time}, {'expires_at', T.time}}),
        errors = {'MEMORY_FULL'}, run = cache.set,
    },
    {
        name = 'cache.delete', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete entries by key. Keys that are not there are no error.',
        args = {
            {'tenant', T.name, doc = 'whose entries'},
            {'keys', T.list(KEY, {max = 1000}), doc = 'keys to delete'},
        },
        returns = T.record('CacheDeleted', {{'deleted', COUNT}}), errors = {}, run = cache.delete,
    },
    {
        name = 'cache.figures', access = 'read', mode = 'read',
        doc = 'What the cache holds in entries and bytes, expired ones that wait for the sweep included, and hits, '
            .. 'misses and expired entries since the server started.',
        args = {{'tenant', T.name, optional = true, doc = 'only this tenant; the whole server when absent'}},
        returns = T.record('CacheFigures', {
            {'entries', COUNT}, {'bytes', COUNT}, {'hits', COUNT}, {'misses', COUNT}, {'expired', COUNT},
        }),
        errors = {}, run = cache.figures,
    },
}
