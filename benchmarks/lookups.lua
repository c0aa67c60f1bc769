-- Fills a store with customers from inside, for benchmarks/lookups.py: dofile('.../lookups.lua')(tenant, count).
-- Also makes bench_get, a bare function beside which the contract's wrapper is measured.

local fiber = require('fiber')

local BATCH = 1000
local SEGMENTS, TAGS = 100, 50
local SINCE = 1600000000
local SURNAMES = {'Иванов', 'Петрова', 'Ёлкин', 'Smith', 'Orlov', 'Müller', 'Кузнецов', 'Li'}

-- Multipliers prime to the counts spread neighbours apart, the same way each time.
local function row(i)
    local spread = i * 7919
    return {
        id = ('c%07d'):format(i), external_id = 'crm-' .. i, name = SURNAMES[i % #SURNAMES + 1] .. ' ' .. spread % 1000003,
        email = 'user' .. i .. '@example.com', segment = 's' .. spread % SEGMENTS,
        tags = {'t' .. i % TAGS, 'region ' .. spread % 7}, country = 'RU', industry = 'retail',
        revenue_cents = spread % 1000000, orders = i % 100, since = SINCE + spread % 100000000,
        profile = {city = 'Москва', size = i % 500},
    }
end

local function publish_bare()
    rawset(_G, 'bench_get', function(args)
        return box.space.customer:get{args.tenant, args.id}
    end)
    box.schema.func.create('bench_get', {setuid = true, if_not_exists = true})
    box.schema.user.grant('lycosa', 'execute', 'function', 'bench_get', {if_not_exists = true})
end

return function(tenant, count)
    local upsert = rawget(_G, 'lycosa').customer.upsert
    for first = 0, count - 1, BATCH do
        local rows = {}
        for i = first, math.min(first + BATCH, count) - 1 do
            rows[#rows + 1] = row(i)
        end
        for i, outcome in ipairs(upsert{tenant = tenant, rows = rows}) do
            assert(outcome[1] == 'inserted', rows[i].id .. ': ' .. outcome[1] .. ' ' .. tostring(outcome[5]))
        end
        fiber.yield()
    end
    publish_bare()
    return box.space.customer:len()
end
