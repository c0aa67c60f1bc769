local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local support = require('tests.lua.support')

local number = 0

describe('cache', function()
    local tenant

    before_each(function()
        support.reset()
        number = number + 1
        tenant = 'cache-batches-' .. number
    end)

    local function set(key, more)
        return lycosa.cache.set(support.with({tenant = tenant, key = key, value = 'v', ttl = 10}, more))
    end

    local function get(key, stale)
        return lycosa.cache.get{tenant = tenant, key = key, stale = stale}
    end

    local function figures()
        return lycosa.cache.figures{tenant = tenant}
    end

    local function keys_left()
        local keys = {}
        for _, entry in support.entries_of(tenant) do
            table.insert(keys, entry.key)
        end
        return keys
    end

    it('keeps bytes that are no text, as they are', function()
        local bytes = '\0\255\254' .. ('\128'):rep(100)
        set('b', {value = bytes})
        assert.are.equal(bytes, get('b').value)
        set('b', {value = ''})
        assert.are.equal('', get('b').value)
    end)

    it('serves a stale entry to those who take it stale, until its stale period ends', function()
        local times = set('s', {ttl = 5, stale_for = 3, negative = true})
        assert.are.same({1700000000, 1700000005, 1700000008}, {times.created_at, times.expires_at, times.stale_until})
        clock.advance(5)
        assert.is_nil(get('s'))
        local entry = get('s', true)
        assert.are.equal(1700000005, entry.expires_at)
        assert.is_true(entry.negative)
        daemon.drain('cache.expire')
        assert.is_not_nil(get('s', true))
        clock.advance(3)
        assert.is_nil(get('s', true))
        daemon.drain('cache.expire')
        assert.are.equal(0, box.space.cache_entry:len())
        local used = figures()
        assert.are.same({0, 2, 2, 1}, {used.hits, used.stale_hits, used.misses, used.expired})
    end)

    it('gets many in the order of their keys', function()
        set('a')
        set('c', {value = 'third'})
        set('old', {ttl = 1, stale_for = 5})
        clock.advance(1)
        local function values(stale)
            local found = {}
            local args = {tenant = tenant, keys = {'c', 'b', 'a', 'old', 'c'}, stale = stale}
            for i, entry in ipairs(lycosa.cache.get_many(args)) do
                found[i] = entry == nil and '-' or entry.value
            end
            return found
        end
        assert.are.same({'third', '-', 'v', '-', 'third'}, values())
        assert.are.same({'third', '-', 'v', 'v', 'third'}, values(true))
        assert.are.same({}, lycosa.cache.get_many{tenant = tenant, keys = {}})
        local used = figures()
        assert.are.same({6, 1, 3}, {used.hits, used.stale_hits, used.misses})
        local keys = {}
        for i = 1, 101 do
            keys[i] = 'k' .. i
        end
        local details = support.raises('INVALID_ARGUMENT', lycosa.cache.get_many, {tenant = tenant, keys = keys})
        assert.are.equal('keys', details.argument)
    end)

    it('sets many, all or none', function()
        local times = lycosa.cache.set_many{tenant = tenant, entries = {
            {key = 'a', value = '1', ttl = 1}, {key = 'b', value = '2', ttl = 2, stale_for = 1, tags = {'t'}},
            {key = 'a', value = '3', ttl = 3, media_type = 'text/plain'},
        }}
        assert.are.equal(3, #times)
        assert.are.same({1700000002, 1700000003}, {times[2].expires_at, times[2].stale_until})
        assert.are.same({'3', 'text/plain'}, {get('a').value, get('a').media_type})
        assert.are.same({'2', 'application/json'}, {get('b').value, get('b').media_type})
        assert.are.equal(2, figures().entries)

        local details = support.raises('INVALID_ARGUMENT', lycosa.cache.set_many, {tenant = tenant, entries = {
            {key = 'new', value = '1', ttl = 1}, {key = '', value = '2', ttl = 2},
        }})
        assert.are.equal('entries[2].key', details.argument)
        local much = {}
        for i = 1, 5 do
            much[i] = {key = 'k' .. i, value = ('x'):rep(800001), ttl = 1}
        end
        details = support.raises('INVALID_ARGUMENT', lycosa.cache.set_many, {tenant = tenant, entries = much})
        assert.are.equal('entries', details.argument)
        assert.are.same({'a', 'b'}, keys_left())
        much[5].value = ('x'):rep(799996)
        lycosa.cache.set_many{tenant = tenant, entries = much}
        assert.are.equal(7, figures().entries)
        assert.are.same({}, lycosa.cache.set_many{tenant = tenant, entries = {}})
    end)

    it('gives what is taken to one, and deletes it', function()
        set('a', {value = 'once', tags = {'t'}})
        assert.are.equal('once', lycosa.cache.take{tenant = tenant, key = 'a'}.value)
        assert.is_nil(lycosa.cache.take{tenant = tenant, key = 'a'})
        assert.is_nil(get('a'))
        set('late', {ttl = 1, stale_for = 10})
        clock.advance(1)
        assert.is_nil(lycosa.cache.take{tenant = tenant, key = 'late'})
        assert.is_not_nil(get('late', true))
        local used = figures()
        assert.are.same({1, 1, 3}, {used.entries, used.hits, used.misses})
    end)

    it('does not count what had expired as deleted', function()
        set('a', {ttl = 1})
        set('b', {ttl = 1, stale_for = 1})
        clock.advance(1)
        assert.are.same({deleted = 1}, lycosa.cache.delete{tenant = tenant, keys = {'a', 'b'}})
        assert.are.equal(0, figures().entries)
    end)

    it('invalidates by tag, of one tenant only', function()
        set('a', {tags = {'red', 'green', 'red'}})
        set('b', {tags = {'green'}})
        set('c')
        lycosa.cache.set{tenant = 'somebody else', key = 'a', value = 'v', ttl = 10, tags = {'green'}}
        assert.are.same({'red', 'green'}, get('a').tags)
        assert.are.same({deleted = 1, more = false}, lycosa.cache.invalidate{tenant = tenant, tag = 'red'})
        assert.are.same({deleted = 1, more = false}, lycosa.cache.invalidate{tenant = tenant, tag = 'green'})
        assert.are.same({deleted = 0, more = false}, lycosa.cache.invalidate{tenant = tenant, tag = 'green'})
        assert.are.same({'c'}, keys_left())
        assert.is_not_nil(lycosa.cache.get{tenant = 'somebody else', key = 'a'})
        assert.are.equal(2, figures().invalidated)
        -- Tags are those of the last set.
        set('c', {tags = {'blue'}})
        set('c', {tags = {'white'}})
        assert.are.equal(0, lycosa.cache.invalidate{tenant = tenant, tag = 'blue'}.deleted)
        assert.are.equal(1, lycosa.cache.invalidate{tenant = tenant, tag = 'white'}.deleted)
    end)

    it('invalidates by the beginning of keys, byte by byte', function()
        for _, key in ipairs({'user:1', 'user:10', 'user:2', 'users', 'use', 'v', 'ключ:1', 'ключ:2', 'к'}) do
            set(key)
        end
        assert.are.equal(2, lycosa.cache.invalidate{tenant = tenant, prefix = 'user:1'}.deleted)
        assert.are.equal(1, lycosa.cache.invalidate{tenant = tenant, prefix = 'user:'}.deleted)
        assert.are.equal(2, lycosa.cache.invalidate{tenant = tenant, prefix = 'ключ:'}.deleted)
        assert.are.equal(0, lycosa.cache.invalidate{tenant = tenant, prefix = 'z'}.deleted)
        assert.are.same({'users', 'use', 'v', 'к'}, keys_left())
    end)

    it('invalidates a bounded number and says whether more are left', function()
        for i = 1, 25 do
            set('k' .. i, {tags = {'t'}})
        end
        set('late', {ttl = 1, tags = {'t'}})
        clock.advance(1)
        local asked = {tenant = tenant, tag = 't', limit = 10}
        assert.are.same({deleted = 10, more = true}, lycosa.cache.invalidate(asked))
        asked.prefix, asked.tag = 'k', nil
        assert.are.same({deleted = 10, more = true}, lycosa.cache.invalidate(asked))
        asked.prefix, asked.limit = nil, 6
        asked.tag = 't'
        -- The one that had expired goes, too, and is not counted.
        assert.are.same({deleted = 5, more = false}, lycosa.cache.invalidate(asked))
        assert.are.same({}, keys_left())
        for _, both in ipairs({{}, {tag = 'a', prefix = 'b'}}) do
            both.tenant = tenant
            assert.are.equal('tag', support.raises('INVALID_ARGUMENT', lycosa.cache.invalidate, both).argument)
        end
    end)

    it('refuses the new arguments when they are out of bounds', function()
        local tags = {}
        for i = 1, 17 do
            tags[i] = 't' .. i
        end
        local wrong = {stale_for = {-1, 31536001, 'x'}, negative = {1}, tags = {tags, 'x', {a = 1}}}
        for name, values in pairs(wrong) do
            for _, value in ipairs(values) do
                local args = {tenant = tenant, key = 'k', value = 'v', ttl = 1}
                args[name] = value
                assert.are.equal(name, support.raises('INVALID_ARGUMENT', lycosa.cache.set, args).argument)
            end
        end
        local args = {tenant = tenant, tag = 't', limit = 1001}
        assert.are.equal('limit', support.raises('INVALID_ARGUMENT', lycosa.cache.invalidate, args).argument)
    end)
end)
