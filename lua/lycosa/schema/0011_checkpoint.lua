-- Checkpoints of graphs of agents: threads, the states they went through, values by channel and version, pending writes.

-- What tells whose rows they are: a thread is named once, and its rows carry its generation.
local function space(name, fields)
    local format = {{'tenant', 'string'}, {'bucket_id', 'unsigned'}}
    for _, field in ipairs(fields) do
        table.insert(format, field)
    end
    return box.schema.space.create(name, {format = format})
end

local function create_threads()
    local thread = space('checkpoint_thread', {
        {'thread', 'string'}, {'generation', 'unsigned'}, {'revision', 'unsigned'}, {'updated_at', 'number'},
        {'ttl', 'number', is_nullable = true}, {'expires_at', 'number', is_nullable = true},
    })
    thread:create_index('thread', {parts = {{1, 'string'}, {3, 'string'}}})
    thread:create_index('generation', {parts = {{1, 'string'}, {4, 'unsigned'}}})
    -- For the step: what expires first, of all tenants. Those that never do stand before those of time 0.
    thread:create_index('expiry', {parts = {{8, 'number', is_nullable = true}, {1, 'string'}, {3, 'string'}}})
    -- Generations whose rows are to be swept.
    local gone = space('checkpoint_gone', {{'generation', 'unsigned'}, {'due_at', 'number'}})
    gone:create_index('generation', {parts = {{1, 'string'}, {3, 'unsigned'}}})
    gone:create_index('due', {parts = {{4, 'number'}, {1, 'string'}, {3, 'unsigned'}}})
end

local function create_states()
    local state = space('checkpoint_state', {
        {'generation', 'unsigned'}, {'namespace', 'string'}, {'id', 'string'}, {'parent', 'string', is_nullable = true},
        {'type', 'string'}, {'value', 'string'}, {'parts', 'string', is_nullable = true},
        {'metadata_type', 'string'}, {'metadata', 'string'}, {'metadata_parts', 'string', is_nullable = true},
        {'run', 'string', is_nullable = true}, {'facts', 'map', is_nullable = true}, {'blobs', 'array'},
        {'deltas', 'array'}, {'created_at', 'number'},
    })
    state:create_index('id', {parts = {{1, 'string'}, {3, 'unsigned'}, {4, 'string'}, {5, 'string'}}})
    -- For listings of a thread and of all threads, the newest last.
    state:create_index('thread', {parts = {{1, 'string'}, {3, 'unsigned'}, {5, 'string'}, {4, 'string'}}})
    state:create_index('all', {parts = {{1, 'string'}, {5, 'string'}, {3, 'unsigned'}, {4, 'string'}}})
    state:create_index('run', {unique = false, parts = {{1, 'string'}, {13, 'string', is_nullable = true}}})
    -- Who refers to a blob.
    state:create_index('blob', {unique = false, parts = {
        {1, 'string'}, {3, 'unsigned'}, {4, 'string'}, {15, 'string', path = '[*]'},
    }})
end

local function create_values()
    local blob = space('checkpoint_blob', {
        {'generation', 'unsigned'}, {'namespace', 'string'}, {'name', 'string'},
        {'type', 'string'}, {'value', 'string'}, {'parts', 'string', is_nullable = true},
    })
    blob:create_index('name', {parts = {{1, 'string'}, {3, 'unsigned'}, {4, 'string'}, {5, 'string'}}})
    local write = space('checkpoint_write', {
        {'generation', 'unsigned'}, {'namespace', 'string'}, {'id', 'string'}, {'task', 'string'}, {'position', 'integer'},
        {'path', 'string'}, {'channel', 'string'}, {'type', 'string'}, {'value', 'string'},
        {'parts', 'string', is_nullable = true},
    })
    write:create_index('task', {parts = {
        {1, 'string'}, {3, 'unsigned'}, {4, 'string'}, {5, 'string'}, {6, 'string'}, {7, 'integer'},
    }})
    -- Values that are too large for one row.
    local part = space('checkpoint_part', {
        {'generation', 'unsigned'}, {'name', 'string'}, {'number', 'unsigned'}, {'value', 'string'},
    })
    part:create_index('number', {parts = {{1, 'string'}, {3, 'unsigned'}, {4, 'string'}, {5, 'unsigned'}}})
end

return {
    id = 11, name = 'checkpoint',
    up = function()
        create_threads()
        create_states()
        create_values()
    end,
}
