-- Namespaced keys with values of bytes: what the surfaces keep.

return {
    id = 10, name = 'kv',
    up = function()
        local space = box.schema.space.create('kv_entry', {format = {
            {'tenant', 'string'},
            {'bucket_id', 'unsigned'},
            {'namespace', 'string'},
            {'key', 'string'},
            {'value', 'string'},
            {'version', 'unsigned'},
            {'created_at', 'number'},
            {'updated_at', 'number'},
            {'expires_at', 'number', is_nullable = true},
            {'ttl', 'number', is_nullable = true},
        }})
        space:create_index('key', {parts = {{1, 'string'}, {3, 'string'}, {4, 'string'}}})
        -- For the step: what expires first, of all tenants. Entries that never do stand before those of time 0.
        space:create_index('expiry', {unique = false, parts = {
            {9, 'number', is_nullable = true}, {1, 'string'}, {3, 'string'}, {4, 'string'},
        }})
    end,
}
