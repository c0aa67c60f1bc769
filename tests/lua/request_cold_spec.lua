local clock = require('lycosa.core.clock')
local cold = require('lycosa.request.cold')
local daemon = require('lycosa.core.daemon')
local fiber = require('fiber')
local history = require('tests.lua.history')
local msgpack = require('msgpack')
local support = require('tests.lua.support')

local DAY = 86400
local LOOKUPS = {
    {by = 'time', wanted = function() return true end},
    {by = 'customer', value = 'c-2', wanted = function(args) return args.customer_id == 'c-2' end},
    {by = 'status', value = 'failed', wanted = function(args) return args.status == 'failed' end},
}

local configure, step, counts = history.configure, history.step, history.counts

local function get(id, tenant)
    return lycosa.request.get{tenant = tenant or 'acme', id = id}
end

-- What of all requests is listed: every look-up, both ways.
local function check_pages(all, limit)
    for _, lookup in ipairs(LOOKUPS) do
        for _, order in ipairs({'asc', 'desc'}) do
            local ids = history.expected(all, lookup.wanted, order)
            local forwards, backwards = history.walk{
                tenant = 'acme', by = lookup.by, value = lookup.value, order = order, limit = limit,
            }
            assert.are.same(ids, forwards)
            assert.are.same(ids, backwards)
        end
    end
end

describe('cold requests', function()
    before_each(function()
        configure{}
        support.reset()
    end)

    after_each(function()
        box.rollback()
        configure{}
    end)

    it('stay in memory unless a setting says otherwise', function()
        lycosa.request.append(history.ask())
        clock.advance(10000 * DAY)
        assert.are.equal(1, daemon.drain('request.move'))
        assert.are.same({1, 0, 0}, counts())
    end)

    it('are moved with their sources when they are old enough, and read as before', function()
        local sources = {{kind = 'web', ref = 'https://example.com/', title = 'Сайт', quote = 'q'}, {kind = 'record', ref = 'c-1'}}
        lycosa.request.append(history.ask{answer = 'Всё хорошо', customer_id = 'c-1', sources = sources})
        lycosa.request.append(history.ask{id = 'bare', error = 'slow'})
        lycosa.request.append(history.ask{tenant = 'other', question = 'Mine?'})
        local before, bare = get('r-1'), get('bare')
        clock.advance(1)
        lycosa.request.append(history.ask{id = 'young'})
        configure{request_cold_days = 2}
        clock.advance(2 * DAY - 2)
        local more, due = step('request.move')(100)
        assert.are.same({false, 1700000000 + 2 * DAY}, {more, due})
        assert.are.same({4, 2, 0}, counts())

        clock.advance(1)
        daemon.drain('request.move')
        assert.are.same({1, 0, 3}, counts())
        local after = get('r-1')
        -- What crosses the wire is the same to the byte.
        assert.are.equal(msgpack.encode(before.request), msgpack.encode(after.request))
        assert.are.equal(msgpack.encode(before.sources), msgpack.encode(after.sources))
        assert.are.equal(msgpack.encode(bare.request), msgpack.encode(get('bare').request))
        assert.are.equal(0, #get('bare').sources)
        assert.are.equal('Mine?', get('r-1', 'other').request[7])
        support.raises('REQUEST_NOT_FOUND', get, 'r-1', 'third')
        support.raises('REQUEST_NOT_FOUND', get, 'r-2')
        -- The sums do not move.
        local day = math.floor(1700000000 / DAY)
        local sums = lycosa.request.totals{tenant = 'acme', from_day = day, until_day = day + 1}
        assert.are.equal(3, tonumber(sums.requests))
    end)

    it('are the largest ones, too, and few of them a slice', function()
        local sources = {}
        for i = 1, 64 do
            sources[i] = {kind = 'web', ref = ('r'):rep(2048), title = ('t'):rep(1024), quote = ('q'):rep(2048)}
        end
        for i = 1, 6 do
            lycosa.request.append(history.ask{id = 'r-' .. i, answer = ('я'):rep(131072), sources = sources})
        end
        configure{request_cold_days = 1}
        clock.advance(DAY)
        -- Rows are counted with sources: two requests of 65 rows pass a hundred.
        assert.is_true(step('request.move')(100))
        assert.are.same({4, 256, 2}, counts())
        daemon.drain('request.move')
        assert.are.same({0, 0, 6}, counts())
        local whole = get('r-6')
        assert.are.same({262144, 64}, {#whole.request[8], #whole.sources})
        assert.are.equal(262144, lycosa.request.list{tenant = 'acme'}.rows[6][14])
    end)

    it('stand on the same pages as before, wherever the boundary lies', function()
        local all = history.fill()
        local first, last = all[1].created_at, all[#all].created_at
        for _, share in ipairs({0.1, 0.5, 0.9, 1}) do
            local boundary = math.floor(first + (last - first) * share)
            clock.freeze(boundary + 3 * DAY)
            configure{request_cold_days = 3}
            daemon.drain('request.move')
            assert.is_true(box.space.request:len() < 60 and #box.space.request_cold:select() > 0)
            -- What is written to disk is read from memory until it is dumped.
            if share == 0.5 then
                box.snapshot()
            end
            for _, limit in ipairs({1, 7, 1000}) do
                check_pages(all, limit)
            end
        end
    end)

    it('are shown within bounds of time', function()
        local all = history.fill()
        clock.freeze(1700000040 + DAY)
        configure{request_cold_days = 1}
        daemon.drain('request.move')
        for _, bounds in ipairs({{1700000010, 1700000030}, {1700000010, 1700000070}, {1700000060, 1700000080}}) do
            local wanted = function(args) return args.created_at >= bounds[1] and args.created_at < bounds[2] end
            for _, order in ipairs({'asc', 'desc'}) do
                local query = {tenant = 'acme', from = bounds[1], ['until'] = bounds[2], order = order, limit = 4}
                assert.are.same(history.expected(all, wanted, order), (history.walk(query)))
            end
        end
    end)

    it('are shown once while they are in both places, and leave memory later', function()
        local all = history.fill()
        local rows = box.space.request:select()
        clock.advance(5 * DAY)
        configure{request_cold_days = 1}
        daemon.drain('request.move')
        -- As a process that died after it had written to disk leaves them.
        configure{}
        for i = 1, #rows, 2 do
            box.space.request:insert(rows[i])
        end
        check_pages(all, 7)
        configure{request_cold_days = 1}
        daemon.drain('request.move')
        assert.are.same({0, 0, 60}, counts())
        check_pages(all, 7)
    end)

    it('stay in memory while the disk is behind', function()
        lycosa.request.append(history.ask())
        configure{request_cold_days = 1}
        clock.advance(2 * DAY)
        local read = box.stat.vinyl
        local figures = read()
        figures.memory.level0 = figures.regulator.dump_watermark
        rawset(box.stat, 'vinyl', function() return figures end)
        local ok, more, due = pcall(step('request.move'), 100)
        rawset(box.stat, 'vinyl', read)
        assert.are.same({true, false, clock.now() + 1}, {ok, more, due})
        assert.are.same({1, 0, 0}, counts())
        assert.is_true(step('request.move')(100))
        assert.are.same({0, 0, 1}, counts())
    end)

    it('are neither lost nor doubled for whoever reads while they move', function()
        local all = history.fill()
        configure{request_cold_days = 1}
        clock.advance(5 * DAY)
        -- What is in files already has to be waited for.
        local move = step('request.move')
        move(20)
        box.snapshot()
        local stopped, failures, walks = false, {}, 0
        local readers = {}
        for i, lookup in ipairs(LOOKUPS) do
            readers[i] = fiber.new(function()
                while not stopped do
                    local ok, problem = pcall(function()
                        local ids = history.expected(all, lookup.wanted, 'desc')
                        local query = {tenant = 'acme', by = lookup.by, value = lookup.value, limit = 5}
                        assert.are.same(ids, (history.walk(query)))
                        get(ids[#ids])
                    end)
                    walks = walks + 1
                    if not ok then
                        table.insert(failures, problem)
                    end
                    fiber.yield()
                end
            end)
            readers[i]:set_joinable(true)
        end
        while move(2) do
            fiber.yield()
        end
        stopped = true
        for _, reader in ipairs(readers) do
            reader:join()
        end
        assert.are.same({}, failures)
        assert.is_true(walks >= #readers)
        assert.are.same({0, 0, 60}, counts())
    end)
end)

describe('requests that move while the disk is waited for', function()
    local read = cold.summaries

    before_each(function()
        configure{}
        support.reset()
    end)

    after_each(function()
        cold.summaries = read
        configure{}
    end)

    it('are on the page once, whether the disk had them or not', function()
        for _, is_late in ipairs({false, true}) do
            support.reset()
            local all = history.fill()
            configure{request_cold_days = 1}
            clock.advance(2 * DAY)
            step('request.move')(20)
            local moved = 0
            cold.summaries = function(...)
                local early = is_late and read(...)
                moved = moved + daemon.drain('request.move')
                return early or read(...)
            end
            local ids = history.expected(all, LOOKUPS[1].wanted, 'desc')
            assert.are.same(ids, (history.walk{tenant = 'acme', limit = 1000}))
            assert.is_true(moved > 1 and box.space.request:len() == 0)
            cold.summaries = read
        end
    end)
end)
