-- The cache: entries with the moment they expire, and what each tenant's entries weigh.

return {
    id = 3, name = 'cache',
    up = function()
        local entry = box.schema.space.create('cache_entry', {format = {
            {'tenant', 'string'},
            {'bucket_id', 'unsigned'},
            {'key', 'string'},
            {'value', 'string'},
            {'media_type', 'string'},
            {'created_at', 'number'},
            {'expires_at', 'number'},
        }})
        entry:create_index('key', {parts = {{1, 'string'}, {3, 'string'}}})
        -- For the sweep: what expires first, of all tenants.
        entry:create_index('expiry', {parts = {{7, 'number'}, {1, 'string'}, {3, 'string'}}})

        local total = box.schema.space.create('cache_total', {format = {
            {'tenant', 'string'},
            {'bucket_id', 'unsigned'},
            {'entries', 'unsigned'},
            {'bytes', 'unsigned'},
        }})
        total:create_index('tenant', {parts = {{1, 'string'}}})
    end,
}
