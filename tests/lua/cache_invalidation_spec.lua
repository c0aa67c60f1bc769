local digest = require('digest')
local support = require('tests.lua.support')

local number = 0

describe('invalidation', function()
    local tenant

    before_each(function()
        support.reset()
        number = number + 1
        tenant = 'invalidated-' .. number
    end)

    local function set(key, more)
        return lycosa.cache.set(support.with({tenant = tenant, key = key, value = 'v', ttl = 10}, more))
    end

    local function invalidate(args)
        return lycosa.cache.invalidate(support.with({tenant = tenant}, args))
    end

    -- Entries that no one means, so many that calls stop between those that are meant.
    local function set_others(count, first)
        for start = first or 1, (first or 1) + count - 1, 100 do
            local entries = {}
            for i = start, start + 99 do
                table.insert(entries, {key = 'other:' .. i, value = 'v', ttl = 10})
            end
            lycosa.cache.set_many{tenant = tenant, entries = entries}
        end
    end

    local function has(key)
        return lycosa.cache.get{tenant = tenant, key = key} ~= nil
    end

    it('by prefix looks at a bounded number of entries a call, and goes on where it stopped', function()
        set('user:1')
        set_others(4000)
        set('user:2')
        set_others(4000, 4001)
        set('user:3')
        assert.are.same({deleted = 1, more = true}, invalidate{prefix = 'user:'})
        -- What is set meanwhile comes behind.
        set('user:4')
        local deleted, calls, answer = 1, 1
        repeat
            answer = invalidate{prefix = 'user:'}
            deleted, calls = deleted + answer.deleted, calls + 1
        until not answer.more
        assert.are.equal(4, deleted)
        assert.are.equal(5, calls)
        assert.are.equal(8000, lycosa.cache.figures{tenant = tenant}.entries)
        -- The next one begins anew.
        set('user:1')
        repeat
            answer = invalidate{prefix = 'user:'}
        until not answer.more
        assert.is_false(has('user:1'))
    end)

    it('by prefix knows keys of every length', function()
        for _, length in ipairs({1, 31, 32, 255, 256, 512}) do
            local key = ('k'):rep(length)
            set(key)
            set('x' .. key:sub(2))
            if length < 512 then
                assert.are.same({deleted = 0, more = false}, invalidate{prefix = key .. 'k'})
            end
            assert.are.same({deleted = 1, more = false}, invalidate{prefix = key})
        end
        assert.are.equal(6, invalidate{prefix = 'x'}.deleted)
    end)

    it('by prefix may be asked for by several at once', function()
        set_others(3000)
        set('user:1')
        set('rates:1')
        assert.are.same({deleted = 0, more = true}, invalidate{prefix = 'user:'})
        assert.are.same({deleted = 0, more = true}, invalidate{prefix = 'rates:'})
        assert.are.same({deleted = 1, more = false}, invalidate{prefix = 'user:'})
        assert.are.same({deleted = 1, more = false}, invalidate{prefix = 'rates:'})
        assert.are.same({deleted = 0, more = false}, lycosa.cache.invalidate{tenant = 'nobody', prefix = 'user:'})
    end)

    it('finds again what a transaction that was undone had deleted', function()
        set('user:1')
        set_others(5000)
        box.begin()
        assert.are.same({deleted = 1, more = true}, invalidate{prefix = 'user:'})
        box.rollback()
        assert.is_true(has('user:1'))
        assert.are.same({deleted = 1, more = true}, invalidate{prefix = 'user:'})
        assert.is_false(has('user:1'))
    end)

    it('by tag takes entries of several tags once, whatever the order of the tags', function()
        for i = 1, 50 do
            set('a' .. i, {tags = {'x' .. i, 'y' .. i, 'z'}})
        end
        for i = 1, 50 do
            assert.are.same({deleted = 1, more = false}, invalidate{tag = (i % 2 == 0 and 'x' or 'y') .. i})
        end
        assert.are.same({deleted = 0, more = false}, invalidate{tag = 'z'})
        local left = lycosa.cache.figures{tenant = tenant}
        assert.are.same({0, 0}, {left.entries, left.bytes})
    end)

    it('by tag spares tags that share a number with it', function()
        local known, tag, other, i = {}, nil, nil, 0
        while tag == nil do
            i = i + 1
            local hash = digest.murmur(tenant .. ' t' .. i)
            tag, other = known[hash], 't' .. i
            known[hash] = other
        end
        set('a', {tags = {tag}})
        set('b', {tags = {other}})
        set('both', {tags = {other, tag}})
        assert.are.equal(1, #box.space.cache_entry:get{tenant, 'both'}.labels)
        assert.are.same({deleted = 1, more = true}, invalidate{tag = tag, limit = 1})
        assert.are.same({deleted = 1, more = false}, invalidate{tag = tag, limit = 1})
        assert.is_true(has('b'))
        assert.are.same({deleted = 1, more = false}, invalidate{tag = other})
        assert.are.equal(0, lycosa.cache.figures{tenant = tenant}.bytes)
    end)
end)
