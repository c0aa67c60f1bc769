-- Requests: every question asked, its answer, its sources, and the sums by day.

local function create_request()
    local space = box.schema.space.create('request', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'id', 'string'},
        {'customer_id', 'string', is_nullable = true},
        {'kind', 'string'},
        {'status', 'string'},
        {'question', 'string'},
        {'answer', 'string', is_nullable = true},
        {'model', 'string', is_nullable = true},
        {'cost_microusd', 'unsigned'},
        {'tokens_in', 'unsigned'},
        {'tokens_out', 'unsigned'},
        {'cached', 'boolean'},
        {'duration_ms', 'unsigned'},
        {'created_at', 'number'},
        {'error', 'string', is_nullable = true},
    }})
    space:create_index('id', {parts = {{1, 'string'}, {3, 'string'}}})
    space:create_index('time', {parts = {{1, 'string'}, {15, 'number'}, {3, 'string'}}})
    space:create_index('customer', {parts = {
        {1, 'string'}, {4, 'string', is_nullable = true}, {15, 'number'}, {3, 'string'},
    }})
    space:create_index('status', {parts = {{1, 'string'}, {6, 'string'}, {15, 'number'}, {3, 'string'}}})
    -- For retention: the oldest of all tenants first.
    space:create_index('age', {parts = {{15, 'number'}, {1, 'string'}, {3, 'string'}}})
end

local function create_source()
    local space = box.schema.space.create('request_source', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'request_id', 'string'},
        {'position', 'unsigned'},
        {'kind', 'string'},
        {'ref', 'string'},
        {'title', 'string'},
        {'quote', 'string'},
    }})
    space:create_index('request', {parts = {{1, 'string'}, {3, 'string'}, {4, 'unsigned'}}})
end

-- One row per day and kind, and one per day with kind '' for all of them, so that any sum reads at most a row a day.
local function create_total()
    local space = box.schema.space.create('request_total', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'kind', 'string'},
        {'day', 'unsigned'},
        {'requests', 'unsigned'},
        {'cached', 'unsigned'},
        {'failed', 'unsigned'},
        {'cost_microusd', 'unsigned'},
        {'tokens_in', 'unsigned'},
        {'tokens_out', 'unsigned'},
    }})
    space:create_index('day', {parts = {{1, 'string'}, {3, 'string'}, {4, 'unsigned'}}})
end

return {
    id = 2, name = 'request',
    up = function()
        create_request()
        create_source()
        create_total()
    end,
}
