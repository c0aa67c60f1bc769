-- Customers, the figures of their segments, and how many a tenant has.

local function customer()
    local space = box.schema.space.create('customer', {
        format = {
            {name = 'tenant', type = 'string'},
            {name = 'bucket_id', type = 'unsigned'},
            {name = 'id', type = 'string'},
            {name = 'version', type = 'unsigned'},
            {name = 'external_id', type = 'string', is_nullable = true},
            {name = 'name', type = 'string'},
            {name = 'name_key', type = 'string'},
            {name = 'email', type = 'string', is_nullable = true},
            {name = 'segment', type = 'string'},
            {name = 'tags', type = 'array'},
            {name = 'country', type = 'string', is_nullable = true},
            {name = 'industry', type = 'string', is_nullable = true},
            {name = 'revenue_cents', type = 'unsigned'},
            {name = 'orders', type = 'unsigned'},
            {name = 'since', type = 'number'},
            {name = 'created_at', type = 'number'},
            {name = 'updated_at', type = 'number'},
            {name = 'profile', type = 'map'},
        },
    })
    space:create_index('id', {parts = {{1, 'string'}, {3, 'string'}}})
    space:create_index('external_id', {parts = {{1, 'string'}, {5, 'string', is_nullable = true}}})
    space:create_index('email', {
        unique = false, parts = {{1, 'string'}, {8, 'string', is_nullable = true}, {3, 'string'}},
    })
    space:create_index('segment', {
        unique = false, parts = {{1, 'string'}, {9, 'string'}, {15, 'number'}, {3, 'string'}},
    })
    space:create_index('tag', {
        unique = false, parts = {{1, 'string'}, {10, 'string', path = '[*]'}, {3, 'string'}},
    })
    space:create_index('name', {unique = false, parts = {{1, 'string'}, {7, 'string'}, {3, 'string'}}})
end

local function figures()
    local segment = box.schema.space.create('customer_segment', {
        format = {
            {name = 'tenant', type = 'string'},
            {name = 'bucket_id', type = 'unsigned'},
            {name = 'segment', type = 'string'},
            {name = 'customers', type = 'unsigned'},
            {name = 'revenue_cents', type = 'unsigned'},
            {name = 'orders', type = 'unsigned'},
            {name = 'updated_at', type = 'number'},
        },
    })
    segment:create_index('segment', {parts = {{1, 'string'}, {3, 'string'}}})
    local total = box.schema.space.create('customer_total', {
        format = {
            {name = 'tenant', type = 'string'},
            {name = 'bucket_id', type = 'unsigned'},
            {name = 'customers', type = 'unsigned'},
        },
    })
    total:create_index('tenant', {parts = {{1, 'string'}}})
end

return {
    id = 1,
    name = 'customer',
    up = function()
        customer()
        figures()
    end,
}
