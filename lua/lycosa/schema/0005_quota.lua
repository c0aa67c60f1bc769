-- Quotas: limits with their counters, reservations, and what open reservations hold of which limit.

local function create_limit()
    local space = box.schema.space.create('quota_limit', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'quota', 'string'},
        {'kind', 'string'},
        {'amount', 'unsigned'},
        {'unit', 'string'},
        {'scale', 'unsigned'},
        {'shadow', 'boolean'},
        {'period', 'number', is_nullable = true},
        {'burst', 'unsigned', is_nullable = true},
        {'window', 'string', is_nullable = true},
        {'time_zone', 'string', is_nullable = true},
        {'utc_offsets', 'array', is_nullable = true},
        {'created_at', 'number'},
        {'updated_at', 'number'},
        -- What follows are the counters; what they mean depends on the kind.
        {'used', 'unsigned'},
        {'reserved', 'unsigned'},
        {'unknown', 'unsigned'},
        {'since', 'number'},
        {'ends', 'number'},
        {'near', 'unsigned'},
        {'shadowed', 'unsigned'},
        {'generation', 'unsigned'},
    }})
    space:create_index('quota', {parts = {{1, 'string'}, {3, 'string'}}})
end

local function create_reservation()
    local space = box.schema.space.create('quota_reservation', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'id', 'string'},
        {'state', 'string'},
        {'created_at', 'number'},
        {'lapses_at', 'number'},
        {'closed_at', 'number', is_nullable = true},
        {'claims', 'array'},
        {'due', 'number'},
    }})
    space:create_index('id', {parts = {{1, 'string'}, {3, 'string'}}})
    space:create_index('state', {parts = {{1, 'string'}, {4, 'string'}, {6, 'number'}, {3, 'string'}}})
    -- For the step: what lapses or may be forgotten first, of all tenants.
    space:create_index('due', {parts = {{9, 'number'}, {1, 'string'}, {3, 'string'}}})
end

local function create_hold()
    local space = box.schema.space.create('quota_hold', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'quota', 'string'},
        {'lapses_at', 'number'},
        {'reservation_id', 'string'},
        {'amount', 'unsigned'},
    }})
    space:create_index('lapse', {parts = {{1, 'string'}, {3, 'string'}, {4, 'number'}, {5, 'string'}}})
end

return {
    id = 5, name = 'quota',
    up = function()
        create_limit()
        create_reservation()
        create_hold()
    end,
}
