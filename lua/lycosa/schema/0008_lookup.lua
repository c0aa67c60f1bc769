-- Look-ups: who is buying which answer, and how every provider is doing.

local function create_lease()
    local space = box.schema.space.create('lookup_lease', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'key', 'string'},
        {'state', 'string'},
        {'token', 'string'},
        {'ticket', 'string'},
        {'ends_at', 'number'},
        {'question', 'string'},
        {'candidates', 'array'},
        {'tried', 'array'},
        {'attempt', 'unsigned'},
        {'provider', 'string'},
        {'reservation_id', 'string', is_nullable = true},
        {'refresh', 'boolean'},
        {'denial', 'map', is_nullable = true},
    }})
    space:create_index('key', {parts = {{1, 'string'}, {3, 'string'}}})
    -- For the step: what may be forgotten first, of all tenants.
    space:create_index('end', {parts = {{7, 'number'}, {1, 'string'}, {3, 'string'}}})
end

local function create_provider()
    local space = box.schema.space.create('lookup_provider', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'provider', 'string'},
        {'enabled', 'boolean'},
        {'place', 'unsigned', is_nullable = true},
        {'threshold', 'unsigned'},
        {'window', 'number'},
        {'cooldown', 'number'},
        {'breaker', 'string'},
        {'failures', 'unsigned'},
        {'since', 'number'},
        {'opens_until', 'number'},
        {'probe', 'string', is_nullable = true},
        {'probe_ends_at', 'number'},
        {'blocked_until', 'number'},
        {'blocked_by', 'string', is_nullable = true},
        {'last_error', 'string', is_nullable = true},
        {'last_error_at', 'number', is_nullable = true},
        {'calls', 'unsigned'},
        {'errors', 'unsigned'},
        {'updated_at', 'number'},
    }})
    space:create_index('provider', {parts = {{1, 'string'}, {3, 'string'}}})
end

return {
    id = 8, name = 'lookup',
    up = function()
        create_lease()
        create_provider()
    end,
}
