local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local event = require('lycosa.event')
local support = require('tests.lua.support')

local function append(first, count, more)
    local args = {tenant = 'acme', stream = 's-1', writer = 'w', first = first, events = {}}
    for i = 1, count do
        args.events[i] = {kind = 'token', data = ('слово %d'):format(first + i - 1)}
    end
    return lycosa.event.append(support.with(args, more)).last
end

local function read(after, limit, stream)
    return lycosa.event.read{tenant = 'acme', stream = stream or 's-1', after = after, limit = limit}
end

local function numbers(page)
    local found = {}
    for i, one in ipairs(page.events) do
        found[i] = one[1]
    end
    return found
end

describe('event', function()
    before_each(support.reset)

    it('gives back what was appended, from any number on', function()
        assert.are.equal(3, append(1, 3))
        assert.are.equal(8, append(4, 5))
        local page = read(0)
        assert.are.same({1, 2, 3, 4, 5, 6, 7, 8}, numbers(page))
        assert.are.same({2, 'token', 'слово 2'}, page.events[2])
        assert.are.same({last = 8, ended = false, silent = 0}, {last = page.last, ended = page.ended, silent = page.silent})
        assert.are.same({3, 4}, numbers(read(2, 2)))
        assert.are.same({6, 7, 8}, numbers(read(5)))
        assert.are.same({}, numbers(read(8)))
        assert.are.same({}, numbers(read(99)))
    end)

    it('keeps streams and tenants apart', function()
        append(1, 2)
        append(1, 1, {stream = 's-0'})
        append(1, 1, {stream = 's-2'})
        append(1, 1, {tenant = 'other'})
        assert.are.same({1, 2}, numbers(read(0)))
        support.raises('EVENT_STREAM_NOT_FOUND', lycosa.event.read, {tenant = 'third', stream = 's-1'})
    end)

    it('writes a repeated call once', function()
        append(1, 3)
        assert.are.equal(3, append(1, 3))
        append(4, 1, {ended = true})
        assert.are.equal(4, append(4, 1, {ended = true}))
        assert.are.equal(4, append(5, 0, {ended = true}))
        assert.are.equal(2, box.space.event:len())
        assert.are.same({1, 2, 3, 4}, numbers(read(0)))
        assert.is_true(read(0).ended)
    end)

    it('refuses a gap, another writer and whatever comes after the end, and changes nothing', function()
        support.raises('EVENT_OUT_OF_ORDER', append, 2, 1)
        assert.are.equal(0, box.space.event_stream:len())
        append(1, 2)
        support.raises('EVENT_OUT_OF_ORDER', append, 4, 1)
        support.raises('EVENT_OUT_OF_ORDER', append, 2, 3)
        support.raises('EVENT_OUT_OF_ORDER', append, 3, 1, {writer = 'another'})
        append(3, 0, {ended = true})
        local details = support.raises('EVENT_OUT_OF_ORDER', append, 3, 1)
        assert.are.same({'s-1', 3, 2}, {details.stream, details.first, details.last})
        assert.are.same({1, 2}, numbers(read(0)))
    end)

    it('tells how long the writer has been silent', function()
        append(1, 1)
        clock.advance(7)
        assert.are.equal(7, read(0).silent)
        append(2, 0)
        assert.are.equal(0, read(0).silent)
        assert.are.equal(1, read(0).last)
    end)

    it('bounds a stream, a call and a read', function()
        local most = event.MOST_BYTES
        event.MOST_BYTES = 400
        append(1, 5)
        local details = support.raises('EVENT_STREAM_FULL', append, 6, 5)
        event.MOST_BYTES = most
        assert.are.equal(400, details.limit)
        assert.are.equal(5, read(0).last)
        local large = {kind = 'report', data = ('x'):rep(200000)}
        for number = 6, 8 do
            append(number, 0, {events = {large}})
        end
        assert.are.same({6, 7}, numbers(read(5)))
        assert.are.same({8}, numbers(read(7)))
        details = support.raises('INVALID_ARGUMENT', append, 9, 0, {
            events = {large, large, large, large, large, large, large, large},
        })
        assert.are.equal('events', details.argument)
        details = support.raises('INVALID_ARGUMENT', append, 9, 65)
        assert.are.equal('events', details.argument)
    end)

    it('forgets a stream when its time is over, a bounded part a step', function()
        for number = 1, 5 do
            append(number, 1, {keep = 60})
        end
        append(1, 1, {stream = 's-2', keep = 600})
        clock.advance(59)
        daemon.drain('event.expire')
        assert.are.equal(6, box.space.event:len())
        clock.advance(1)
        support.raises('EVENT_STREAM_NOT_FOUND', read, 0)
        local more, due = event.steps[1].run(3)
        assert.are.same({true, 3}, {more, box.space.event:len()})
        assert.is_true(due <= clock.now())
        more, due = event.steps[1].run(3)
        assert.are.same({false, 1}, {more, box.space.event:len()})
        assert.are.equal(1, box.space.event_stream:len())
        assert.are.equal(clock.now() + 540, due)
        assert.are.same({1}, numbers(read(0, 10, 's-2')))
    end)
end)
