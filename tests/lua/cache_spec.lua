local cache = require('lycosa.cache')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local fiber = require('fiber')
local pool = require('lycosa.cache.pool')
local support = require('tests.lua.support')

-- Counters outlive a reset of the spaces, so every spec has a tenant of its own.
local number = 0
local function fresh_tenant()
    number = number + 1
    return 'cache-' .. number
end

describe('cache', function()
    local tenant

    before_each(function()
        support.reset()
        tenant = fresh_tenant()
    end)

    local function set(key, ttl, value, owner)
        return lycosa.cache.set{tenant = owner or tenant, key = key, value = value or '"x"', ttl = ttl}
    end

    local function get(key, owner)
        return lycosa.cache.get{tenant = owner or tenant, key = key}
    end

    it('serves what was set, with its media type and times', function()
        local times = lycosa.cache.set{
            tenant = tenant, key = 'ключ', value = '{"имя": "Ёлка"}', media_type = 'application/ld+json', ttl = 10.5,
        }
        assert.are.same({created_at = 1700000000, expires_at = 1700000010.5, stale_until = 1700000010.5}, times)
        local entry = get('ключ')
        assert.are.equal('{"имя": "Ёлка"}', entry.value)
        assert.are.equal('application/ld+json', entry.media_type)
        assert.are.equal(1700000010.5, entry.expires_at)
        set('plain', 1)
        assert.are.equal('application/json', get('plain').media_type)
        assert.is_nil(get('absent'))
        assert.is_nil(get('ключ', 'another'))
    end)

    it('never serves what has expired, swept or not', function()
        set('a', 5)
        clock.advance(4.999)
        assert.is_not_nil(get('a'))
        clock.advance(0.001)
        assert.is_nil(get('a'))
        assert.are.equal(1, box.space.cache_entry:len())
        set('a', 5, '"new"')
        assert.are.equal('"new"', get('a').value)
    end)

    it('prolongs an entry that is set again', function()
        set('a', 5)
        clock.advance(3)
        set('a', 5)
        clock.advance(3)
        daemon.drain('cache.expire')
        assert.is_not_nil(get('a'))
    end)

    it('deletes the keys that are there', function()
        set('a', 5)
        set('b', 5)
        assert.are.same({deleted = 2}, lycosa.cache.delete{tenant = tenant, keys = {'a', 'b', 'c', 'a'}})
        assert.are.same({deleted = 0}, lycosa.cache.delete{tenant = tenant, keys = {'a'}})
        assert.are.same({deleted = 0}, lycosa.cache.delete{tenant = tenant, keys = {}})
        assert.is_nil(get('a'))
    end)

    it('deletes for one tenant only', function()
        set('a', 5)
        set('a', 5, '"y"', 'another')
        lycosa.cache.delete{tenant = tenant, keys = {'a'}}
        assert.are.equal('"y"', get('a', 'another').value)
    end)

    it('refuses what is out of bounds by name', function()
        local wrong = {
            key = {'', ('k'):rep(513), '\255', 'a\0b'}, value = {('v'):rep(1000001), 5, true},
            ttl = {0, 0.0009, 31536001, 0 / 0, 1 / 0, 'soon'}, tenant = {'', 'a\nb', ('t'):rep(129)}, media_type = {''},
        }
        for name, values in pairs(wrong) do
            for _, value in ipairs(values) do
                local args = {tenant = tenant, key = 'k', value = 'v', ttl = 1}
                args[name] = value
                assert.are.equal(name, support.raises('INVALID_ARGUMENT', lycosa.cache.set, args).argument)
            end
        end
        local keys = {}
        for i = 1, 1001 do
            keys[i] = 'k' .. i
        end
        support.raises('INVALID_ARGUMENT', lycosa.cache.delete, {tenant = tenant, keys = keys})
        assert.are.equal(0, box.space.cache_entry:len())
    end)

    it('takes the largest value and key', function()
        set(('k'):rep(512), 5, ('v'):rep(1000000))
        assert.are.equal(1000000, #get(('k'):rep(512)).value)
    end)

    it('tells entries, bytes, hits, misses and expired of a tenant', function()
        local before = lycosa.cache.figures{}
        local rival = fresh_tenant()
        set('a', 5)
        set('b', 50, ('v'):rep(1000))
        set('c', 50, 'y', rival)
        get('a')
        get('b')
        get('nothing')
        get('a', 'never cached anything')
        clock.advance(5)
        get('a')
        daemon.drain('cache.expire')
        local figures = lycosa.cache.figures{tenant = tenant}
        assert.are.equal(box.space.cache_entry:get{tenant, 'b'}:bsize() + 72, figures.bytes)
        assert.are.same({1, 2, 2, 1}, {figures.entries, figures.hits, figures.misses, figures.expired})
        local after = lycosa.cache.figures{}
        assert.are.equal(2, after.entries)
        assert.are.equal(2, after.hits - before.hits)
        assert.are.equal(3, after.misses - before.misses)
        assert.are.equal(1, after.expired - before.expired)
        local nobody = lycosa.cache.figures{tenant = 'nobody'}
        assert.are.equal(lycosa.cache.figures{}.budget / 2, nobody.budget)
        nobody.budget = nil
        for name, counted in pairs(nobody) do
            assert.are.equal(0, counted, name)
        end
    end)

    it('keeps the weight of every tenant equal to a recount', function()
        math.randomseed(3)
        local tenants = {tenant, fresh_tenant(), fresh_tenant()}
        for _ = 1, 400 do
            local owner, key = tenants[math.random(3)], 'k' .. math.random(30)
            if math.random(4) == 1 then
                lycosa.cache.delete{tenant = owner, keys = {key, 'k' .. math.random(30)}}
            else
                set(key, math.random(1, 40), ('v'):rep(math.random(0, 300)), owner)
            end
            clock.advance(math.random() * 2)
            if math.random(10) == 1 then
                cache.steps[1].run(3)
            end
        end
        for _, owner in ipairs(tenants) do
            local entries, bytes = 0, 0
            for _, entry in support.entries_of(owner) do
                entries, bytes = entries + 1, bytes + entry:bsize() + 72
            end
            local figures = lycosa.cache.figures{tenant = owner}
            assert.are.same({entries, bytes}, {figures.entries, figures.bytes})
            assert.is_true(entries > 0)
        end
        local whole = lycosa.cache.figures{}
        local space = box.space.cache_entry
        assert.are.equal(tonumber(space:bsize()) + 72 * space:len(), whole.bytes)
    end)

    it('undoes a set whose transaction is undone', function()
        set('a', 5)
        box.begin()
        set('a', 50, '"other"')
        set('b', 50)
        box.rollback()
        assert.are.equal('"x"', get('a').value)
        assert.are.equal(1, lycosa.cache.figures{tenant = tenant}.entries)
    end)
end)

describe('cache expiry', function()
    before_each(support.reset)

    local function fill(count, ttl)
        local tenant = fresh_tenant()
        for i = 1, count do
            lycosa.cache.set{tenant = tenant, key = 'k' .. i, value = 'v', ttl = ttl}
        end
        return tenant
    end

    it('sweeps a bounded number a slice, the longest expired first', function()
        local early, late = fill(250, 5), fill(20, 10)
        local step = cache.steps[1]
        clock.advance(7)
        assert.is_true((step.run(100)))
        assert.are.equal(170, box.space.cache_entry:len())
        assert.is_true((step.run(100)))
        local more, due = step.run(100)
        assert.is_false(more)
        assert.are.equal(1700000010, due)
        assert.are.equal(0, lycosa.cache.figures{tenant = early}.entries)
        assert.are.equal(20, lycosa.cache.figures{tenant = late}.entries)
        clock.advance(3)
        more, due = step.run(100)
        assert.is_false(more)
        assert.is_nil(due)
        assert.are.equal(0, box.space.cache_entry:len())
        assert.are.equal(20, lycosa.cache.figures{tenant = late}.expired)
    end)

    it('takes none before its end, not by a part of a millisecond', function()
        local tenant = fill(1, 5.0007)
        lycosa.cache.set{tenant = tenant, key = 'sooner', value = 'v', ttl = 5.0003}
        clock.advance(5.0005)
        local more, due = cache.steps[1].run(100)
        -- Both end in the same millisecond, and the older stands first.
        assert.are.equal(2, box.space.cache_entry:len())
        assert.is_false(more)
        assert.is_true(math.abs(due - 1700000005.0007) < 1e-6)
        assert.is_nil(lycosa.cache.get{tenant = tenant, key = 'sooner'})
        clock.advance(0.0005)
        cache.steps[1].run(100)
        assert.are.equal(0, box.space.cache_entry:len())
    end)

    it('undoes the transaction that fails, keeps the others, and says why', function()
        local tenant, remove, calls = fill(100, 5), pool.remove, 0
        clock.advance(5)
        pool.remove = function(...)
            calls = calls + 1
            local gone = remove(...)
            return calls ~= 2 and gone or error('broken on purpose')
        end
        local ok, problem = pcall(cache.steps[1].run, 80)
        pool.remove = remove
        assert.is_false(ok)
        assert.is_truthy(tostring(problem):find('broken on purpose', 1, true))
        local figures = lycosa.cache.figures{tenant = tenant}
        assert.are.equal(100, figures.entries + figures.expired)
        assert.are.equal(70, figures.expired)
        assert.is_false((cache.steps[1].run(80)))
        assert.are.equal(100, lycosa.cache.figures{tenant = tenant}.expired)
    end)

    it('is run by the daemon when an entry is due, also one that came later but expires earlier', function()
        clock.release()
        fill(1, 3600)
        local deadline = clock.monotonic() + 5
        fill(3, 0.05)
        while box.space.cache_entry:len() > 1 and clock.monotonic() < deadline do
            fiber.sleep(0.005)
        end
        assert.are.equal(1, box.space.cache_entry:len())
    end)
end)
