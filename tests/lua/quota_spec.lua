-- Limits and takes. Reservations have a spec of their own, as have calendar windows.

local clock = require('lycosa.core.clock')
local metrics = require('lycosa.core.metrics')
local support = require('tests.lua.support')

local START = 1700000000

local function define(quota, fields)
    local args = {tenant = 'acme', quota = quota}
    for name, value in pairs(fields) do
        args[name] = value
    end
    return lycosa.quota.define(args)
end

local function take(...)
    local claims = {}
    for i = 1, select('#', ...), 2 do
        local quota, amount = select(i, ...)
        table.insert(claims, {quota = quota, amount = amount})
    end
    return lycosa.quota.take{tenant = 'acme', claims = claims}
end

local function report(quota)
    return lycosa.quota.report{tenant = 'acme', quotas = {quota}}.rows[1]
end

local function exceeded(...)
    return support.raises('QUOTA_EXCEEDED', take, ...)
end

describe('quota.take of a rate', function()
    before_each(support.reset)

    it('lets the burst through at once and the rest at its pace', function()
        define('search', {kind = 'rate', amount = 10, period = 1, burst = 5})
        assert.are.same({{'search', 0, 5, true, START + 0.5}}, take('search', 5))
        local details = exceeded('search', 1)
        assert.are.same({quota = 'search', left = 0, limit = 5, amount = 1, scale = 0, retry_after = 0.101}, details)
        clock.advance(0.125)
        assert.are.equal(0, take('search', 1)[1][2])
        clock.advance(10)
        assert.are.equal(5, report('search').left)
        take('search', 5)
        exceeded('search', 1)
    end)

    it('says how long to wait, to the millisecond and never too short', function()
        define('search', {kind = 'rate', amount = 7, period = 3, burst = 4})
        for _ = 1, 50 do
            local ok = pcall(take, 'search', 3)
            if not ok then
                local wait = exceeded('search', 3).retry_after
                clock.advance(wait)
                take('search', 3)
            end
        end
    end)

    it('tells no time to wait for what can never be had', function()
        define('search', {kind = 'rate', amount = 10, period = 1})
        assert.is_nil(exceeded('search', 11).retry_after)
        assert.are.equal(10, exceeded('search', 11).left)
    end)

    it('lets through exactly what has flowed in over a long time', function()
        define('tokens', {kind = 'rate', amount = 1000003, period = 60, burst = 1000})
        local taken, began = 0, clock.now()
        for _ = 1, 2000 do
            local left = report('tokens').left
            if left > 0 then
                take('tokens', left)
                taken = taken + left
            end
            clock.advance(0.0078125)
        end
        -- The last advance came after the last take.
        local flowed = (clock.now() - 0.0078125 - began) * 1000003 / 60
        assert.are.equal(1000 + math.floor(flowed), taken)
    end)

    it('gives nothing back when the clock goes back', function()
        define('search', {kind = 'rate', amount = 1, period = 1, burst = 10})
        take('search', 10)
        clock.freeze(START - 3600)
        assert.are.equal(3601.001, exceeded('search', 1).retry_after)
        clock.freeze(START + 5)
        assert.are.equal(5, report('search').left)
        take('search', 5)
        clock.freeze(START)
        exceeded('search', 1)
        clock.freeze(START + 5)
        exceeded('search', 1)
    end)

    it('keeps its debt when it is changed', function()
        define('search', {kind = 'rate', amount = 10, period = 1, burst = 10})
        take('search', 10)
        define('search', {kind = 'rate', amount = 10, period = 1, burst = 15})
        assert.are.equal(5, report('search').left)
        clock.advance(0.0625)
        for _ = 1, 3 do
            define('search', {kind = 'rate', amount = 10, period = 1, burst = 15})
        end
        clock.advance(0.0625)
        assert.are.equal(6, report('search').left)
        define('search', {kind = 'rate', amount = 1, period = 1, burst = 10})
        assert.are.same({9, 1}, {report('search').used, report('search').left})
        clock.advance(8)
        assert.are.equal(9, report('search').left)
    end)

    it('keeps counting through a busy time that never ends', function()
        define('flood', {kind = 'rate', amount = 1e15, period = 1, burst = 1e15})
        for _ = 1, 900 do
            take('flood', 1e12)
        end
        clock.advance(0.25)
        for _ = 1, 300 do
            take('flood', 1e12)
        end
        assert.are.equal(50e12, report('flood').left)
    end)
end)

describe('quota.take of a window', function()
    before_each(support.reset)

    it('counts within the window and begins anew with the next', function()
        define('tavily', {kind = 'window', window = 'minute', amount = 3, unit = 'request'})
        -- 1700000000 is 20 seconds into its minute.
        assert.are.same({{'tavily', 1, 3, false, START + 40}}, take('tavily', 2))
        take('tavily', 1)
        assert.are.equal(40, exceeded('tavily', 1).retry_after)
        clock.advance(39.999)
        assert.are.equal(0.001, exceeded('tavily', 1).retry_after)
        clock.advance(0.001)
        assert.are.equal(0, take('tavily', 3)[1][2])
        assert.are.equal(START + 40, report('tavily').since)
    end)

    it('counts money to the millionth, without drift', function()
        define('money', {kind = 'window', window = 'total', amount = 1000000, unit = 'USD', scale = 6})
        local times = 3333
        for _ = 1, times do
            take('money', 300)
        end
        local left = 1000000 - 300 * times
        assert.are.equal(left, report('money').left)
        assert.is_nil(exceeded('money', left + 1).retry_after)
        take('money', left)
        assert.are.equal(1000000, report('money').used)
        assert.are.equal(box.NULL, report('money').reset)
    end)

    it('counts the largest amounts exactly', function()
        define('tokens', {kind = 'window', window = 'total', amount = 1e15})
        for _ = 1, 999 do
            take('tokens', 1e12)
        end
        take('tokens', 1e12 - 1)
        assert.are.equal(1, tonumber(report('tokens').left))
        take('tokens', 1)
        assert.are.equal('0', tostring(exceeded('tokens', 1).left))
    end)

    it('gives nothing back when the clock goes back', function()
        define('tavily', {kind = 'window', window = 'minute', amount = 3})
        clock.advance(60)
        take('tavily', 3)
        clock.advance(-60)
        assert.are.equal(100, exceeded('tavily', 1).retry_after)
        clock.advance(60)
        exceeded('tavily', 1)
    end)

    it('keeps its count when it is changed', function()
        define('tavily', {kind = 'window', window = 'minute', amount = 3})
        take('tavily', 2)
        define('tavily', {kind = 'window', window = 'minute', amount = 10})
        assert.are.equal(8, report('tavily').left)
        define('tavily', {kind = 'window', window = 'day', amount = 10})
        clock.advance(60)
        assert.are.equal(8, report('tavily').left)
        define('tavily', {kind = 'window', window = 'day', amount = 1})
        assert.are.same({0, 1, 2}, {report('tavily').left, report('tavily').over, report('tavily').used})
        -- A change after the end of a window does not bring back what was counted in it.
        clock.advance(86400)
        define('tavily', {kind = 'window', window = 'total', amount = 5})
        assert.are.equal(5, report('tavily').left)
        take('tavily', 2)
        define('tavily', {kind = 'window', window = 'hour', amount = 5})
        assert.are.equal(3, report('tavily').left)
        clock.advance(3600)
        assert.are.equal(5, report('tavily').left)
    end)
end)

describe('quota.take of several', function()
    before_each(function()
        support.reset()
        define('rate', {kind = 'rate', amount = 5, period = 1})
        define('day', {kind = 'window', window = 'day', amount = 3})
        define('total', {kind = 'window', window = 'total', amount = 100})
    end)

    it('is all or nothing and names the limit that takes longest', function()
        take('total', 1, 'day', 3, 'rate', 5)
        local before = {}
        for _, row in box.space.quota_limit:pairs() do
            table.insert(before, tostring(row))
        end
        local details = exceeded('total', 1, 'rate', 1, 'day', 1)
        assert.are.equal('day', details.quota)
        assert.are.equal(86400 - START % 86400, details.retry_after)
        assert.are.equal('total', exceeded('day', 1, 'total', 100, 'rate', 1).quota)
        for i, row in ipairs(box.space.quota_limit:select()) do
            assert.are.equal(before[i], tostring(row))
        end
    end)

    it('refuses claims that make no sense', function()
        assert.are.equal('claims[2].quota', support.raises('INVALID_ARGUMENT', take, 'day', 1, 'day', 1).argument)
        assert.are.equal('nobody', support.raises('QUOTA_UNKNOWN', take, 'day', 1, 'nobody', 1).quota)
        support.raises('INVALID_ARGUMENT', take)
        for _, amount in ipairs{0, -1, 1.5, 1e12 + 1, 0 / 0} do
            support.raises('INVALID_ARGUMENT', take, 'day', amount)
        end
        local many = {}
        for i = 1, 17 do
            many[i] = {quota = 'q' .. i, amount = 1}
        end
        support.raises('INVALID_ARGUMENT', lycosa.quota.take, {tenant = 'acme', claims = many})
        define('slots', {kind = 'slots', amount = 3})
        support.raises('INVALID_ARGUMENT', take, 'slots', 1)
        assert.are.equal(3, report('day').left)
    end)

    it('takes sixteen at once and keeps tenants apart', function()
        local claims = {}
        for i = 1, 16 do
            define('квота-' .. i, {kind = 'window', window = 'hour', amount = i})
            claims[i] = {quota = 'квота-' .. i, amount = i}
        end
        assert.are.equal(16, #lycosa.quota.take{tenant = 'acme', claims = claims})
        assert.are.equal(0, report('квота-16').left)
        support.raises('QUOTA_UNKNOWN', lycosa.quota.take, {tenant = 'other', claims = claims})
    end)
end)

describe('quota in shadow mode', function()
    before_each(support.reset)

    it('counts and marks, and never refuses', function()
        define('day', {kind = 'window', window = 'day', amount = 3, shadow = true})
        define('real', {kind = 'window', window = 'day', amount = 9})
        take('day', 2)
        assert.are.equal(0, take('day', 4, 'real', 5)[1][2])
        local figures = report('day')
        assert.are.same({6, 0, 3, 1}, {figures.used, figures.left, figures.over, figures.shadowed})
        -- What another limit refuses is not counted here either.
        assert.are.equal('real', exceeded('day', 1, 'real', 5).quota)
        assert.are.equal(6, report('day').used)
        define('day', {kind = 'window', window = 'day', amount = 3})
        exceeded('day', 1)
    end)

    it('lets a rate recover as it would', function()
        define('rate', {kind = 'rate', amount = 10, period = 1, shadow = true})
        for _ = 1, 100 do
            take('rate', 1)
            clock.advance(0.0625)
        end
        local figures = report('rate')
        -- 10 at once and 10 a second for 99 / 16 seconds pass; all the others would have been refused.
        assert.are.equal(100 - 10 - math.floor(99 / 16 * 10), figures.shadowed)
        assert.are.equal(0, figures.over)
    end)

    it('counts up to what can be counted exactly', function()
        define('day', {kind = 'window', window = 'total', amount = 1, shadow = true})
        box.space.quota_limit:update({'acme', 'day'}, {{'=', 'used', 9e15 - 1}})
        take('day', 1)
        assert.are.equal(9e15, tonumber(report('day').used))
        assert.is_truthy(support.raises('INVALID_ARGUMENT', take, 'day', 1).problem:find('reset it', 1, true))
    end)
end)

describe('quota.define', function()
    before_each(support.reset)

    it('answers the definition', function()
        local row = define('поиск', {kind = 'rate', amount = 10, period = 0.5, unit = 'запрос'})
        assert.are.same({'rate', 10, 'запрос', 0, false, 0.5, 10}, {row:unpack(4, 10)})
        row = define('usd', {kind = 'window', window = 'month', amount = 5000000, unit = 'USD', scale = 6})
        assert.are.same({'month', 'UTC', {{0, 0}}}, {row:unpack(11, 13)})
    end)

    it('refuses definitions that make no sense, by name', function()
        local wrong = {
            {'period', {kind = 'rate', amount = 1}},
            {'amount', {kind = 'rate', amount = 0, period = 1}},
            {'burst', {kind = 'rate', amount = 1, period = 1, burst = 0}},
            {'window', {kind = 'rate', amount = 1, period = 1, window = 'day'}},
            {'window', {kind = 'window', amount = 1}},
            {'window', {kind = 'window', amount = 1, window = 'week'}},
            {'period', {kind = 'slots', amount = 1, period = 1}},
            {'utc_offsets', {kind = 'window', amount = 1, window = 'day', time_zone = 'Europe/Moscow'}},
            {'time_zone', {kind = 'window', amount = 1, window = 'day', utc_offsets = {{starts_at = 0, minutes = 0}}}},
            {'utc_offsets[2].starts_at', {kind = 'window', amount = 1, window = 'day', time_zone = 'x',
                utc_offsets = {{starts_at = 5, minutes = 0}, {starts_at = 5, minutes = 60}}}},
            {'amount', {kind = 'slots', amount = 1e15 + 1}},
            {'scale', {kind = 'slots', amount = 1, scale = 10}},
        }
        for _, case in ipairs(wrong) do
            assert.are.equal(case[1], support.raises('INVALID_ARGUMENT', define, 'q', case[2]).argument)
        end
        assert.are.equal(0, box.space.quota_limit:len())
    end)

    it('changes neither kind nor scale', function()
        define('q', {kind = 'slots', amount = 1})
        local details = support.raises('QUOTA_KIND_FIXED', define, 'q', {kind = 'window', window = 'day', amount = 1})
        assert.are.same({quota = 'q', kind = 'slots', scale = 0}, details)
        support.raises('QUOTA_KIND_FIXED', define, 'q', {kind = 'slots', amount = 1, scale = 2})
    end)

    it('is undone with its transaction', function()
        box.begin()
        define('q', {kind = 'slots', amount = 1})
        box.rollback()
        support.raises('QUOTA_UNKNOWN', report, 'q')
    end)
end)

describe('quota.list, report, reset and remove', function()
    before_each(support.reset)

    it('pages by name, both ways', function()
        for i = 1, 25 do
            define(('q%02d'):format(i), {kind = 'slots', amount = i})
        end
        lycosa.quota.define{tenant = 'zeta', quota = 'q00', kind = 'slots', amount = 1}
        for _, run in ipairs{lycosa.quota.list, lycosa.quota.report} do
            local first = run{tenant = 'acme'}
            assert.are.equal(20, #first.rows)
            local second = run{tenant = 'acme', cursor = first.next}
            assert.are.equal(5, #second.rows)
            assert.are.equal(box.NULL, second.next)
            assert.are.equal(20, #run{tenant = 'acme', cursor = second.previous}.rows)
        end
        support.raises('INVALID_CURSOR', lycosa.quota.list, {tenant = 'acme', cursor = 'AAAA'})
        assert.are.equal(6, #lycosa.quota.list{tenant = 'acme', prefix = 'q2'}.rows)
    end)

    it('marks what is 80 % taken', function()
        local counted = metrics.collect().counters['quota.refused'] or 0
        define('q', {kind = 'window', window = 'total', amount = 10})
        take('q', 7)
        assert.are.same({false, 0}, {report('q').near, report('q').near_count})
        assert.is_true(take('q', 1)[1][4])
        take('q', 1)
        exceeded('q', 5)
        assert.are.same({true, 2}, {report('q').near, report('q').near_count})
        assert.are.equal(counted + 1, metrics.collect().counters['quota.refused'])
        define('q', {kind = 'window', window = 'total', amount = 100})
        assert.is_false(report('q').near)
    end)

    it('begins anew when it is reset, also out of a window of the future', function()
        define('day', {kind = 'window', window = 'day', amount = 3})
        define('rate', {kind = 'rate', amount = 1, period = 1, burst = 3})
        clock.advance(1e9)
        take('day', 3, 'rate', 3)
        clock.freeze(START)
        exceeded('day', 1)
        for _, quota in ipairs{'day', 'rate'} do
            lycosa.quota.reset{tenant = 'acme', quota = quota}
            assert.are.same({3, 0, 0, START}, {
                report(quota).left, report(quota).near_count, report(quota).shadowed, report(quota).since,
            })
        end
        assert.are.equal(START - START % 86400 + 86400, report('day').reset)
        support.raises('QUOTA_UNKNOWN', lycosa.quota.reset, {tenant = 'acme', quota = 'none'})
    end)

    it('forgets what is removed', function()
        define('q', {kind = 'window', window = 'total', amount = 3})
        take('q', 3)
        assert.are.same({removed = true}, lycosa.quota.remove{tenant = 'acme', quota = 'q'})
        assert.are.same({removed = false}, lycosa.quota.remove{tenant = 'acme', quota = 'q'})
        support.raises('QUOTA_UNKNOWN', take, 'q', 1)
        define('q', {kind = 'slots', amount = 3})
        assert.are.equal(3, report('q').left)
    end)
end)
