-- Chat histories: sessions, their messages, and the sessions whose messages are still to be deleted.

local function create_session()
    local space = box.schema.space.create('session', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'id', 'string'},
        {'generation', 'unsigned'},
        {'current_agent', 'string', is_nullable = true},
        {'metadata', 'map'},
        {'created_at', 'number'},
        {'last_active_at', 'number'},
        {'idle', 'number'},
        {'ends_at', 'number'},
        {'messages', 'unsigned'},
        {'bytes', 'unsigned'},
        {'tokens', 'unsigned'},
    }})
    space:create_index('id', {parts = {{1, 'string'}, {3, 'string'}}})
    space:create_index('active', {parts = {{1, 'string'}, {8, 'number'}, {3, 'string'}}})
    -- For the step: what ends first, of all tenants.
    space:create_index('end', {parts = {{10, 'number'}, {1, 'string'}, {3, 'string'}}})
end

local function create_message()
    local space = box.schema.space.create('session_message', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'session', 'string'},
        {'generation', 'unsigned'},
        {'number', 'unsigned'},
        {'id', 'string'},
        {'role', 'string'},
        {'content', 'string'},
        {'body', 'string', is_nullable = true},
        {'tokens', 'unsigned'},
        {'created_at', 'number'},
        {'extra', 'map'},
    }})
    space:create_index('number', {parts = {{1, 'string'}, {3, 'string'}, {4, 'unsigned'}, {5, 'unsigned'}}})
    space:create_index('id', {parts = {{1, 'string'}, {3, 'string'}, {4, 'unsigned'}, {6, 'string'}}})
end

local function create_gone()
    local space = box.schema.space.create('session_gone', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'session', 'string'},
        {'generation', 'unsigned'},
    }})
    space:create_index('session', {parts = {{1, 'string'}, {3, 'string'}, {4, 'unsigned'}}})
end

return {
    id = 13, name = 'session',
    up = function()
        create_session()
        create_message()
        create_gone()
    end,
}
