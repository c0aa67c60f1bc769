local T = require('lycosa.core.types')
local system = require('lycosa.system')

local figure_map = T.map(T.number(), {max = 10000})
local BYTES = T.integer{min = 0}

local SPACES = T.list(T.record('SpaceFigures', {
    {'name', T.name}, {'engine', T.name}, {'rows', T.integer()}, {'bytes', T.integer()}, {'index_bytes', T.integer()},
}), {max = 1000})

local SIZE_CLASSES = T.list(T.record('SizeClass', {
    {'item_size', BYTES, doc = 'bytes; it serves rows of up to this size'},
    {'items', T.integer{min = 0}, doc = 'rows, index blocks and the like'}, {'slabs', T.integer{min = 0}},
    {'used_bytes', BYTES}, {'free_bytes', BYTES, doc = 'which rows of other sizes cannot use'},
}), {max = 1000})

return {
    {
        name = 'system.contract', access = 'read', mode = 'read',
        doc = 'Digests of every procedure and the server time. A client compares them with its own on connecting.',
        args = {},
        returns = T.record('ContractDigest', {
            {'digest', T.name}, {'procedures', T.map(T.name, {max = 1000})}, {'time', T.time},
        }),
        errors = {}, run = system.contract,
    },
    {
        name = 'system.describe', access = 'read', mode = 'read',
        doc = 'The whole contract: procedures with arguments, answers and errors, and the error catalogue.',
        args = {},
        returns = T.map(T.unchecked(T.none), {max = 3}),
        errors = {}, run = system.describe,
    },
    {
        name = 'system.health', access = 'read', mode = 'read',
        doc = 'Whether this instance is running and takes writes, its uptime in seconds, schema number and version.',
        args = {},
        returns = T.record('Health', {
            {'status', T.name}, {'writable', T.boolean}, {'uptime', T.number()}, {'schema', T.integer()},
            {'tarantool', T.name}, {'time', T.time},
        }),
        errors = {}, run = system.health,
    },
    {
        name = 'system.figures', access = 'read', mode = 'read',
        doc = 'Counters, gauges, calls by procedure (seconds) and daemon steps since the start; memory and spaces (bytes).',
        args = {},
        returns = T.record('Figures', {
            {'counters', figure_map}, {'gauges', figure_map},
            {'procedures', T.map(T.record('ProcedureFigures', {
                {'calls', T.integer()}, {'errors', T.integer()}, {'seconds', T.number()}, {'slowest', T.number()},
            }), {max = 1000})},
            {'steps', T.list(T.record('StepFigures', {
                {'name', T.name}, {'runs', T.integer()}, {'failures', T.integer()}, {'seconds', T.number()},
                {'slowest', T.number()}, {'last_error', T.nullable(T.text{max = 1000})}, {'due_in', T.number()},
            }), {max = 100})},
            {'memory', T.map(T.number(), {max = 20})}, {'time', T.time},
            {'spaces', SPACES},
        }),
        errors = {}, run = system.figures,
    },
    {
        name = 'system.memory', access = 'read', mode = 'read',
        doc = 'The fill of the memory in bytes, its growth (bytes per second over the last minutes), the seconds until at '
            .. 'that rate no write is accepted, every space, and the free bytes by size of rows.',
        args = {},
        returns = T.record('MemoryFigures', {
            {'quota_bytes', BYTES, doc = 'LYCOSA_MEMORY_MB'},
            {'used_bytes', BYTES, doc = 'rows and indexes, deleted rows that are not freed yet included'},
            {'live_bytes', BYTES, doc = 'rows and indexes that are not deleted'},
            {'item_bytes', BYTES, doc = 'of used_bytes what is no index'},
            {'lua_bytes', BYTES, doc = 'outside the quota'}, {'vinyl_bytes', BYTES, doc = 'outside the quota'},
            {'growth', T.nullable(T.number()), doc = 'of live_bytes; null in the first minute after the start'},
            {'seconds_to_full', T.nullable(T.number{min = 0}), doc = 'null when memory does not grow'},
            {'spaces', SPACES}, {'size_classes', SIZE_CLASSES},
        }),
        errors = {}, run = system.memory,
    },
}
