local clock = require('lycosa.core.clock')
local collector = require('lycosa.core.memory.collector')
local daemon = require('lycosa.core.daemon')
local fiber = require('fiber')
local memory = require('lycosa.core.memory')
local support = require('tests.lua.support')

local MEBIBYTE = 1048576

describe('memory', function()
    local filler

    before_each(function()
        support.reset()
        -- Rows outside the log, so that filling costs no disk.
        filler = box.schema.space.create('memory_filler', {temporary = true})
        filler:create_index('number')
    end)

    after_each(function()
        -- A dropped space gives its rows back later, deleted ones as soon as they are collected.
        for _, row in ipairs(filler:select()) do
            filler:delete{row[1]}
        end
        filler:drop()
        filler = nil
        collectgarbage()
        collectgarbage()
        memory.used_percent()
    end)

    local function set_cache()
        return lycosa.cache.set{tenant = 'acme', key = 'k', value = 'v', ttl = 10}
    end

    local function append(id, answer)
        return lycosa.request.append{
            tenant = 'acme', id = id, kind = 'a', status = 'done', question = 'q', answer = answer,
        }
    end

    -- Insert rows until a class of rows is refused; the arena itself must not be full before. Returns their number.
    local function fill(row_bytes, class)
        local value, count = ('x'):rep(row_bytes), 0
        local step = math.max(1, math.floor(MEBIBYTE / row_bytes))
        repeat
            for _ = 1, step do
                count = count + 1
                filler:insert{count, value}
            end
            memory.used_percent()
        until not pcall(memory.admit, 'any', class)
        return count
    end

    -- First of all: once the arena has taken the whole quota, such a row finds no place.
    it('counts rows that stand outside the arena', function()
        local before = memory.figures().used
        filler:insert{1, ('x'):rep(1.5 * MEBIBYTE)}
        local grown = memory.figures().used - before
        assert.is_true(grown >= 1.5 * MEBIBYTE and grown < 2 * MEBIBYTE)
    end)

    it('stops what can be made again early enough for the rest, whatever the size of the rows', function()
        for i, row_bytes in ipairs({16384, 250000, 1000000}) do
            set_cache()
            local rows = fill(row_bytes, 'cache')
            local details = support.raises('MEMORY_FULL', set_cache)
            assert.are.equal('cache_entry', details.space)
            assert.is_true(details.limit == 80 or details.limit == 50)
            assert.is_true(details.used >= details.limit)
            assert.is_true(details.retry_after > 0)
            for j = 1, 40 do
                append(('r-%d-%d'):format(i, j), ('я'):rep(100 * j))
            end

            -- Deleting alone frees nothing; the collector, stepped by the daemon, does.
            for j = 1, rows do
                filler:delete{j}
            end
            local deadline = clock.monotonic() + 10
            daemon.wake('memory.collect')
            while memory.used_percent() > 60 and clock.monotonic() < deadline do
                fiber.sleep(0.01)
            end
            assert.is_true(memory.used_percent() <= 60)
            -- The rest of it, so that the next size begins as this one did.
            collectgarbage()
            collectgarbage()
            memory.used_percent()
        end
        set_cache()
    end)

    it('lets a cache whose rows are half gone write again, though no slab is free', function()
        local rows = fill(20000, 'cache')
        support.raises('MEMORY_FULL', set_cache)
        for i = 1, rows, 2 do
            filler:delete{i}
        end
        collectgarbage()
        collectgarbage()
        assert.is_true(memory.used_percent() < 50)
        set_cache()
    end)

    it('counts what is being written between two readings', function()
        memory.used_percent()
        local quota = memory.figures().quota
        memory.admit('cache_entry', 'cache', quota * 0.4)
        support.raises('MEMORY_FULL', memory.admit, 'cache_entry', 'cache', quota * 0.5)
        memory.admit('customer', 'customer', quota * 0.5)
        support.raises('MEMORY_FULL', memory.admit, 'customer', 'customer', quota * 0.4)
    end)

    it('reads again after twenty milliseconds or a thousand admissions', function()
        memory.used_percent()
        local quota = memory.figures().quota
        memory.admit('cache_entry', 'cache', quota * 0.4)
        support.raises('MEMORY_FULL', memory.admit, 'cache_entry', 'cache', quota * 0.45)
        local passed = clock.monotonic() + 0.025
        while clock.monotonic() < passed do
            fiber.sleep(0.005)
        end
        memory.admit('cache_entry', 'cache', quota * 0.4)

        memory.used_percent()
        memory.admit('cache_entry', 'cache', quota * 0.4)
        for _ = 1, 1000 do
            memory.admit('customer', 'customer', 0)
        end
        memory.admit('cache_entry', 'cache', quota * 0.4)
    end)

    it('says a full arena in the words of the catalogue, and nothing is half written', function()
        -- Rows of the answer's own size, so that none of that size finds a place.
        local row, count = ('x'):rep(262250), 0
        repeat
            count = count + 1
        until not pcall(filler.insert, filler, {count, row}) or count > 2000
        assert.is_true(count < 2000)
        memory.used_percent()
        local details = support.raises('MEMORY_FULL', append, 'r-2', ('x'):rep(262144))
        assert.are.same({'request', true}, {details.space, details.retry_after > 0})
        assert.are.equal(0, box.space.request:len())
        assert.are.equal(0, box.space.request_total:len())
    end)

    it('names the space of every class when its mark is passed, and of no other class before', function()
        local writes = {
            {'cache_entry', 80, set_cache},
            {'document', 80, function(id)
                lycosa.document.put{tenant = 'acme', documents = {{id = id, text = 'a text'}}}
            end},
            {'customer', 97, function(id)
                lycosa.customer.upsert{tenant = 'acme', rows = {{id = id, name = 'Acme'}}}
            end},
            {'request', 97, append},
            {'quota_limit', 97, function(name)
                lycosa.quota.define{tenant = 'acme', quota = name, kind = 'slots', amount = 5}
            end},
            {'quota_reservation', 97, function(id)
                lycosa.quota.reserve{tenant = 'acme', id = id, lease = 60, claims = {{quota = 'first', amount = 1}}}
            end},
        }
        -- As if so much had been admitted a moment ago.
        local function fill_to(percent)
            memory.used_percent()
            local figures = memory.figures()
            memory.admit('any', 'any', figures.quota * percent / 100 - figures.used)
        end
        for _, write in ipairs(writes) do
            local space, limit, call = unpack(write)
            fill_to(limit - 2)
            call('first')
            fill_to(limit)
            local details = support.raises('MEMORY_FULL', call, 'second')
            assert.are.same({space, limit}, {details.space, details.limit})
            assert.is_true(details.retry_after > 0)
        end
        for _, space in ipairs({'customer', 'document', 'request', 'quota_limit', 'quota_reservation'}) do
            assert.are.equal(1, box.space[space]:len())
        end
    end)

    it('steps the collector again before its rest is over when garbage piles up', function()
        local percent = 50
        local step = collector.step(function() return percent end)
        local function cycle()
            local slices = 0
            repeat
                slices = slices + 1
            until not step.run(1) or slices > 100000
            return slices
        end
        -- Whether the slice that follows collects: a rest is one slice that does nothing.
        assert.is_true(cycle() > 1)
        assert.are.equal(1, cycle())
        percent = 53.9
        assert.are.equal(1, cycle())
        percent = 54
        assert.is_true(cycle() > 1)
        percent = 45
        assert.are.equal(1, cycle())
    end)

    it('shows the quota, the fill and every space', function()
        append('r-1')
        local figures = memory.figures()
        assert.are.equal(box.cfg.memtx_memory, figures.quota)
        assert.is_true(figures.used > 0 and figures.items_used > 0 and figures.lua_used > 0)
        assert.are.equal(figures.used * 100 / figures.quota, figures.used_percent)
        local found
        for i, space in ipairs(figures.spaces) do
            assert.is_true(i == 1 or figures.spaces[i - 1].name < space.name)
            found = space.name == 'request' and space or found
        end
        assert.are.equal(1, found.rows)
        assert.are.equal(box.space.request:get{'acme', 'r-1'}:bsize(), found.bytes)
        assert.are.equal('memtx', found.engine)
        assert.is_true(found.index_bytes > 0)
    end)
end)
