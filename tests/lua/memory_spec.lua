local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local memory = require('lycosa.core.memory')
local support = require('tests.lua.support')

local MEBIBYTE = 1048576
local GIBIBYTE = 1024 * MEBIBYTE

describe('memory', function()
    local filler

    before_each(support.reset)

    after_each(function()
        if filler then
            -- A dropped space gives its rows back later, deleted ones as soon as they are collected.
            for _, row in ipairs(filler:select()) do
                filler:delete{row[1]}
            end
            filler:drop()
            filler = nil
        end
        collectgarbage()
        collectgarbage()
        memory.used_percent()
    end)

    -- Rows outside the log, so that filling costs no disk.
    local function fill_to(percent)
        filler = box.schema.space.create('memory_filler', {temporary = true})
        filler:create_index('number')
        local value = ('x'):rep(16384)
        local count = 0
        while memory.used_percent() < percent do
            for _ = 1, 64 do
                count = count + 1
                filler:insert{count, value}
            end
        end
        return count
    end

    local function set_cache()
        return lycosa.cache.set{tenant = 'acme', key = 'k', value = 'v', ttl = 10}
    end

    local function append(id)
        return lycosa.request.append{tenant = 'acme', id = id, kind = 'a', status = 'done', question = 'q'}
    end

    -- First of all: once the arena has taken the whole quota, such a row finds no place.
    it('counts rows that stand outside the arena', function()
        filler = box.schema.space.create('memory_filler', {temporary = true})
        filler:create_index('number')
        local before = memory.figures().used
        filler:insert{1, ('x'):rep(1.5 * MEBIBYTE)}
        local grown = memory.figures().used - before
        assert.is_true(grown >= 1.5 * MEBIBYTE and grown < 2 * MEBIBYTE)
    end)

    it('stops what can be made again at 80 %, takes the rest, and recovers', function()
        set_cache()
        local rows = fill_to(81)
        local details = support.raises('MEMORY_FULL', set_cache)
        assert.are.equal('cache_entry', details.space)
        assert.are.equal(80, details.limit)
        assert.are.equal(81, details.used)
        assert.is_true(details.retry_after > 0)
        assert.are.equal('r-1', append('r-1').id)

        -- Deleting alone frees nothing; the collector, stepped by the daemon, does.
        for i = 1, rows do
            filler:delete{i}
        end
        local slices = daemon.drain('memory.collect', 100000)
        assert.is_true(slices >= 1)
        assert.is_true(memory.used_percent() < 60)
        set_cache()
    end)

    it('keeps room for the slabs of a small quota', function()
        assert.are.equal(80, memory.limit('cache', GIBIBYTE))
        assert.are.equal(80, memory.limit('document', 256 * MEBIBYTE))
        assert.are.equal(68, memory.limit('cache', 128 * MEBIBYTE))
        assert.are.equal(50, memory.limit('cache', 64 * MEBIBYTE))
        assert.are.equal(97, memory.limit('customer', 64 * MEBIBYTE))
    end)

    it('counts what is being written between two readings', function()
        memory.used_percent()
        local quota = memory.figures().quota
        memory.admit('cache_entry', 'cache', quota * 0.5)
        support.raises('MEMORY_FULL', memory.admit, 'cache_entry', 'cache', quota * 0.5)
        memory.admit('customer', 'customer', quota * 0.4)
        support.raises('MEMORY_FULL', memory.admit, 'customer', 'customer', quota * 0.5)
    end)

    it('reads again after a thousand admissions or twenty milliseconds', function()
        memory.used_percent()
        local quota = memory.figures().quota
        memory.admit('cache_entry', 'cache', quota * 0.7)
        support.raises('MEMORY_FULL', memory.admit, 'cache_entry', 'cache', quota * 0.2)
        local until_then = clock.monotonic() + 0.025
        while clock.monotonic() < until_then do
            require('fiber').sleep(0.005)
        end
        memory.admit('cache_entry', 'cache', quota * 0.2)

        memory.used_percent()
        memory.admit('cache_entry', 'cache', quota * 0.7)
        for _ = 1, 1000 do
            memory.admit('customer', 'customer', 0)
        end
        memory.admit('cache_entry', 'cache', quota * 0.2)
    end)

    it('says a full arena in the words of the catalogue', function()
        local put = {tenant = 'acme', id = 'r-2', kind = 'a', status = 'done', question = 'q', answer = ('x'):rep(262144)}
        fill_to(79)
        local row, refused = ('x'):rep(250000), false
        for i = 1, 500 do
            if not pcall(filler.insert, filler, {1000000 + i, row}) then
                refused = true
                break
            end
        end
        assert.is_true(refused)
        memory.used_percent()
        support.raises('MEMORY_FULL', lycosa.request.append, put)
        assert.are.equal(0, box.space.request:len())
        assert.are.equal(0, box.space.request_total:len())
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
