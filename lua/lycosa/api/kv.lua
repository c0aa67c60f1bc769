local T = require('lycosa.core.types')
local cursor = require('lycosa.core.cursor')
local kv = require('lycosa.kv')

local NAMESPACE, KEY = T.text{min = 1, max = 512}, T.text{min = 1, max = 512}
-- A row of 1 MiB and more would stand outside the memory arena and split it; with its names this stays below.
local VALUE = T.bytes{max = 1000000}
local COUNT, VERSION = T.integer{min = 0}, T.integer{min = 0}
local TTL = T.number{min = 0.001, max = 315360000}
local KEYS = T.list(KEY, {max = 100})

local ENTRY = T.record('KvEntry', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'namespace', NAMESPACE}, {'key', KEY}, {'value', VALUE},
    {'version', VERSION}, {'created_at', T.time}, {'updated_at', T.time}, {'expires_at', T.nullable(T.time)},
    {'ttl', T.nullable(TTL)},
}, {form = 'tuple'})

local FACTS = T.record('KvFacts', {
    {'namespace', NAMESPACE}, {'key', KEY}, {'bytes', COUNT}, {'version', VERSION}, {'created_at', T.time},
    {'updated_at', T.time}, {'expires_at', T.nullable(T.time)}, {'ttl', T.nullable(TTL)},
}, {form = 'array'})

local STORED = T.record('KvStored', {
    {'version', VERSION, doc = 'of what was stored: never given twice'}, {'expires_at', T.nullable(T.time)},
})

local TENANT = {'tenant', T.name, doc = 'whose entries'}
local IN = {'namespace', NAMESPACE, doc = 'any text of 1 to 512 bytes'}
local ITEM = {
    {'key', KEY, doc = 'any text of 1 to 512 bytes'},
    {'value', VALUE, doc = 'any bytes, at most 1,000,000'},
    {'ttl', TTL, optional = true, doc = 'seconds until it expires, at most ten years; never when absent'},
}
local NAMED = {'keys', KEYS, doc = 'at most a hundred'}
local PREFIX = {'prefix', T.text{max = 512}, default = '', doc = 'how keys begin, byte by byte'}
local NESTED = {
    'nested', T.boolean, default = false,
    doc = 'take every namespace whose name begins with this one, byte by byte, instead of this one alone',
}
local CURSOR = {'cursor', cursor.TYPE, optional = true, doc = 'the `next` of the page before'}
local NEXT = {'next', T.nullable(cursor.TYPE), doc = 'leads to the next page; null at the end'}

return {
    {
        name = 'kv.get', access = 'read', mode = 'read', coalesce = 'kv.get_many',
        doc = 'The entry of a key, or null when there is none or it has expired.',
        args = {TENANT, IN, {'key', KEY, doc = 'as given to kv.set'}},
        returns = T.nullable(ENTRY), errors = {}, run = kv.get,
    },
    {
        name = 'kv.get_many', access = 'read', mode = 'read',
        doc = 'Entries of one namespace in the order of their keys, with null where there is none.',
        args = {TENANT, IN, NAMED},
        returns = T.list(T.nullable(ENTRY), {max = 100}), errors = {}, run = kv.get_many,
    },
    {
        name = 'kv.set', access = 'app', mode = 'write', idempotent = true,
        doc = 'Store a value under a key, for a time or for ever, in place of what was there.',
        args = {TENANT, IN, ITEM[1], ITEM[2], ITEM[3]},
        returns = STORED, errors = {'MEMORY_FULL'}, run = kv.set,
    },
    {
        name = 'kv.set_many', access = 'app', mode = 'write', idempotent = true,
        doc = 'Store up to a hundred values in one namespace, all or none, together at most 4,000,000 bytes. Of a key '
            .. 'that is there twice, the last value stays.',
        args = {TENANT, IN, {'entries', T.list(T.record('KvItem', ITEM), {max = 100}), doc = 'what to store'}},
        returns = T.list(STORED, {max = 100}), errors = {'INVALID_ARGUMENT', 'MEMORY_FULL'}, run = kv.set_many,
    },
    {
        name = 'kv.compare_and_set', access = 'app', mode = 'write',
        doc = 'Store a value if the entry still has the version that the caller saw. Of many who try at once, one does.',
        args = {
            TENANT, IN, ITEM[1], ITEM[2],
            {'version', VERSION, doc = 'what the caller saw; 0 when there was no entry'}, ITEM[3],
        },
        returns = STORED, errors = {'KV_CONFLICT', 'MEMORY_FULL'}, run = kv.compare_and_set,
    },
    {
        name = 'kv.touch', access = 'app', mode = 'write', idempotent = true,
        doc = 'Let entries begin their time anew; those without a time and keys that are not there are left alone.',
        args = {TENANT, IN, NAMED},
        returns = T.record('KvTouched', {{'touched', COUNT}}), errors = {}, run = kv.touch,
    },
    {
        name = 'kv.delete', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete entries by key. Keys that are not there are no error; those that had expired do not count.',
        args = {TENANT, IN, NAMED},
        returns = T.record('KvDeleted', {{'deleted', COUNT}}), errors = {}, run = kv.delete,
    },
    {
        name = 'kv.clear', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete the entries of a namespace, or those of a prefix. Deletes at most limit entries and says whether '
            .. 'more are left: call again until there are none.',
        args = {TENANT, IN, PREFIX, NESTED, {'limit', T.integer{min = 1, max = 1000}, default = 1000}},
        returns = T.record('KvCleared', {{'deleted', COUNT}, {'more', T.boolean}}),
        errors = {'INVALID_ARGUMENT'}, run = kv.clear,
    },
    {
        name = 'kv.list', access = 'read', mode = 'read',
        doc = 'A page of entries in the order of namespace and key, with their values: as many as the limit and '
            .. '1,000,000 bytes of values allow, at least one. A page may be short while `next` leads on.',
        args = {TENANT, IN, PREFIX, NESTED, CURSOR, {'limit', T.integer{min = 1, max = 100}, default = 100}},
        returns = T.record('KvPage', {{'rows', T.list(ENTRY, {max = 100})}, NEXT}),
        errors = {'INVALID_ARGUMENT', 'INVALID_CURSOR'}, run = kv.list,
    },
    {
        name = 'kv.keys', access = 'read', mode = 'read',
        doc = 'A page of keys in the order of namespace and key, with what is known of their entries, without values.',
        args = {TENANT, IN, PREFIX, NESTED, CURSOR, {'limit', T.integer{min = 1, max = 1000}, default = 1000}},
        returns = T.record('KvKeys', {{'keys', T.list(FACTS, {max = 1000})}, NEXT}),
        errors = {'INVALID_ARGUMENT', 'INVALID_CURSOR'}, run = kv.keys,
    },
    {
        name = 'kv.namespaces', access = 'read', mode = 'read',
        doc = 'A page of the names of namespaces in their order. A page may be short while `next` leads on.',
        args = {
            TENANT, {'prefix', T.text{max = 512}, default = '', doc = 'how names begin, byte by byte'}, CURSOR,
            {'limit', T.integer{min = 1, max = 1000}, default = 1000},
        },
        returns = T.record('KvNamespaces', {{'namespaces', T.list(NAMESPACE, {max = 1000})}, NEXT}),
        errors = {'INVALID_CURSOR'}, run = kv.namespaces,
    },
}
