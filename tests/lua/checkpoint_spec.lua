local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local memory = require('lycosa.core.memory')
local support = require('tests.lua.support')

local function with(more)
    return support.with({tenant = 'acme', thread = 't'}, more)
end

-- Store a state. `versions` are the versions of channels by name, those in `new` with a value named after them.
local function put(id, versions, new, more)
    local args = with{
        id = id, state = {type = 'msgpack', value = 'state ' .. id}, metadata = {type = 'json', value = 'about ' .. id},
        channels = {}, blobs = {},
    }
    for channel, version in pairs(versions or {}) do
        table.insert(args.channels, {channel = channel, version = version})
    end
    for _, channel in ipairs(new or {}) do
        local value = ('%s of %s'):format(channel, versions[channel])
        table.insert(args.blobs, {channel = channel, version = versions[channel], type = 'json', value = value})
    end
    lycosa.checkpoint.put(support.with(args, more))
end

local function write(id, task, index, more)
    local args = with{id = id, task = task, writes = {{
        position = index, channel = 'c' .. index, type = 'json', value = ('%s %d'):format(task, index),
    }}}
    lycosa.checkpoint.put_writes(support.with(args, more))
end

local function get(id, more)
    local args = with(more)
    args.id = id
    return lycosa.checkpoint.get(args)
end

local function values_of(page)
    local found = {}
    for _, blob in ipairs(page.blobs) do
        found[blob.name:match(' (.*)$')] = blob.value
    end
    return found
end

local function writes_of(page)
    local found = {}
    for i, one in ipairs(page.writes) do
        found[i] = one.value
    end
    return found
end

local function ids(more)
    local args, found, pages = with(more), {}, 0
    repeat
        local page = lycosa.checkpoint.list(args)
        for _, head in ipairs(page.heads) do
            table.insert(found, head[3])
        end
        args.cursor, pages = page.next, pages + 1
    until page.next == nil
    return found, pages
end

local function rows()
    local counts = {}
    for _, name in ipairs{'state', 'write', 'blob', 'part', 'thread', 'gone'} do
        table.insert(counts, box.space['checkpoint_' .. name]:len())
    end
    return counts
end

describe('checkpoint', function()
    before_each(support.reset)

    it('gives back a state with the values of its channels, those of older versions too', function()
        put('1', {a = '1.x', ['два слова'] = '1.y'}, {'a', 'два слова'})
        put('2', {a = '2.x', ['два слова'] = '1.y', empty = '1'}, {'a'}, {parent = '1'})
        local page = get('2')
        assert.are.same({'t', '', '2', '1', 'msgpack', 'state 2'}, {unpack(page.head, 1, 6)})
        assert.are.same({a = 'a of 2.x', ['два слова'] = 'два слова of 1.y'}, values_of(page))
        assert.are.same({a = 'a of 1.x', ['два слова'] = 'два слова of 1.y'}, values_of(get('1')))
        assert.are.equal('2', get(nil).head[3])
        assert.are.equal(3, box.space.checkpoint_blob:len())
        assert.is_true(get('3').head == nil and get(nil, {namespace = 'inner'}).head == nil)
        assert.is_true(get(nil, {thread = 'other'}).head == nil and get(nil, {tenant = 'other'}).head == nil)
    end)

    it('keeps the first of ordinary writes and the last of marks', function()
        put('1')
        write('1', 'b', 0)
        write('1', 'a', 1)
        write('1', 'a', 0)
        write('1', 'a', 0, {writes = {{position = 0, channel = 'c', type = 'json', value = 'again'}}})
        write('1', 'a', -1)
        write('1', 'a', -1, {writes = {{position = -1, channel = 'c', type = 'json', value = 'mark'}}})
        write('1', 'a', 0, {namespace = 'inner'})
        assert.are.same({'mark', 'a 0', 'a 1', 'b 0'}, writes_of(get('1')))
        write('2', 'early', 0)
        put('2')
        assert.are.same({'early 0'}, writes_of(get('2')))
    end)

    it('lists from the newest down: a namespace, a thread, all threads of a tenant', function()
        for i = 1, 5 do
            put(tostring(i), nil, nil, {namespace = i % 2 == 0 and 'inner' or ''})
        end
        put('6', nil, nil, {thread = 'u'})
        put('7', nil, nil, {tenant = 'other'})
        assert.are.same({'5', '3', '1'}, (ids{namespace = ''}))
        assert.are.same({'4', '2'}, (ids{namespace = 'inner', limit = 1}))
        assert.are.same({'5', '4', '3', '2', '1'}, (ids{limit = 2}))
        assert.are.same({'3', '2', '1'}, (ids{before = '4', limit = 2}))
        local args = {tenant = 'acme', limit = 4}
        local page = lycosa.checkpoint.list(args)
        assert.are.same({'u', '6'}, {page.heads[1][1], page.heads[1][3]})
        args.cursor = page.next
        assert.are.same({2, '1'}, {#lycosa.checkpoint.list(args).heads, lycosa.checkpoint.list(args).heads[2][3]})
        support.raises('INVALID_ARGUMENT', lycosa.checkpoint.list, {tenant = 'acme', namespace = ''})
        support.raises('INVALID_CURSOR', lycosa.checkpoint.list, with{cursor = page.next})
    end)

    it('filters by the facts it was told, and lets pass what it does not know', function()
        put('1', nil, nil, {facts = {source = 'loop', step = 1}})
        put('2', nil, nil, {facts = {source = 'input', step = 2}})
        put('3', nil, nil, {facts = {source = 'loop', step = 2}})
        put('4')
        assert.are.same({'4', '3', '1'}, (ids{filter = {source = 'loop'}}))
        assert.are.same({'4', '3'}, (ids{filter = {source = 'loop', step = 2}}))
        assert.are.same({'4'}, (ids{filter = {unknown = 1}}))
    end)

    it('deletes a thread at once and its rows in bounded steps, and a new one of that name is another', function()
        for i = 1, 150 do
            put(('%03d'):format(i), {a = tostring(i)}, {'a'})
        end
        write('150', 'task', 0)
        put('1', {a = '1'}, {'a'}, {thread = 'kept'})
        assert.is_true(lycosa.checkpoint.delete_thread(with()).deleted)
        assert.is_false(lycosa.checkpoint.delete_thread(with()).deleted)
        assert.is_true(get('150').head == nil)
        assert.are.same({}, (ids()))
        assert.are.equal(1, #lycosa.checkpoint.list{tenant = 'acme'}.heads)
        put('150', {a = '150'}, {})
        assert.are.same({{}, {}}, {values_of(get('150')), writes_of(get('150'))})
        daemon.drain('checkpoint.expire')
        assert.are.same({2, 0, 1, 0, 2, 0}, rows())
        assert.are.equal('a of 1', values_of(get('1', {thread = 'kept'})).a)
    end)

    it('lets whole threads expire a time after their last write, never parts of them', function()
        put('1', {a = '1'}, {'a'}, {ttl = 10})
        clock.advance(9)
        write('1', 'task', 0, {ttl = 10})
        clock.advance(9)
        assert.are.same({a = 'a of 1'}, values_of(get('1')))
        put('for ever', nil, nil, {thread = 'u'})
        clock.advance(1)
        assert.is_true(get('1').head == nil)
        assert.are.same({'for ever'}, {lycosa.checkpoint.list{tenant = 'acme'}.heads[1][3]})
        put('2', {a = '1'}, {}, {ttl = 10})
        assert.are.same({{'2'}, {}}, {(ids()), values_of(get('2'))})
        for i = 1, 250 do
            put(tostring(i), nil, nil, {ttl = 10})
        end
        clock.advance(10)
        assert.are.equal(3, daemon.drain('checkpoint.expire'))
        assert.are.same({1, 0, 0, 0, 1, 0}, rows())
    end)

    it('stops with the documents, before what cannot be made again', function()
        local admit, asked = memory.admit, {}
        memory.admit = function(space, class, bytes)
            asked[space] = class
            return admit(space, class, bytes)
        end
        local ok, problem = pcall(function()
            put('1', {a = '1'}, {'a'})
            write('1', 'task', 0)
            lycosa.checkpoint.put_parts(with{name = 'n', first = 1, parts = {'x'}})
        end)
        memory.admit = admit
        assert(ok, problem)
        assert.are.same({checkpoint_state = 'document', checkpoint_write = 'document', checkpoint_part = 'document'}, asked)
    end)

    it('refuses what one call must not hold', function()
        local large = {}
        for i = 1, 5 do
            large[i] = {channel = 'c', version = tostring(i), type = 'json', value = ('x'):rep(900000), position = i}
        end
        support.raises('INVALID_ARGUMENT', put, '1', {}, {}, {blobs = large})
        support.raises('INVALID_ARGUMENT', put, '1', {}, {}, {state = {type = 'json', value = ('x'):rep(250001)}})
        for i = 1, 5 do
            large[i].version = nil
        end
        support.raises('INVALID_ARGUMENT', write, '1', 'task', 0, {writes = large})
        assert.are.same({0, 0, 0, 0, 0, 0}, rows())
    end)
end)
