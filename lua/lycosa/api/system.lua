local T = require('lycosa.core.types')
local system = require('lycosa.system')

local figure_map = T.map(T.number(), {max = 10000})

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
            {'spaces', T.list(T.record('SpaceFigures', {
                {'name', T.name}, {'engine', T.name}, {'rows', T.integer()}, {'bytes', T.integer()},
                {'index_bytes', T.integer()},
            }), {max = 1000})},
        }),
        errors = {}, run = system.figures,
    },
}
