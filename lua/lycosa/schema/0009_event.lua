-- Events of what is being done, so that a stream that broke off can be read on.

local function create_stream()
    local space = box.schema.space.create('event_stream', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'stream', 'string'},
        {'writer', 'string'},
        {'last', 'unsigned'},
        {'bytes', 'unsigned'},
        {'ended', 'boolean'},
        {'seen_at', 'number'},
        {'ends_at', 'number'},
    }})
    space:create_index('stream', {parts = {{1, 'string'}, {3, 'string'}}})
    -- For the step: what expires first, of all tenants.
    space:create_index('end', {parts = {{9, 'number'}, {1, 'string'}, {3, 'string'}}})
end

-- A row is what one call appended.
local function create_batch()
    local space = box.schema.space.create('event', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'stream', 'string'},
        {'last', 'unsigned'},
        {'bytes', 'unsigned'},
        {'events', 'array'},
    }})
    space:create_index('stream', {parts = {{1, 'string'}, {3, 'string'}, {4, 'unsigned'}}})
end

return {
    id = 9, name = 'event',
    up = function()
        create_stream()
        create_batch()
    end,
}
