local T = require('lycosa.core.types')
local checkpoint = require('lycosa.checkpoint')
local cursor = require('lycosa.core.cursor')

local THREAD, NAMESPACE = T.text{min = 1, max = 512}, T.text{max = 1024}
local CHANNEL, VERSION = T.text{min = 1, max = 256}, T.name
local PATH = T.text{max = 1024}
-- A row of 1 MiB and more would stand outside the memory arena and split it: larger values go in parts.
local VALUE, HEAD_VALUE = T.bytes{max = 900000}, T.bytes{max = 250000}
local PARTS = T.nullable(T.name)
local TTL = T.number{min = 0.001, max = 315360000}
local COUNT, NUMBER = T.integer{min = 0}, T.integer{min = 1, max = 100}

local TENANT = {'tenant', T.name, doc = 'whose threads'}
local IN = {'thread', THREAD, doc = 'such as the id of a conversation'}
local AT = {'namespace', NAMESPACE, default = '', doc = 'of a graph within the graph; empty for the outermost'}
local STATE_ID = {'id', T.name, doc = 'of the state: later ones are greater, byte by byte'}
local KEEP = {'ttl', TTL, optional = true, doc = 'seconds after this write until the whole thread ends; never when absent'}
local ROWS = {'limit', T.integer{min = 1, max = 1000}, default = 200, doc = 'rows at about the most'}
local PART_NAME = {'name', T.name, doc = 'of the value: the caller\'s choice, never used twice'}
local FIRST = {'first', NUMBER, doc = 'number of the first of these parts'}
local IN_PARTS = {'parts', T.name, optional = true, doc = 'name of its parts, stored before, when it is too large'}
local KIND = {'type', T.name, doc = 'how the bytes were made'}

local SERIALIZED = T.record('CheckpointValue', {KIND, {'value', HEAD_VALUE}, IN_PARTS})
local CHANNEL_VERSION = T.record('CheckpointChannel', {
    {'channel', CHANNEL}, {'version', VERSION},
    {'held', T.boolean, default = false, doc = 'whether it has a value: given now, or there already'},
})
local BLOB_INPUT = T.record('CheckpointBlobInput', {
    {'channel', CHANNEL}, {'version', VERSION}, KIND, {'value', VALUE}, IN_PARTS,
})
local WRITE_INPUT = T.record('CheckpointWriteInput', {
    {'position', T.integer{min = -1000, max = 1000000}}, {'channel', CHANNEL}, KIND, {'value', VALUE}, IN_PARTS,
})

local OWNED = {{'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'generation', COUNT}}

local BLOB = T.record('CheckpointBlob', {
    OWNED[1], OWNED[2], OWNED[3], {'namespace', NAMESPACE}, {'name', T.text{max = 512}},
    {'type', T.name}, {'value', VALUE}, {'parts', PARTS},
}, {form = 'tuple'})

local WRITE = T.record('CheckpointWrite', {
    OWNED[1], OWNED[2], OWNED[3], {'namespace', NAMESPACE}, {'id', T.name}, {'task', T.name}, {'position', T.integer{}},
    {'path', PATH}, {'channel', CHANNEL}, {'type', T.name}, {'value', VALUE}, {'parts', PARTS},
}, {form = 'tuple'})

local PART = T.record('CheckpointPart', {
    OWNED[1], OWNED[2], OWNED[3], {'name', T.name}, {'number', NUMBER}, {'value', VALUE},
}, {form = 'tuple'})

local HEAD = T.record('CheckpointHead', {
    {'thread', THREAD}, {'namespace', NAMESPACE}, {'id', T.name}, {'parent', T.nullable(T.name)},
    {'type', T.name}, {'value', HEAD_VALUE}, {'parts', PARTS},
    {'metadata_type', T.name}, {'metadata', HEAD_VALUE}, {'metadata_parts', PARTS},
}, {form = 'array'})

local CURSOR = {'cursor', cursor.TYPE, optional = true, doc = 'the `next` of the page before'}
local NEXT = {'next', T.nullable(cursor.TYPE), doc = 'leads to the rest; null at the end'}

return {
    {
        name = 'checkpoint.put', access = 'app', mode = 'write', idempotent = true,
        doc = 'Store a state of a thread with the values that are new in it, in one; together at most 4,000,000 bytes. A value '
            .. 'that should be there already and is not is CHECKPOINT_CHANGED: give it again.',
        args = {
            TENANT, IN, AT, STATE_ID, {'parent', T.name, optional = true, doc = 'the state that it follows'},
            {'state', SERIALIZED, doc = 'without the values of channels'}, {'metadata', SERIALIZED},
            {'run', T.name, optional = true, doc = 'the run that stored it, for checkpoint.delete_for_runs'},
            {
                'facts', T.map(T.scalar, {max = 64}), optional = true,
                doc = 'what of the metadata checkpoint.list can filter by; absent when that is not all',
            },
            {'channels', T.list(CHANNEL_VERSION, {max = 2000}), doc = 'every channel of the state with its version'},
            {
                'deltas', T.list(CHANNEL, {max = 2000}), default = {},
                doc = 'channels without a value, made again from the writes on top of the states before',
            },
            {'blobs', T.list(BLOB_INPUT, {max = 2000}), default = {}, doc = 'values of versions that are new'}, KEEP,
        },
        returns = T.none,
        errors = {'INVALID_ARGUMENT', 'CHECKPOINT_CHANGED', 'MEMORY_FULL'}, run = checkpoint.put,
    },
    {
        name = 'checkpoint.put_writes', access = 'app', mode = 'write', idempotent = true,
        doc = 'Store what a task wrote on top of a state, in one; together at most 4,000,000 bytes. What is there under '
            .. 'a position of 0 and more stays, under a negative one it is replaced. The state may be stored later.',
        args = {
            TENANT, IN, AT, STATE_ID, {'task', T.name}, {'path', PATH, default = '', doc = 'orders the writes of tasks'},
            {'writes', T.list(WRITE_INPUT, {max = 10000})}, KEEP,
        },
        returns = T.none,
        errors = {'INVALID_ARGUMENT', 'CHECKPOINT_CHANGED', 'MEMORY_FULL'}, run = checkpoint.put_writes,
    },
    {
        name = 'checkpoint.put_parts', access = 'app', mode = 'write', idempotent = true,
        doc = 'Store parts of a value that is too large for one row, in their order, together at most 4,000,000 bytes a '
            .. 'call, before what refers to it.',
        args = {TENANT, IN, PART_NAME, FIRST, {'parts', T.list(VALUE, {min = 1, max = 100})}, KEEP},
        returns = T.none,
        errors = {'INVALID_ARGUMENT', 'CHECKPOINT_CHANGED', 'MEMORY_FULL'}, run = checkpoint.put_parts,
    },
    {
        name = 'checkpoint.get', access = 'read', mode = 'read',
        doc = 'A state with the values of its channels and the pending writes on top of it, as many as 4,000,000 bytes '
            .. 'allow; a cursor, given with the id, leads to the rest, whose page has no head.',
        args = {
            TENANT, IN, AT, {'id', T.name, optional = true, doc = 'the latest of the namespace when absent'}, CURSOR,
        },
        returns = T.record('CheckpointPage', {
            {'head', T.nullable(HEAD), doc = 'null when there is no such state'},
            {'blobs', T.list(BLOB, {max = 2000}), doc = 'named by version and channel, with a space between'},
            {'writes', T.list(WRITE, {max = 20000}), doc = 'in the order of task and position'}, NEXT,
        }),
        errors = {'CHECKPOINT_CHANGED', 'INVALID_CURSOR'}, run = checkpoint.get,
    },
    {
        name = 'checkpoint.parts', access = 'read', mode = 'read',
        doc = 'Parts of a value from one on, as many as 4,000,000 bytes allow; none at the end and when it is gone.',
        args = {TENANT, IN, PART_NAME, FIRST},
        returns = T.list(PART, {max = 100}), errors = {}, run = checkpoint.parts,
    },
    {
        name = 'checkpoint.list', access = 'read', mode = 'read',
        doc = 'A page of states, the newest first, of a namespace, a thread or all threads, without values and writes. A '
            .. 'page may be short while `next` leads on.',
        args = {
            TENANT, {'thread', THREAD, optional = true, doc = 'all threads when absent'},
            {'namespace', NAMESPACE, optional = true, doc = 'all namespaces of the thread when absent'},
            {'before', T.name, optional = true, doc = 'only states with a lower id'},
            {
                'filter', T.map(T.scalar, {max = 64}), default = {},
                doc = 'facts that must be so; states whose facts are not all known are shown, too',
            },
            CURSOR, {'limit', T.integer{min = 1, max = 100}, default = 100},
        },
        returns = T.record('CheckpointHeads', {{'heads', T.list(HEAD, {max = 100})}, NEXT}),
        errors = {'INVALID_ARGUMENT', 'INVALID_CURSOR'}, run = checkpoint.list,
    },
    {
        name = 'checkpoint.delete_thread', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete a thread with all that is its own. It is gone at once; its rows are swept later.',
        args = {TENANT, IN},
        returns = T.record('CheckpointThreadDeleted', {{'deleted', T.boolean, doc = 'whether there was one'}}),
        errors = {}, run = checkpoint.delete_thread,
    },
    {
        name = 'checkpoint.delete_for_runs', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete the states that runs stored, with their pending writes and the values that only they have. Call '
            .. 'again while there is more.',
        args = {TENANT, {'runs', T.list(T.name, {max = 100})}, ROWS},
        returns = T.record('CheckpointsDeleted', {{'deleted', COUNT, doc = 'states'}, {'more', T.boolean}}),
        errors = {}, run = checkpoint.delete_for_runs,
    },
    {
        name = 'checkpoint.prune', access = 'app', mode = 'write', idempotent = true,
        doc = 'Keep only the latest state of every namespace of a thread, and the states before it from which channels '
            .. 'without a value are made again. Call again with `before` while there is more.',
        args = {
            TENANT, IN, {'before', NAMESPACE, optional = true, doc = 'the `before` of the answer before'}, ROWS,
        },
        returns = T.record('CheckpointsPruned', {
            {'deleted', COUNT, doc = 'states'}, {'more', T.boolean}, {'before', T.nullable(NAMESPACE)},
        }),
        errors = {}, run = checkpoint.prune,
    },
    {
        name = 'checkpoint.copy_thread', access = 'app', mode = 'wait',
        doc = 'Copy a thread under a new name, in short transactions, seen by nobody until it is whole.',
        args = {
            TENANT, {'source', THREAD}, {'target', THREAD, doc = 'must not exist'},
            {'wait', T.number{min = 0, max = 600}, doc = 'seconds it may take'},
        },
        returns = T.record('CheckpointCopied', {{'copied', T.boolean, doc = 'false when there is no such source'}}),
        errors = {'CHECKPOINT_BUSY', 'CHECKPOINT_CHANGED', 'CHECKPOINT_EXISTS', 'MEMORY_FULL'},
        run = checkpoint.copy_thread,
    },
}
