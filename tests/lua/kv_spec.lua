local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local memory = require('lycosa.core.memory')
local support = require('tests.lua.support')

local function with(more)
    return support.with({tenant = 'acme', namespace = 'notes'}, more)
end

local function set(key, value, more)
    local args = with{key = key, value = value or 'v'}
    return lycosa.kv.set(support.with(args, more))
end

local function get(key, more)
    local args = with(more)
    args.key = key
    local row = lycosa.kv.get(args)
    return row and row.value
end

local function keys_of(rows)
    local keys = {}
    for i, row in ipairs(rows) do
        keys[i] = row.key or row[2]
    end
    return keys
end

-- Every page of a listing, one after the other.
local function walk(procedure, field, args)
    local found, pages = {}, 0
    repeat
        local page = procedure(args)
        for _, row in ipairs(page[field]) do
            table.insert(found, row)
        end
        pages, args.cursor = pages + 1, page.next
    until page.next == nil
    return found, pages
end

describe('kv', function()
    before_each(support.reset)

    it('gives back any bytes, and tells tenants, namespaces and keys apart', function()
        local bytes = '\0\255\254 слово \128'
        set('k', bytes)
        set('k', 'other tenant', {tenant = 'other'})
        set('k', 'other namespace', {namespace = 'note'})
        set('ключ', 'по-русски')
        assert.are.equal(bytes, get('k'))
        assert.are.equal('по-русски', get('ключ'))
        assert.are.equal('other tenant', get('k', {tenant = 'other'}))
        assert.are.equal('other namespace', get('k', {namespace = 'note'}))
        assert.is_nil(get('none'))
        set('k', '')
        assert.are.equal('', get('k'))
    end)

    it('never serves an expired entry, swept or not', function()
        set('short', 'v', {ttl = 10})
        set('long', 'v', {ttl = 20})
        set('for ever')
        clock.advance(10)
        assert.is_nil(get('short'))
        local found = lycosa.kv.get_many(with{keys = {'short', 'long', 'for ever', 'none'}})
        assert.are.same({true, false, false, true}, {
            found[1] == nil, found[2] == nil, found[3] == nil, found[4] == nil,
        })
        assert.are.same({'for ever', 'long'}, keys_of(lycosa.kv.list(with()).rows))
        assert.are.same({'for ever', 'long'}, keys_of(lycosa.kv.keys(with()).keys))
        assert.are.equal(0, lycosa.kv.delete(with{keys = {'short'}}).deleted)
        clock.advance(1e9)
        assert.are.equal('v', get('for ever'))
    end)

    it('sweeps what has expired, a bounded number at a time, and nothing else', function()
        for i = 1, 250 do
            set('k' .. i, 'v', {ttl = i <= 230 and 5 or 50})
        end
        set('for ever')
        clock.advance(5)
        assert.are.equal(3, daemon.drain('kv.expire'))
        assert.are.equal(21, box.space.kv_entry:len())
        clock.advance(50)
        daemon.drain('kv.expire')
        assert.are.same({'for ever'}, keys_of(box.space.kv_entry:select()))
    end)

    it('keeps when an entry was made, and begins anew once it was gone', function()
        set('k', 'one', {ttl = 10})
        clock.advance(5)
        set('k', 'two', {ttl = 10})
        local row = lycosa.kv.get(with{key = 'k'})
        assert.are.same({1700000000, 1700000005, 1700000015, 10},
            {row.created_at, row.updated_at, row.expires_at, row.ttl})
        clock.advance(10)
        set('k', 'three')
        row = lycosa.kv.get(with{key = 'k'})
        assert.are.same({1700000015, 1700000015}, {row.created_at, row.updated_at})
        assert.is_true(row.expires_at == nil and row.ttl == nil)
    end)

    it('lets entries begin their time anew', function()
        set('k', 'v', {ttl = 10})
        set('for ever')
        set('gone', 'v', {ttl = 5})
        clock.advance(9)
        local version = lycosa.kv.get(with{key = 'k'}).version
        assert.are.equal(1, lycosa.kv.touch(with{keys = {'k', 'for ever', 'gone', 'none'}}).touched)
        clock.advance(9)
        assert.are.equal('v', get('k'))
        assert.are.equal(version, lycosa.kv.get(with{key = 'k'}).version)
        clock.advance(1)
        assert.is_nil(get('k'))
    end)

    it('sets by version, once', function()
        local first = lycosa.kv.compare_and_set(with{key = 'k', value = 'one', version = 0})
        local details = support.raises('KV_CONFLICT', lycosa.kv.compare_and_set,
            with{key = 'k', value = 'x', version = 0})
        assert.are.same({'k', 0, first.version}, {details.key, details.expected, details.found})
        local second = lycosa.kv.compare_and_set(with{key = 'k', value = 'two', version = first.version, ttl = 10})
        assert.is_true(second.version > first.version)
        support.raises('KV_CONFLICT', lycosa.kv.compare_and_set, with{key = 'k', value = 'x', version = first.version})
        assert.are.equal('two', get('k'))
    end)

    it('takes an expired or deleted entry for none, and never gives a version twice', function()
        local first = set('k', 'one', {ttl = 10})
        lycosa.kv.delete(with{keys = {'k'}})
        support.raises('KV_CONFLICT', lycosa.kv.compare_and_set, with{key = 'k', value = 'x', version = first.version})
        local second = lycosa.kv.compare_and_set(with{key = 'k', value = 'two', version = 0, ttl = 10})
        assert.is_true(second.version > first.version)
        clock.advance(10)
        support.raises('KV_CONFLICT', lycosa.kv.compare_and_set, with{key = 'k', value = 'x', version = second.version})
        clock.freeze(1600000000)
        lycosa.kv.delete(with{keys = {'k'}})
        assert.is_true(set('k').version > second.version)
    end)

    it('stores many or none', function()
        local stored = lycosa.kv.set_many(with{entries = {
            {key = 'a', value = '1'}, {key = 'b', value = '2', ttl = 10}, {key = 'a', value = '3'},
        }})
        assert.are.equal(3, #stored)
        assert.are.equal(1700000010, stored[2].expires_at)
        assert.are.equal('3', get('a'))
        local large = ('x'):rep(1000000)
        local entries = {}
        for i = 1, 5 do
            entries[i] = {key = 'large' .. i, value = large}
        end
        support.raises('INVALID_ARGUMENT', lycosa.kv.set_many, with{entries = entries})
        assert.are.equal(2, box.space.kv_entry:len())
        support.raises('INVALID_ARGUMENT', set, 'k', large .. 'x')
        support.raises('INVALID_ARGUMENT', set, '')
        support.raises('INVALID_ARGUMENT', set, ('k'):rep(513))
    end)

    it('pages through a namespace, a prefix, and namespaces that begin alike', function()
        for i = 10, 29 do
            set('k' .. i, 'v')
        end
        set('a')
        set('k10', 'v', {namespace = 'notes/deep'})
        set('k10', 'v', {namespace = 'note'})
        set('k10', 'v', {tenant = 'acmf'})
        local rows, pages = walk(lycosa.kv.list, 'rows', with{limit = 7})
        assert.are.same({21, 3, 'a'}, {#rows, pages, rows[1].key})
        local found = walk(lycosa.kv.keys, 'keys', with{prefix = 'k1', limit = 3})
        assert.are.same({10, 'k10', 'k19'}, {#found, found[1][2], found[10][2]})
        rows = walk(lycosa.kv.list, 'rows', with{nested = true, limit = 4})
        assert.are.same({22, 'notes/deep'}, {#rows, rows[22].namespace})
        support.raises('INVALID_ARGUMENT', lycosa.kv.list, with{nested = true, prefix = 'k'})
        local page = lycosa.kv.list(with{limit = 4})
        support.raises('INVALID_CURSOR', lycosa.kv.list, with{limit = 4, prefix = 'k', cursor = page.next})
        support.raises('INVALID_CURSOR', lycosa.kv.keys, {tenant = 'acmf', namespace = 'notes', cursor = page.next})
    end)

    it('ends a page at a million bytes of values, and at a thousand entries looked at', function()
        for i = 1, 3 do
            set('large' .. i, ('x'):rep(600000))
        end
        local page = lycosa.kv.list(with())
        assert.are.same({'large1', 'large2'}, keys_of(page.rows))
        assert.are.same({'large3'}, keys_of(lycosa.kv.list(with{cursor = page.next}).rows))
        box.begin()
        for i = 1000, 2100 do
            set('k' .. i, 'v', {namespace = 'gone', ttl = 1})
        end
        box.commit()
        set('last', 'v', {namespace = 'gone'})
        clock.advance(1)
        page = lycosa.kv.list{tenant = 'acme', namespace = 'gone'}
        assert.are.equal(0, #page.rows)
        local rows, pages = walk(lycosa.kv.list, 'rows', {tenant = 'acme', namespace = 'gone'})
        assert.are.same({{'last'}, 2}, {keys_of(rows), pages})
    end)

    it('names the namespaces that hold something', function()
        for _, namespace in ipairs{'a/1', 'a/2', 'b', 'a/3', 'ab'} do
            set('k1', 'v', {namespace = namespace})
            set('k2', 'v', {namespace = namespace})
        end
        set('k', 'v', {namespace = 'a/expired', ttl = 1})
        set('k', 'v', {namespace = 'a/partly', ttl = 1})
        set('l', 'v', {namespace = 'a/partly'})
        set('k', 'v', {tenant = 'other', namespace = 'a/0'})
        clock.advance(1)
        local names, pages = walk(lycosa.kv.namespaces, 'namespaces', {tenant = 'acme', limit = 2})
        assert.are.same({'a/1', 'a/2', 'a/3', 'a/partly', 'ab', 'b'}, names)
        assert.are.equal(4, pages)
        assert.are.same({'a/1', 'a/2', 'a/3', 'a/partly'},
            lycosa.kv.namespaces{tenant = 'acme', prefix = 'a/'}.namespaces)
        support.raises('INVALID_CURSOR', lycosa.kv.namespaces, {tenant = 'acme', cursor = 'x'})
    end)

    it('ends a page of namespaces at a thousand expired entries, too', function()
        for n = 1, 4 do
            for k = 1, 600 do
                set('k' .. k, 'v', {namespace = 'n' .. n, ttl = 1})
            end
        end
        set('k', 'v', {namespace = 'n5'})
        clock.advance(1)
        local names, pages = walk(lycosa.kv.namespaces, 'namespaces', {tenant = 'acme'})
        assert.are.same({{'n5'}, 3}, {names, pages})
    end)

    it('clears a namespace, a prefix or namespaces that begin alike, a bounded number at a time', function()
        for i = 10, 24 do
            set('k' .. i)
        end
        set('k1', 'v', {namespace = 'notes/deep'})
        set('k1', 'v', {namespace = 'other'})
        assert.are.same({deleted = 10, more = false}, lycosa.kv.clear(with{prefix = 'k1'}))
        assert.are.same({deleted = 4, more = true}, lycosa.kv.clear(with{limit = 4}))
        assert.are.same({deleted = 1, more = false}, lycosa.kv.clear(with{limit = 4}))
        set('k')
        assert.are.same({deleted = 2, more = false}, lycosa.kv.clear(with{nested = true}))
        support.raises('INVALID_ARGUMENT', lycosa.kv.clear, with{nested = true, prefix = 'k'})
        assert.are.same({'other'}, lycosa.kv.namespaces{tenant = 'acme'}.namespaces)
    end)

    it('stops with the documents, before what cannot be made again', function()
        local admit, asked = memory.admit, nil
        memory.admit = function(space, class, bytes)
            asked = {space, class, bytes}
            return admit(space, class, bytes)
        end
        local ok, problem = pcall(set, 'k', ('x'):rep(1000))
        memory.admit = admit
        assert(ok, problem)
        assert.are.same({'kv_entry', 'document'}, {asked[1], asked[2]})
        assert.is_true(asked[3] >= 1000)
    end)
end)
