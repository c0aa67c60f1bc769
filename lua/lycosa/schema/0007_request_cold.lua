-- Requests that have moved to disk: whole in one space, without their answers in another that is listed from.

-- A request as it was, its sources appended as one list.
local function create_cold()
    local space = box.schema.space.create('request_cold', {engine = 'vinyl', format = {
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
        {'sources', 'array'},
    }})
    space:create_index('id', {parts = {{1, 'string'}, {3, 'string'}}})
end

-- The same fields in the same places, but for the answer its size: pages read no answers from disk.
local function create_summary()
    local space = box.schema.space.create('request_cold_summary', {engine = 'vinyl', format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'id', 'string'},
        {'customer_id', 'string', is_nullable = true},
        {'kind', 'string'},
        {'status', 'string'},
        {'question', 'string'},
        {'answer_bytes', 'unsigned'},
        {'model', 'string', is_nullable = true},
        {'cost_microusd', 'unsigned'},
        {'tokens_in', 'unsigned'},
        {'tokens_out', 'unsigned'},
        {'cached', 'boolean'},
        {'duration_ms', 'unsigned'},
        {'created_at', 'number'},
        {'error', 'string', is_nullable = true},
    }})
    -- Not unique beyond the first: a unique index on disk is read before every write.
    space:create_index('time', {parts = {{1, 'string'}, {15, 'number'}, {3, 'string'}}})
    space:create_index('customer', {unique = false, parts = {
        {1, 'string'}, {4, 'string', is_nullable = true}, {15, 'number'}, {3, 'string'},
    }})
    space:create_index('status', {unique = false, parts = {
        {1, 'string'}, {6, 'string'}, {15, 'number'}, {3, 'string'},
    }})
    space:create_index('age', {unique = false, parts = {{15, 'number'}, {1, 'string'}, {3, 'string'}}})
end

-- How young the youngest request on disk is, by tenant: what is younger need not be looked for there.
local function create_boundary()
    local space = box.schema.space.create('request_boundary', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'newest', 'number'},
    }})
    space:create_index('tenant', {parts = {{1, 'string'}}})
end

return {
    id = 7, name = 'request_cold',
    up = function()
        create_cold()
        create_summary()
        create_boundary()
    end,
}
