local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local history = require('tests.lua.history')
local support = require('tests.lua.support')

local DAY = 86400

local configure, step, counts = history.configure, history.step, history.counts

local function get(id, tenant)
    return lycosa.request.get{tenant = tenant or 'acme', id = id}
end

describe('a request on disk', function()
    local ARGS = {answer = 'yes', sources = {{kind = 'record', ref = 'c-1'}}}

    before_each(function()
        configure{}
        support.reset()
        lycosa.request.append(history.ask(ARGS))
        clock.advance(2 * DAY)
        configure{request_cold_days = 1}
        daemon.drain('request.move')
        assert.are.same({0, 0, 1}, counts())
    end)

    after_each(function()
        box.rollback()
        configure{}
    end)

    it('is not appended again', function()
        local again = lycosa.request.append(history.ask(ARGS))
        assert.are.equal(1700000000, again[15])
        local other = {answer = 'yes', sources = {{kind = 'record', ref = 'c-2'}}}
        for _, changes in ipairs({other, {answer = 'no', sources = ARGS.sources}, {answer = 'yes'}}) do
            local details = support.raises('REQUEST_EXISTS', lycosa.request.append, history.ask(changes))
            assert.are.equal('r-1', details.id)
        end
        assert.are.same({0, 0, 1}, counts())
        lycosa.request.append(history.ask{id = 'r-2'})
        assert.are.same({1, 0, 1}, counts())
    end)

    it('is not waited for within a transaction', function()
        lycosa.request.append(history.ask{id = 'young'})
        lycosa.request.append(history.ask{id = 'apart', tenant = 'other'})
        box.begin()
        support.raises('REQUEST_ON_DISK', get, 'r-1')
        support.raises('REQUEST_ON_DISK', lycosa.request.list, {tenant = 'acme'})
        support.raises('REQUEST_ON_DISK', lycosa.request.append, history.ask(ARGS))
        -- What is in memory is not on disk, nor is anything of a tenant of whom nothing moved.
        assert.are.equal('young', get('young').request.id)
        assert.are.equal(1, #lycosa.request.list{tenant = 'acme', from = 1700000001}.rows)
        assert.are.equal(1, #lycosa.request.list{tenant = 'other'}.rows)
        lycosa.request.append(history.ask{id = 'young'})
        lycosa.request.append(history.ask{id = 'next', tenant = 'other'})
        box.commit()
        assert.are.equal(2, #lycosa.request.list{tenant = 'acme'}.rows)
    end)
end)

describe('retention of cold requests', function()
    before_each(function()
        configure{}
        support.reset()
    end)

    after_each(function()
        configure{}
    end)

    it('removes them in slices, the oldest first, and leaves those that are due from moving', function()
        local all = history.fill()
        local last = all[#all].created_at
        clock.freeze(last + 2 * DAY)
        configure{request_cold_days = 1, retention_days = 5}
        daemon.drain('request.move')
        assert.are.same({0, 0, 60}, counts())
        lycosa.request.append(history.ask{id = 'old'})

        -- Half of them are past their time, and `old` is not.
        local horizon = all[30].created_at
        clock.freeze(horizon + 5 * DAY)
        local retain = step('request.retain_cold')
        assert.is_true(retain(10))
        assert.are.equal(50, #box.space.request_cold:select())
        repeat
            local more, due = retain(10)
        until not more or due == nil
        local kept = #box.space.request_cold:select()
        for _, args in ipairs(all) do
            if args.created_at > horizon then
                kept = kept - 1
                get(args.id, args.tenant)
            else
                support.raises('REQUEST_NOT_FOUND', get, args.id, args.tenant)
            end
        end
        assert.are.equal(0, kept)
        assert.are.equal(#box.space.request_cold:select(), #box.space.request_cold_summary:select())
        local more, due = retain(10)
        assert.are.same({false, true}, {more, due > horizon + 5 * DAY})

        clock.freeze(last + 20 * DAY)
        -- Too old to be worth the way to disk.
        assert.are.equal(1, daemon.drain('request.move'))
        daemon.drain('request.retain')
        daemon.drain('request.retain_cold')
        assert.are.same({0, 0, 0}, counts())
        assert.are.equal(0, #lycosa.request.list{tenant = 'acme'}.rows)
    end)

    it('finds what moves later though it is older than what was removed', function()
        lycosa.request.append(history.ask{id = 'a'})
        clock.advance(DAY)
        lycosa.request.append(history.ask{id = 'b'})
        local row = box.space.request:get{'acme', 'a'}
        box.space.request:delete{'acme', 'a'}
        configure{request_cold_days = 1, retention_days = 3}
        clock.freeze(1700000000 + 2 * DAY)
        daemon.drain('request.move')
        clock.freeze(1700000000 + 4 * DAY)
        daemon.drain('request.retain_cold')
        assert.are.same({0, 0, 0}, counts())
        -- A clock that was set back, and a restore from the log, bring older ones.
        clock.freeze(1700000000 + 2 * DAY)
        box.space.request:insert(row)
        daemon.drain('request.move')
        assert.are.same({0, 0, 1}, counts())
        clock.freeze(1700000000 + 4 * DAY)
        daemon.drain('request.retain_cold')
        assert.are.same({0, 0, 0}, counts())
    end)
end)
