local cache = require('lycosa.cache')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local support = require('tests.lua.support')

describe('volatile namespaces', function()
    local tenant = 'cache-volatile'

    before_each(function()
        support.reset()
        cache.configure{cache_volatile = {'tmp', 'ключи'}}
    end)

    after_each(function()
        cache.configure{}
    end)

    local function set(key, more)
        return lycosa.cache.set(support.with({tenant = tenant, key = key, value = 'v', ttl = 10}, more))
    end

    local function counts()
        return {box.space.cache_entry:len(), box.space.cache_volatile:len()}
    end

    it('stand in a space that no restart brings back', function()
        set('tmp:1')
        set('ключи:1')
        set('tmp')
        set('tmp2:1')
        set(':tmp:1')
        assert.are.same({3, 2}, counts())
        assert.is_true(box.space._space:get{box.space.cache_volatile.id}.flags.temporary)
        assert.is_true(box.space._space:get{box.space.cache_volatile_total.id}.flags.temporary)
        for _, key in ipairs({'tmp:1', 'ключи:1', 'tmp', 'tmp2:1'}) do
            assert.is_not_nil(lycosa.cache.get{tenant = tenant, key = key})
        end
        assert.are.equal(5, lycosa.cache.figures{tenant = tenant}.entries)
        assert.are.equal(5, lycosa.cache.figures{}.entries)
        assert.are.equal(lycosa.cache.figures{}.bytes, lycosa.cache.figures{tenant = tenant}.bytes)
    end)

    it('expire, are deleted, taken and invalidated like all others', function()
        set('tmp:1', {ttl = 1})
        set('tmp:2', {tags = {'t'}})
        set('tmp:3')
        set('tmp:4')
        set('tmp:5')
        set('kept', {tags = {'t'}})
        clock.advance(1)
        daemon.drain('cache.expire')
        assert.are.same({1, 4}, counts())
        assert.are.same({deleted = 1, more = true}, lycosa.cache.invalidate{tenant = tenant, tag = 't', limit = 1})
        assert.are.same({deleted = 1, more = false}, lycosa.cache.invalidate{tenant = tenant, tag = 't', limit = 1})
        assert.are.same({0, 3}, counts())
        assert.are.equal(1, lycosa.cache.delete{tenant = tenant, keys = {'tmp:3'}}.deleted)
        assert.are.equal('tmp:4', lycosa.cache.take{tenant = tenant, key = 'tmp:4'}.key)
        assert.are.equal(1, lycosa.cache.invalidate{tenant = tenant, prefix = 'tmp:'}.deleted)
        local figures = lycosa.cache.figures{tenant = tenant}
        assert.are.same({0, 0, 1, 3}, {figures.entries, figures.bytes, figures.expired, figures.invalidated})
    end)

    it('are looked through after the durable ones for a prefix without a namespace', function()
        local entries = {}
        for i = 1, 2100 do
            table.insert(entries, {key = (i <= 1050 and 'tmp:x' or 'durable') .. i, value = 'v', ttl = 10})
        end
        for start = 1, 2100, 100 do
            local part = {tenant = tenant, entries = {unpack(entries, start, start + 99)}}
            lycosa.cache.set_many(part)
        end
        set('tm')
        local asked = {tenant = tenant, prefix = 'tm', limit = 1000}
        assert.are.same({deleted = 1000, more = true}, lycosa.cache.invalidate(asked))
        assert.are.same({deleted = 51, more = false}, lycosa.cache.invalidate(asked))
        assert.are.same({1050, 0}, counts())
    end)

    it('leave nothing behind that could come back once they are durable again', function()
        cache.configure{}
        for i = 1, 1001 do
            set('tmp:' .. i)
        end
        set('tmp')
        set('other:1')
        lycosa.cache.set{tenant = 'another', key = 'tmp:1', value = 'v', ttl = 10}
        assert.are.same({1004, 0}, counts())
        cache.configure{cache_volatile = {'tmp'}}
        assert.are.same({2, 0}, counts())
        assert.is_nil(lycosa.cache.get{tenant = tenant, key = 'tmp:1'})
        assert.are.equal(2, lycosa.cache.figures{tenant = tenant}.entries)
        assert.are.equal(0, lycosa.cache.figures{tenant = 'another'}.entries)
    end)
end)
