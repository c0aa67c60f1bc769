local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local fiber = require('fiber')
local history = require('tests.lua.history')
local request = require('lycosa.request')
local support = require('tests.lua.support')

local DAY = 86400

local ask, today, totals = history.ask, history.today, history.totals

describe('request.totals', function()
    before_each(support.reset)

    it('equals a recount, by kind and in all, over days', function()
        math.randomseed(11)
        local rows = {}
        for i = 1, 120 do
            local args = ask{
                id = 'r-' .. i, kind = ({'analysis', 'search', 'поиск'})[math.random(3)], cost_microusd = math.random(0, 10^9),
                tokens_in = math.random(0, 5000), tokens_out = math.random(0, 900), cached = math.random(2) == 1,
                status = ({'done', 'failed', 'cancelled'})[math.random(3)],
            }
            lycosa.request.append(args)
            args.day = today()
            table.insert(rows, args)
            clock.advance(math.random(0, 20000))
        end
        local first, last = rows[1].day, rows[#rows].day
        assert.is_true(last - first > 5)
        for _, kind in ipairs({false, 'analysis', 'search', 'поиск', 'none'}) do
            local sums = {requests = 0, cached = 0, failed = 0, cost_microusd = 0, tokens_in = 0, tokens_out = 0}
            for _, args in ipairs(rows) do
                if (not kind or args.kind == kind) and args.day >= first + 1 and args.day < last then
                    sums.requests = sums.requests + 1
                    sums.cached = sums.cached + (args.cached and 1 or 0)
                    sums.failed = sums.failed + (args.status == 'failed' and 1 or 0)
                    sums.cost_microusd = sums.cost_microusd + args.cost_microusd
                    sums.tokens_in = sums.tokens_in + args.tokens_in
                    sums.tokens_out = sums.tokens_out + args.tokens_out
                end
            end
            assert.are.same(sums, totals{from_day = first + 1, until_day = last, kind = kind or nil})
        end
    end)

    it('stays exact beyond what a double can hold', function()
        lycosa.request.append(ask{cost_microusd = 1})
        local day = today()
        box.space.request_total:update({'acme', '', day}, {{'=', 8, 9007199254740993ULL}})
        clock.advance(DAY)
        lycosa.request.append(ask{id = 'r-2', cost_microusd = 1})
        local sums = lycosa.request.totals{tenant = 'acme', from_day = day, until_day = day + 2}
        assert.is_true(sums.cost_microusd == 9007199254740994ULL)
    end)

    it('bounds the days', function()
        local from = today() - 365
        assert.are.equal(0, totals{from_day = from, until_day = from + 366}.requests)
        local details = support.raises('INVALID_ARGUMENT', totals, {from_day = from, until_day = from + 367})
        assert.are.equal('until_day', details.argument)
        support.raises('INVALID_ARGUMENT', totals, {from_day = from, until_day = from})
        support.raises('INVALID_ARGUMENT', totals, {from_day = -1})
    end)
end)

describe('request retention', function()
    before_each(support.reset)

    after_each(function()
        request.configure{}
    end)

    -- The daemon is woken by it; its slice comes before ours.
    local function configure(days)
        request.configure{retention_days = days}
        fiber.sleep(0.02)
    end

    local function append(number, sources)
        for i = 1, number do
            local list = {}
            for j = 1, sources do
                list[j] = {kind = 'web', ref = 'https://example.com/' .. j}
            end
            lycosa.request.append(ask{id = ('%d-%d-%d'):format(clock.now(), sources, i), sources = list})
        end
    end

    it('keeps everything when no limit is set', function()
        append(3, 1)
        clock.advance(10000 * DAY)
        assert.are.equal(1, daemon.drain('request.retain'))
        assert.are.equal(3, box.space.request:len())
    end)

    it('removes what is older with its sources, in slices, and keeps the sums', function()
        append(30, 10)
        local day = today()
        clock.advance(2 * DAY)
        append(5, 2)
        clock.advance(-1)
        configure(2)
        daemon.drain('request.retain')
        assert.are.equal(35, box.space.request:len())
        clock.advance(1)
        -- 30 requests of 11 rows each, at least 100 rows a slice: 10, 10 and 10 requests.
        assert.are.equal(3, daemon.drain('request.retain'))
        assert.are.equal(5, box.space.request:len())
        assert.are.equal(10, box.space.request_source:len())
        assert.are.equal(30, totals{from_day = day, until_day = day + 1}.requests)
        support.raises('REQUEST_NOT_FOUND', lycosa.request.get, {tenant = 'acme', id = '1700000000-10-1'})
    end)

    it('bounds the rows of a slice and tells when the next is due', function()
        append(4, 64)
        configure(1)
        local step = request.steps[1]
        local more, due = step.run(100)
        assert.is_false(more)
        assert.are.equal(1700000000 + DAY, due)
        clock.advance(DAY)
        more = step.run(100)
        assert.is_true(more)
        assert.are.equal(2, box.space.request:len())
        more, due = step.run(100)
        assert.is_false(more)
        assert.is_nil(due)
        assert.are.same({0, 0}, {box.space.request:len(), box.space.request_source:len()})
    end)
end)
