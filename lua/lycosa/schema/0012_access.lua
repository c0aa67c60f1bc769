-- API keys.

local function create_key()
    local space = box.schema.space.create('access_key', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'id', 'string'},
        {'name', 'string'},
        {'scopes', 'array'},
        {'created_at', 'number'},
        {'created_by', 'string', is_nullable = true},
        {'expires_at', 'number', is_nullable = true},
        {'revoked_at', 'number', is_nullable = true},
        {'last_used_at', 'number', is_nullable = true},
        {'forgotten_at', 'number', is_nullable = true},
        {'salt', 'string'},
        {'hash', 'string'},
    }})
    space:create_index('key', {parts = {{1, 'string'}, {3, 'string'}}})
    -- A credential names its key and not its tenant.
    space:create_index('id', {parts = {{3, 'string'}, {1, 'string'}}})
    space:create_index('created', {parts = {{1, 'string'}, {6, 'number'}, {3, 'string'}}})
    -- For the step: what is forgotten first, of all tenants.
    space:create_index('forgotten', {
        unique = false, parts = {{11, 'number', is_nullable = true}, {1, 'string'}, {3, 'string'}},
    })
end

return {
    id = 12, name = 'access',
    up = function()
        create_key()
    end,
}
