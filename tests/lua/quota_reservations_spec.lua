-- Reservations: what is held, when it comes back, and what is unknown until somebody tells.

local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local support = require('tests.lua.support')

local START = 1700000000
local quota = require('lycosa.quota')

local function define(name, kind, amount, fields)
    return lycosa.quota.define(support.with({tenant = 'acme', quota = name, kind = kind, amount = amount}, fields))
end

local function pairs_of(...)
    local list = {}
    for i = 1, select('#', ...), 2 do
        local name, amount = select(i, ...)
        table.insert(list, {quota = name, amount = amount})
    end
    return list
end

local function reserve(id, lease, ...)
    return lycosa.quota.reserve{tenant = 'acme', id = id, lease = lease, claims = pairs_of(...)}
end

local function close(verb, id, ...)
    local amounts = verb ~= 'refund' and pairs_of(...) or nil
    return lycosa.quota[verb]{tenant = 'acme', id = id, amounts = amounts}
end

local function state_of(id)
    return lycosa.quota.reservation{tenant = 'acme', id = id}[2]
end

-- {used, reserved, unknown, left}
local function sums(name)
    local row = lycosa.quota.report{tenant = 'acme', quotas = {name}}.rows[1]
    return {tonumber(row.used), tonumber(row.reserved), tonumber(row.unknown), tonumber(row.left)}
end

-- The same before and after the step has run.
local function both(check)
    check()
    daemon.drain('quota.lapse')
    check()
end

before_each(function()
    support.reset()
    define('usd', 'window', 100, {window = 'total', unit = 'USD', scale = 2})
    define('day', 'window', 10, {window = 'day'})
    define('rate', 'rate', 10, {period = 10})
    define('slots', 'slots', 2)
end)

describe('quota.reserve', function()
    it('holds until it is settled with the true amounts', function()
        local answer = reserve('r', 60, 'usd', 40, 'day', 2, 'rate', 3, 'slots', 1)
        assert.are.same({'r', 'reserved', START, START + 60}, {unpack(answer, 1, 4)})
        assert.are.same({0, 40, 0, 60}, sums('usd'))
        assert.are.same({0, 1, 0, 1}, sums('slots'))
        assert.are.same({3, 0, 0, 7}, sums('rate'))
        clock.advance(1)
        answer = close('settle', 'r', 'usd', 25)
        assert.are.equal('settled', answer[2])
        assert.are.equal(START + 1, answer[5])
        assert.are.same({'usd', 'window', 40, 25}, {unpack(answer[6][1], 1, 4)})
        assert.are.same({25, 0, 0, 75}, sums('usd'))
        assert.are.same({2, 0, 0, 8}, sums('day'))
        assert.are.same({0, 0, 0, 2}, sums('slots'))
        assert.are.same({2, 0, 0, 8}, sums('rate'))
    end)

    it('gives back what is refunded, but no units of a rate', function()
        reserve('r', 60, 'usd', 40, 'rate', 3, 'slots', 2)
        close('refund', 'r')
        assert.are.same({0, 0, 0, 100}, sums('usd'))
        assert.are.same({3, 0, 0, 7}, sums('rate'))
        assert.are.same({0, 0, 0, 2}, sums('slots'))
    end)

    it('is all or nothing', function()
        reserve('r', 60, 'slots', 2)
        local details = support.raises('QUOTA_EXCEEDED', reserve, 's', 60, 'usd', 1, 'rate', 1, 'slots', 1)
        assert.are.same({'slots', 0, 1}, {details.quota, details.left, details.retry_after})
        assert.are.same({0, 0, 0, 100}, sums('usd'))
        assert.are.same({0, 0, 0, 10}, sums('rate'))
        support.raises('QUOTA_RESERVATION_NOT_FOUND', state_of, 's')
        clock.advance(59.5)
        assert.are.equal(0.5, support.raises('QUOTA_EXCEEDED', reserve, 's', 60, 'slots', 1).retry_after)
        assert.are.equal(1, box.space.quota_hold:len())
    end)

    it('is idempotent by id', function()
        local first = reserve('r', 60, 'usd', 40, 'rate', 3)
        clock.advance(1)
        local again = reserve('r', 60, 'usd', 40, 'rate', 3)
        assert.are.same({unpack(first, 1, 4)}, {unpack(again, 1, 4)})
        assert.are.same({0, 40, 0, 60}, sums('usd'))
        assert.are.same({unpack(first, 1, 4)}, {unpack(reserve('r', 60, 'rate', 3, 'usd', 40), 1, 4)})
        support.raises('QUOTA_RESERVATION_EXISTS', reserve, 'r', 60, 'usd', 41, 'rate', 3)
        support.raises('QUOTA_RESERVATION_EXISTS', reserve, 'r', 60, 'usd', 40, 'usd', 40)
        support.raises('QUOTA_RESERVATION_EXISTS', reserve, 'r', 60, 'usd', 40, 'rate', 3, 'day', 1)
        support.raises('QUOTA_RESERVATION_EXISTS', reserve, 'r', 60, 'usd', 40)
        for _ = 1, 2 do
            assert.are.equal('settled', close('settle', 'r', 'usd', 5)[2])
        end
        assert.are.same({5, 0, 0, 95}, sums('usd'))
        assert.are.equal('settled',
            support.raises('QUOTA_RESERVATION_STATE', reserve, 'r', 60, 'usd', 40, 'rate', 3).state)
        support.raises('QUOTA_RESERVATION_STATE', close, 'settle', 'r', 'usd', 6)
        support.raises('QUOTA_RESERVATION_STATE', close, 'refund', 'r')
        support.raises('QUOTA_RESERVATION_STATE', close, 'reconcile', 'r', 'usd', 5)
        support.raises('QUOTA_RESERVATION_NOT_FOUND', close, 'settle', 'nobody')
        assert.are.same({5, 0, 0, 95}, sums('usd'))
    end)

    it('counts what was spent beyond it, for that is a fact', function()
        reserve('r', 60, 'usd', 90, 'rate', 1)
        close('settle', 'r', 'usd', 120, 'rate', 14)
        assert.are.same({120, 0, 0, 0}, sums('usd'))
        assert.are.equal(20, lycosa.quota.report{tenant = 'acme', quotas = {'usd'}}.rows[1].over)
        assert.are.same({14, 0, 0, 0}, sums('rate'))
        support.raises('QUOTA_EXCEEDED', reserve, 's', 60, 'usd', 1)
    end)

    it('refuses amounts that are not of it', function()
        reserve('r', 60, 'usd', 40, 'slots', 1)
        local function refused(...)
            return support.raises('INVALID_ARGUMENT', close, 'settle', 'r', ...).argument
        end
        assert.are.equal('amounts[1].quota', refused('day', 1))
        assert.are.equal('amounts[2].quota', refused('usd', 1, 'slots', 1))
        assert.are.equal('amounts[2].quota', refused('usd', 1, 'usd', 1))
        assert.are.equal('amounts[1].amount', refused('usd', -1))
        assert.are.same({0, 40, 0, 60}, sums('usd'))
    end)

    it('counts in shadow mode, too', function()
        define('slots', 'slots', 2, {shadow = true})
        reserve('r', 60, 'slots', 2)
        reserve('s', 60, 'slots', 3)
        assert.are.same({0, 5, 0, 0}, sums('slots'))
        close('settle', 'r')
        assert.are.same({0, 3, 0, 0}, sums('slots'))
        close('settle', 's')
        assert.are.same({0, 0, 0, 2}, sums('slots'))
    end)
end)

describe('a lease that ends', function()
    it('makes unknown what may have been spent and gives slots back, step or no step', function()
        reserve('r', 60, 'usd', 40, 'rate', 3, 'slots', 2)
        clock.advance(59.999)
        assert.are.equal('reserved', state_of('r'))
        support.raises('QUOTA_EXCEEDED', reserve, 's', 60, 'slots', 1)
        clock.advance(0.001)
        both(function()
            assert.are.equal('unknown', state_of('r'))
            assert.are.same({0, 0, 40, 60}, sums('usd'))
            assert.are.same({0, 0, 0, 2}, sums('slots'))
            support.raises('QUOTA_EXCEEDED', lycosa.quota.take, {tenant = 'acme', claims = pairs_of('usd', 61)})
        end)
        reserve('s', 60, 'slots', 2)
        assert.are.same({0, 2, 0, 0}, sums('slots'))
        assert.are.equal('unknown',
            support.raises('QUOTA_RESERVATION_STATE', reserve, 'r', 60, 'usd', 40, 'rate', 3, 'slots', 2).state)
    end)

    it('is settled late, refunded late or reconciled', function()
        for _, stepped in ipairs{false, true} do
            for id, verb in pairs{a = 'settle', b = 'refund', c = 'reconcile'} do
                reserve(id, 10, 'usd', 30, 'slots', 1)
                if verb == 'reconcile' then
                    assert.are.equal('reserved',
                        support.raises('QUOTA_RESERVATION_STATE', close, verb, id, 'usd', 7).state)
                end
                clock.advance(10)
                if stepped then
                    daemon.drain('quota.lapse')
                end
                assert.are.same({0, 0, 30, 70}, sums('usd'))
                local answer
                for _ = 1, 2 do
                    answer = close(verb, id, 'usd', 7)
                end
                assert.are.equal(({a = 'settled', b = 'refunded', c = 'reconciled'})[id], answer[2])
                assert.are.same(verb == 'refund' and {0, 0, 0, 100} or {7, 0, 0, 93}, sums('usd'))
                assert.are.same({0, 0, 0, 2}, sums('slots'))
                lycosa.quota.reset{tenant = 'acme', quota = 'usd'}
            end
            clock.advance(86400)
            daemon.drain('quota.lapse')
            assert.are.equal(0, box.space.quota_reservation:len())
        end
        assert.are.equal(0, box.space.quota_hold:len())
    end)

    it('leaves nothing unknown where nothing is counted', function()
        reserve('r', 10, 'slots', 1, 'rate', 2)
        clock.advance(10)
        both(function()
            assert.are.equal('lapsed', state_of('r'))
            support.raises('QUOTA_RESERVATION_STATE', close, 'reconcile', 'r')
        end)
        -- Its holder may still say what it used of the rate.
        close('settle', 'r', 'rate', 4)
        assert.are.same({0, 0, 0, 2}, sums('slots'))
    end)

    it('counts in every window it was open in, and in no other', function()
        local midnight = START - START % 86400 + 86400
        clock.freeze(midnight - 100)
        reserve('over', 50, 'day', 1)
        reserve('open', 200, 'day', 2)
        reserve('settled', 50, 'day', 4)
        close('settle', 'settled')
        assert.are.same({4, 3, 0, 3}, sums('day'))
        clock.freeze(midnight + 10)
        assert.are.same({0, 2, 0, 8}, sums('day'))
        support.raises('QUOTA_EXCEEDED', reserve, 'x', 1, 'day', 9)
        reserve('new', 1000, 'day', 8)
        assert.are.same({0, 10, 0, 0}, sums('day'))
        both(function()
            assert.are.same({0, 10, 0, 0}, sums('day'))
        end)
        clock.freeze(midnight + 150)
        both(function()
            assert.are.same({0, 8, 2, 0}, sums('day'))
        end)
        close('reconcile', 'open', 'day', 1)
        assert.are.same({1, 8, 0, 1}, sums('day'))
        -- The window it lapsed in is over: what it spent is of no more account.
        close('reconcile', 'over', 'day', 1)
        assert.are.same({1, 8, 0, 1}, sums('day'))
        close('settle', 'new', 'day', 3)
        assert.are.same({4, 0, 0, 6}, sums('day'))
    end)

    it('forgets what is unknown with the window it lapsed in, or when it is reset', function()
        reserve('r', 10, 'day', 4, 'usd', 4)
        clock.advance(10)
        both(function()
            assert.are.same({0, 0, 4, 6}, sums('day'))
        end)
        lycosa.quota.reset{tenant = 'acme', quota = 'usd'}
        assert.are.same({0, 0, 0, 100}, sums('usd'))
        clock.advance(86400)
        assert.are.same({0, 0, 0, 10}, sums('day'))
        close('settle', 'r', 'usd', 50)
        assert.are.same({0, 0, 0, 100}, sums('usd'))
        assert.are.same({0, 0, 0, 10}, sums('day'))
    end)

    it('is kept while it counts somewhere, and 90 days at least', function()
        reserve('total', 10, 'usd', 4, 'day', 1)
        reserve('day', 10, 'day', 4)
        clock.advance(10)
        daemon.drain('quota.lapse')
        clock.advance(90 * 86400 - 1)
        daemon.drain('quota.lapse')
        assert.are.equal('unknown', state_of('day'))
        clock.advance(1)
        daemon.drain('quota.lapse')
        support.raises('QUOTA_RESERVATION_NOT_FOUND', state_of, 'day')
        assert.are.same({0, 0, 4, 96}, sums('usd'))
        assert.are.equal('unknown', state_of('total'))
        lycosa.quota.reset{tenant = 'acme', quota = 'usd'}
        clock.advance(90 * 86400)
        daemon.drain('quota.lapse')
        support.raises('QUOTA_RESERVATION_NOT_FOUND', state_of, 'total')
    end)

    it('gives nothing back when the clock goes back', function()
        reserve('r', 60, 'usd', 40, 'slots', 2)
        clock.advance(60)
        reserve('s', 60, 'slots', 2)
        clock.advance(-30)
        both(function()
            assert.are.same(0, sums('slots')[4])
            assert.are.same(60, sums('usd')[4])
        end)
        clock.advance(30)
        both(function()
            assert.are.same({0, 2, 0, 0}, sums('slots'))
            assert.are.same({0, 0, 40, 60}, sums('usd'))
        end)
    end)

    it('counts where it was held, also when the clock is back before the window', function()
        define('minute', 'window', 10, {window = 'minute'})
        clock.advance(60)
        lycosa.quota.take{tenant = 'acme', claims = pairs_of('minute', 1)}
        clock.advance(-3600)
        reserve('r', 10, 'usd', 40, 'minute', 2)
        define('minute', 'window', 10, {window = 'hour'})
        clock.advance(10)
        both(function()
            assert.are.same({0, 0, 40, 60}, sums('usd'))
            assert.are.same({1, 0, 2, 7}, sums('minute'))
        end)
        -- The hour is that of the minute which counted, not the one of the clock.
        clock.freeze(START - START % 3600 + 3599)
        assert.are.same({1, 0, 2, 7}, sums('minute'))
        clock.advance(1)
        assert.are.same({0, 0, 0, 10}, sums('minute'))
        close('reconcile', 'r', 'usd', 30)
        assert.are.same({30, 0, 0, 70}, sums('usd'))
    end)

    it('is moved in bounded slices by the step, which the reservation wakes', function()
        define('usd', 'window', 1000, {window = 'total', scale = 2})
        for i = 1, 120 do
            reserve('r' .. i, i <= 110 and 10 or 20, 'usd', 1)
        end
        clock.advance(10)
        local step = quota.steps[1]
        assert.is_true((step.run(50)))
        assert.are.same({0, 10, 110, 880}, sums('usd'))
        assert.are.equal(70, box.space.quota_hold:len())
        assert.is_true((step.run(50)))
        local more, due = step.run(50)
        assert.is_false(more)
        assert.are.equal(START + 20, due)
        assert.are.same({0, 10, 110, 880}, sums('usd'))
        assert.are.equal(10, box.space.quota_hold:len())
    end)

    it('is written down by the daemon at its time', function()
        clock.release()
        reserve('long', 3600, 'usd', 1)
        reserve('short', 0.05, 'usd', 2)
        local deadline = clock.monotonic() + 5
        while box.space.quota_hold:len() > 1 and clock.monotonic() < deadline do
            require('fiber').sleep(0.005)
        end
        assert.are.equal('unknown', box.space.quota_reservation:get{'acme', 'short'}.state)
        assert.are.same({0, 1, 2, 97}, sums('usd'))
    end)
end)

describe('quota.remove, define and reservations', function()
    it('refuses to remove what is held', function()
        reserve('r', 60, 'usd', 40)
        local args = {tenant = 'acme', quota = 'usd'}
        assert.are.same({quota = 'usd', retry_after = 60}, support.raises('QUOTA_IN_USE', lycosa.quota.remove, args))
        clock.advance(60)
        assert.is_true(lycosa.quota.remove(args).removed)
        assert.are.equal('unknown', state_of('r'))
        -- A namesake has nothing to do with it, of its kind or of another.
        define('usd', 'window', 50, {window = 'total'})
        close('settle', 'r', 'usd', 45)
        assert.are.same({0, 0, 0, 50}, sums('usd'))
        reserve('s', 60, 'usd', 5)
        clock.advance(60)
        lycosa.quota.remove(args)
        define('usd', 'slots', 5)
        close('reconcile', 's', 'usd', 3)
        assert.are.same({0, 0, 0, 5}, sums('usd'))
        lycosa.quota.remove(args)
        define('other', 'window', 50, {window = 'total'})
        close('reconcile', 's', 'usd', 3)
    end)

    it('moves no more than a bounded number of lapsed reservations to remove', function()
        define('usd', 'window', 1000, {window = 'total', scale = 2})
        for i = 1, 101 do
            reserve('r' .. i, 10, 'usd', 1)
        end
        clock.advance(10)
        local args = {tenant = 'acme', quota = 'usd'}
        assert.are.equal(0.1, support.raises('QUOTA_IN_USE', lycosa.quota.remove, args).retry_after)
        assert.are.same({0, 0, 101, 899}, sums('usd'))
        daemon.drain('quota.lapse')
        assert.is_true(lycosa.quota.remove(args).removed)
    end)

    it('lists reservations by state in pages', function()
        for i = 1, 25 do
            reserve(('r%02d'):format(i), i, 'usd', 1)
        end
        local list = lycosa.quota.reservations
        local first = list{tenant = 'acme', state = 'reserved'}
        assert.are.same({20, 'r01'}, {#first.rows, first.rows[1][1]})
        assert.are.equal('r21', list{tenant = 'acme', state = 'reserved', cursor = first.next}.rows[1][1])
        assert.are.equal(0, #list{tenant = 'acme'}.rows)
        clock.advance(7)
        assert.are.equal('unknown', list{tenant = 'acme', state = 'reserved'}.rows[1][2])
        daemon.drain('quota.lapse')
        assert.are.equal(7, #list{tenant = 'acme'}.rows)
        support.raises('INVALID_CURSOR', list, {tenant = 'acme', cursor = first.next})
    end)
end)
