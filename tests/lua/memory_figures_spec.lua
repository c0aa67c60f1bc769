local arena = require('lycosa.core.memory.arena')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local footprint = require('lycosa.core.memory.footprint')
local growth = require('lycosa.core.memory.growth')
local memory = require('lycosa.core.memory')
local support = require('tests.lua.support')

-- Bytes of a space's rows, each looked at.
local function walked(space)
    local rows, bytes = 0, 0
    for _, row in space:pairs() do
        rows, bytes = rows + 1, bytes + row:bsize()
    end
    return rows, bytes
end

local function of_space(name)
    for _, space in ipairs(footprint.spaces()) do
        if space.name == name then
            return space
        end
    end
end

describe('bytes of spaces', function()
    before_each(support.reset)

    it('equal a walk after random inserts, updates and deletes, rolled back ones too', function()
        math.randomseed(3)
        for round = 1, 400 do
            local id, text = 'c-' .. math.random(60), ('я'):rep(math.random(0, 120))
            if math.random(4) == 1 then
                lycosa.customer.delete{tenant = 'acme', ids = {id}}
            elseif math.random(5) == 1 then
                box.begin()
                lycosa.customer.upsert{tenant = 'acme', rows = {{id = id, name = 'Gone ' .. text}}}
                box.rollback()
            else
                lycosa.customer.upsert{tenant = 'acme', rows = {{id = id, name = 'Имя ' .. text, tags = {'a', 'b'}}}}
            end
            if round % 20 == 0 then
                local found = of_space('customer')
                assert.are.same({walked(box.space.customer)}, {found.rows, found.bytes})
            end
        end
        assert.is_true(of_space('customer').rows > 10)
    end)

    it('of indexes are what the arena holds besides rows', function()
        for batch = 1, 20 do
            local rows = {}
            for i = 1, 200 do
                rows[i] = {id = ('c-%d-%d'):format(batch, i), name = 'Acme ' .. i, segment = 's' .. i % 7}
            end
            lycosa.customer.upsert{tenant = 'acme', rows = rows}
        end
        local counted = 0
        for _, row in box.space._space:pairs() do
            for id, index in pairs(box.space[row[3]].index) do
                -- The system's views list other spaces' rows and own none.
                if type(id) == 'number' and row[4] == 'memtx' then
                    counted = counted + tonumber(index:bsize())
                end
            end
        end
        local slab = box.slab.info()
        local held = tonumber(slab.arena_used) - tonumber(slab.items_used)
        assert.is_true(counted > 1000000 and counted <= held, ('%d of %d'):format(counted, held))
        -- What is held besides: blocks of dropped and truncated indexes, kept for the next ones.
        local grown = held
        for i = 1, 4000 do
            lycosa.customer.upsert{tenant = 'other', rows = {{id = 'd-' .. i, name = 'Acme ' .. i}}}
        end
        slab = box.slab.info()
        grown = tonumber(slab.arena_used) - tonumber(slab.items_used) - grown
        assert.is_true(grown >= 0)
    end)

    it('add up to what is live, without what is on disk', function()
        local on_disk = box.schema.space.create('figures_on_disk', {engine = 'vinyl'})
        on_disk:create_index('id')
        on_disk:insert{1, ('x'):rep(10000)}
        local spaces, sum = footprint.spaces(), 0
        for _, space in ipairs(spaces) do
            if space.name ~= 'figures_on_disk' then
                sum = sum + (space.engine == 'memtx' and space.bytes + space.index_bytes or 0)
            end
        end
        assert.are.equal(sum, footprint.live(spaces))
        assert.are.equal('vinyl', of_space('figures_on_disk').engine)
        assert.is_true(footprint.vinyl() >= 10000)
        on_disk:drop()
    end)
end)

describe('sizes of rows', function()
    it('are listed once each from the smallest, and add up to what is used', function()
        -- A deleted row is freed when the collector meets it: before the two readings, not between them.
        collectgarbage()
        collectgarbage()
        collectgarbage('stop')
        local classes = arena.size_classes()
        local slab = box.slab.info()
        collectgarbage('restart')
        local used, free = 0, 0
        for i, class in ipairs(classes) do
            assert.is_true(i == 1 or classes[i - 1].item_size < class.item_size)
            assert.is_true(class.items * class.item_size <= class.used_bytes)
            used, free = used + class.used_bytes, free + class.free_bytes
        end
        assert.are.equal(tonumber(slab.arena_used), used)
        assert.is_true(free > 0 and used + free <= tonumber(slab.arena_size))
    end)

    it('say how full the slabs of those are that hold rows in number', function()
        local space = box.schema.space.create('figures_sizes', {temporary = true})
        space:create_index('id')
        collectgarbage()
        collectgarbage()
        for i = 1, 4000 do
            space:insert{i, ('x'):rep(6000)}
        end
        local full = arena.sizes_full()
        assert.is_true(full > 50 and full <= 100)
        for i = 1, 4000, 2 do
            space:delete{i}
        end
        collectgarbage()
        collectgarbage()
        -- Most rows are these, and half of them left holes.
        assert.is_true(arena.sizes_full() < full - 20)
        space:drop()
    end)

    it('keep what deleted rows leave for rows of their size', function()
        local space = box.schema.space.create('figures_sizes', {temporary = true})
        space:create_index('id')
        -- Of this size there is nothing else.
        local text = ('x'):rep(6000)
        local function free_above(size)
            local free = 0
            for _, class in ipairs(arena.size_classes()) do
                free = free + (class.item_size >= size and class.free_bytes or 0)
            end
            return free
        end
        for i = 1, 1000 do
            space:insert{i, text}
        end
        collectgarbage('stop')
        local full = free_above(#text)
        -- A slab whose rows are all gone serves any size again: so every second stays.
        for i = 1, 1000, 2 do
            space:delete{i}
        end
        local left = free_above(#text)
        collectgarbage('restart')
        assert.are.equal(full, left)
        collectgarbage()
        collectgarbage()
        assert.is_true(free_above(#text) - full >= 400 * #text)
        space:drop()
    end)
end)

describe('growth', function()
    before_each(function()
        support.reset()
        growth.forget()
    end)

    after_each(growth.forget)

    it('is the rate over at least one and at most five minutes', function()
        assert.is_nil(growth.rate())
        growth.note(1000, 5000)
        assert.is_nil(growth.rate())
        growth.note(1059, 9000)
        assert.is_nil(growth.rate())
        growth.note(1060, 11000)
        assert.are.equal(100, growth.rate())
        for i = 1, 29 do
            growth.note(1060 + i * 10, 11000 + i * 50)
        end
        -- Thirty-one notes are kept: the first is gone, the second still there.
        assert.are.equal((11000 + 29 * 50 - 9000) / (1350 - 1059), growth.rate())
        growth.note(1360, 11000 + 30 * 50)
        assert.are.equal(5, growth.rate())
    end)

    it('tells when the memory will be full, unless it does not grow', function()
        assert.is_nil(growth.seconds(1000))
        growth.note(0, 0)
        growth.note(100, 500)
        assert.are.equal(200, growth.seconds(1000))
        assert.are.equal(0, growth.seconds(-5))
        growth.note(200, 0)
        assert.is_nil(growth.seconds(1000))
        growth.note(300, -900)
        assert.are.equal(-3, growth.rate())
        assert.is_nil(growth.seconds(1000))
    end)

    it('is sampled every ten seconds by the daemon', function()
        local more, due = growth.step.run(1)
        assert.is_false(more)
        assert.are.equal(clock.now() + 10, due)
        daemon.drain('memory.sample')
        assert.is_nil(growth.rate())
        -- A minute ago nothing was live.
        growth.forget()
        growth.note(clock.monotonic() - 61, 0)
        daemon.drain('memory.sample')
        local figures = memory.figures()
        assert.is_true(math.abs(figures.growth * 61 - figures.live) < figures.live / 50)
        local left = figures.quota * 0.97 - figures.used
        assert.is_true(math.abs(figures.seconds_to_full * figures.growth - left) < left / 1000)
    end)
end)

describe('system.memory', function()
    before_each(function()
        support.reset()
        growth.forget()
    end)

    after_each(growth.forget)

    it('says what is known and null for what is not', function()
        local answer = lycosa.system.memory{}
        assert.are.equal(box.cfg.memtx_memory, answer.quota_bytes)
        assert.is_true(answer.used_bytes > 0 and answer.live_bytes > 0 and answer.item_bytes > 0)
        assert.is_true(answer.lua_bytes > 0 and answer.lua_bytes % 1 == 0 and answer.vinyl_bytes >= 0)
        assert.is_true(answer.growth == nil and answer.seconds_to_full == nil)
        assert.is_true(#answer.spaces > 5 and #answer.size_classes > 5)
        growth.note(0, 0)
        growth.note(100, 1000)
        answer = lycosa.system.memory{}
        assert.are.equal(10, answer.growth)
        assert.is_true(answer.seconds_to_full > 0)
    end)
end)

describe('lycosa.memory', function()
    before_each(function()
        support.reset()
        growth.forget()
    end)

    after_each(growth.forget)

    it('prints the fill, the growth, the spaces and the sizes of rows', function()
        lycosa.cache.set{tenant = 'acme', key = 'k', value = 'v', ttl = 5}
        local text = lycosa.memory()
        for _, wanted in ipairs({
            '^Memory of the store: [%d.]+ %a+ of 256.0 MiB in use\n\n', '\nquota +256.0 MiB +100.0 %%\n',
            '\nof it not deleted +%d', '\nvinyl %(outside the quota%) +%d', '\nGrowth is not known yet',
            '\ncache_entry +memtx +1 ', '\nrows of up to +rows +slabs +used +free +free share\n',
        }) do
            assert.is_truthy(text:find(wanted), wanted)
        end
        growth.note(0, 1000)
        growth.note(100, 1000)
        assert.is_truthy(lycosa.memory():find('\nDoes not grow.\n', 1, true))
        growth.note(200, 1000 + 200 * 1048576)
        assert.is_truthy(lycosa.memory():find('\nGrows by 1.0 MiB/s; at that rate no write is accepted in %d+ min.\n'))
    end)
end)
