local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local support = require('tests.lua.support')

local function with(more)
    return support.with({tenant = 'acme', thread = 't'}, more)
end

local function put(id, parent, versions, more)
    local args = with{
        id = id, parent = parent, state = {type = 'json', value = id}, metadata = {type = 'json', value = '{}'},
        channels = {}, blobs = {},
    }
    for channel, version in pairs(versions or {}) do
        table.insert(args.channels, {channel = channel, version = version})
        if version == id then
            table.insert(args.blobs, {channel = channel, version = version, type = 'json', value = channel .. version})
        end
    end
    lycosa.checkpoint.put(support.with(args, more))
end

local function write(id, task, more)
    local args = with{id = id, task = task, writes = {{position = 0, channel = 'c', type = 'json', value = task}}}
    lycosa.checkpoint.put_writes(support.with(args, more))
end

local function put_parts(name, first, parts, more)
    local args = with(more)
    args.name, args.first, args.parts = name, first, parts
    lycosa.checkpoint.put_parts(args)
end

local function ids(more)
    local found = {}
    for i, head in ipairs(lycosa.checkpoint.list(with(more)).heads) do
        found[i] = head[2] .. '/' .. head[3]
    end
    return found
end

-- Every page of a state: names of blobs, and tasks of writes.
local function whole(id, more)
    local args, blobs, writes, pages = with(more), {}, {}, 0
    args.id = id
    repeat
        local page = lycosa.checkpoint.get(args)
        for _, blob in ipairs(page.blobs) do
            table.insert(blobs, blob.name)
        end
        for _, one in ipairs(page.writes) do
            table.insert(writes, one.task)
        end
        args.cursor, pages = page.next, pages + 1
    until page.next == nil
    table.sort(blobs)
    return blobs, writes, pages
end

local function count(name)
    return box.space['checkpoint_' .. name]:len()
end

local function prune(limit, more)
    local args, deleted, calls = with(more), 0, 0
    args.limit = limit
    repeat
        local answer = lycosa.checkpoint.prune(args)
        deleted, calls, args.before = deleted + answer.deleted, calls + 1, answer.before
    until not answer.more
    return deleted, calls
end

describe('checkpoint removal', function()
    before_each(support.reset)

    it('prunes to the latest state of every namespace, with the values it has and no others', function()
        for i = 1, 9 do
            put(tostring(i), i > 1 and tostring(i - 1) or nil, {a = tostring(i), old = '1'})
            write(tostring(i), 'task')
        end
        for i = 1, 3 do
            put('in' .. i, nil, {}, {namespace = 'inner'})
        end
        put('1', nil, {a = '1'}, {thread = 'u'})
        local deleted, calls = prune(4)
        assert.are.equal(10, deleted)
        assert.is_true(calls > 3)
        assert.are.same({'inner/in3', '/9'}, ids())
        assert.are.same({{'1 old', '9 a'}, {'task'}, 1}, {whole('9')})
        assert.are.same({3, 3, 1}, {count('state'), count('blob'), count('write')})
        assert.are.same({0, 1}, {prune(1000)})
        assert.are.same({0, 1}, {prune(1000, {thread = 'none'})})
    end)

    it('keeps what channels without a value are made again from', function()
        put('1', nil, {messages = '1', x = '1'})
        put('2', '1', {messages = '2', x = '2'}, {deltas = {}})
        for i = 3, 6 do
            put(tostring(i), tostring(i - 1), {messages = 'd' .. i, x = tostring(i)}, {deltas = {'messages'}})
            write(tostring(i - 1), 'task')
        end
        put('f', '3', {messages = 'df'}, {deltas = {'messages'}})
        lycosa.checkpoint.delete_for_runs{tenant = 'acme', runs = {'none'}}
        assert.are.equal(4, prune(1000))
        assert.are.same({'/f', '/3', '/2'}, ids())
        assert.are.same({{'2 messages', '2 x'}, {'task'}, 1}, {whole('2')})
    end)

    it('keeps a chain to its root when a channel never had a value', function()
        for i = 1, 5 do
            put(tostring(i), i > 1 and tostring(i - 1) or nil, {m = 'd' .. i}, {deltas = {'m'}})
        end
        put('side', '1', {}, {id = '0'})
        assert.are.equal(1, prune(1))
        assert.are.same({'/5', '/4', '/3', '/2', '/1'}, ids())
    end)

    it('deletes what runs stored, in whatever threads, and a thread that has nothing left', function()
        put('1', nil, {a = '1', b = '1'}, {run = 'r1'})
        put('2', '1', {a = '2', b = '1'}, {run = 'r2'})
        write('1', 'task')
        put('1', nil, {a = '1'}, {run = 'r1', thread = 'u'})
        put('1', nil, {a = '1'}, {run = 'r1', tenant = 'other'})
        local deleted = 0
        repeat
            local answer = lycosa.checkpoint.delete_for_runs{tenant = 'acme', runs = {'r1', 'none'}, limit = 1}
            deleted = deleted + answer.deleted
        until not answer.more
        assert.are.equal(2, deleted)
        assert.are.same({{'/2'}, {}}, {ids(), ids{thread = 'u'}})
        assert.are.same({'1 b', '2 a'}, (whole('2')))
        daemon.drain('checkpoint.expire')
        assert.are.same({2, 3, 0, 2, 0}, {count('state'), count('blob'), count('write'), count('thread'), count('gone')})
    end)

    it('keeps values in parts as long as something refers to them', function()
        put_parts('p1', 1, {'one', 'two'})
        put_parts('p1', 3, {'three'})
        put_parts('p2', 1, {'x'})
        put('1', nil, {}, {
            state = {type = 'json', value = '11', parts = 'p1'}, channels = {{channel = 'a', version = '1'}},
            blobs = {{channel = 'a', version = '1', type = 'json', value = '1', parts = 'p2'}},
        })
        local found = {}
        for i, part in ipairs(lycosa.checkpoint.parts(with{name = 'p1', first = 2})) do
            found[i] = part.value
        end
        assert.are.same({'two', 'three'}, found)
        assert.are.same({}, lycosa.checkpoint.parts(with{name = 'p1', first = 4}))
        assert.are.same({}, lycosa.checkpoint.parts(with{name = 'p', first = 1}))
        assert.are.same({}, lycosa.checkpoint.parts(with{name = 'p1', first = 1, thread = 'u'}))
        put('2', '1', {}, {channels = {{channel = 'a', version = '1'}}})
        prune(1000)
        assert.are.same({1, 1, 1}, {count('state'), count('blob'), count('part')})
        put_parts('w', 1, {'x'})
        local parted = {{position = 0, channel = 'c', type = 'json', value = '1', parts = 'w'}}
        write('2', 'task', {writes = parted})
        write('2', 'task', {writes = parted})
        assert.are.equal(2, count('part'))
        put_parts('again', 1, {'x'})
        write('2', 'task', {writes = {{position = 0, channel = 'c', type = 'json', value = '1', parts = 'again'}}})
        assert.are.equal(2, count('part'))
        put('3', '2', {})
        prune(1000)
        assert.are.same({1, 0, 0}, {count('state'), count('blob'), count('part')})
    end)

    it('refuses what refers to parts of a thread that was deleted meanwhile', function()
        put_parts('p', 1, {'one'})
        lycosa.checkpoint.delete_thread(with())
        support.raises('CHECKPOINT_CHANGED', put_parts, 'p', 2, {'two'})
        local parted = {state = {type = 'json', value = '1', parts = 'p'}}
        local details = support.raises('CHECKPOINT_CHANGED', put, '1', nil, {}, parted)
        assert.are.equal('t', details.thread)
        support.raises('CHECKPOINT_CHANGED', write, '1', 'task', {
            writes = {{position = 0, channel = 'c', type = 'json', value = '1', parts = 'p'}},
        })
        assert.are.equal(0, count('state'))
    end)

    it('gives a large state in pages', function()
        local channels = {}
        for i = 1, 7 do
            channels[i] = {channel = 'c' .. i, version = '1'}
            put('1', nil, {}, {channels = channels, blobs = {
                {channel = 'c' .. i, version = '1', type = 'json', value = ('x'):rep(900000)},
            }})
        end
        for i = 1, 6 do
            write('1', 'task' .. i, {writes = {{position = 0, channel = 'c', type = 'json', value = ('x'):rep(800000)}}})
        end
        local blobs, writes, pages = whole('1')
        assert.are.same({7, 6, 'task6', 3}, {#blobs, #writes, writes[6], pages})
        local page = lycosa.checkpoint.get(with())
        assert.are.same({'1', 5}, {page.head[3], #page.blobs})
        put('1', nil, {}, {thread = 'u'})
        support.raises('INVALID_CURSOR', lycosa.checkpoint.get, with{thread = 'u', cursor = page.next})
        lycosa.checkpoint.delete_thread(with())
        support.raises('CHECKPOINT_CHANGED', lycosa.checkpoint.get, with{id = '1', cursor = page.next})
        put('1')
        support.raises('CHECKPOINT_CHANGED', lycosa.checkpoint.get, with{id = '1', cursor = page.next})
    end)

    it('copies a thread whole, or not at all', function()
        for i = 1, 450 do
            put(tostring(i), nil, {a = tostring(i)})
        end
        put_parts('p', 1, {'x'})
        write('450', 'task', {writes = {{position = 0, channel = 'c', type = 'json', value = '1', parts = 'p'}}})
        local function copy(target, wait)
            return lycosa.checkpoint.copy_thread{tenant = 'acme', source = 't', target = target, wait = wait or 10}
        end
        assert.is_true(copy('u').copied)
        assert.are.same({902, 2}, {count('state') + count('write'), count('part')})
        assert.are.same({{'450 a'}, {'task'}, 1}, {whole('450', {thread = 'u'})})
        assert.are.equal(1, #lycosa.checkpoint.parts(with{thread = 'u', name = 'p', first = 1}))
        support.raises('CHECKPOINT_EXISTS', copy, 'u')
        support.raises('CHECKPOINT_BUSY', copy, 'v', 0)
        assert.is_false(lycosa.checkpoint.copy_thread{tenant = 'acme', source = 'x', target = 'v', wait = 1}.copied)
        lycosa.checkpoint.delete_thread(with())
        daemon.drain('checkpoint.expire')
        assert.are.same({{'450 a'}, {'task'}, 1}, {whole('450', {thread = 'u'})})
        assert.are.same({450, 0, 1}, {count('state'), count('gone'), count('part')})
    end)

    it('gives up a copy whose source is written meanwhile, and sweeps what a copier that died has left', function()
        for i = 1, 250 do
            put(tostring(i), nil, {a = tostring(i)})
        end
        local fiber = require('fiber')
        local writer = fiber.new(function()
            put('251')
        end)
        writer:set_joinable(true)
        support.raises('CHECKPOINT_CHANGED', lycosa.checkpoint.copy_thread, {
            tenant = 'acme', source = 't', target = 'u', wait = 10,
        })
        writer:join()
        daemon.drain('checkpoint.expire')
        assert.are.same({251, 250, 0, 1}, {count('state'), count('blob'), count('gone'), count('thread')})
        -- What it notes before it begins: due long after it must have ended.
        box.space.checkpoint_gone:insert{'acme', 1, 5, clock.now() + 100}
        box.space.checkpoint_blob:insert{'acme', 1, 5, '', 'x', 'json', 'x'}
        daemon.drain('checkpoint.expire')
        assert.are.equal(251, count('blob'))
        clock.advance(100)
        daemon.drain('checkpoint.expire')
        assert.are.equal(250, count('blob'))
    end)

    -- Store a state all of whose channels have values; what went with the state before is given again.
    local function put_held(id, parent, versions, more)
        more.channels, more.blobs = {}, {}
        local all = {}
        for channel, version in pairs(versions) do
            table.insert(more.channels, {channel = channel, version = version, held = true})
            local blob = {channel = channel, version = version, type = 'json', value = channel .. version}
            table.insert(all, blob)
            table.insert(more.blobs, version == id and blob or nil)
        end
        if not pcall(put, id, parent, {}, more) then
            more.blobs = all
            put(id, parent, {}, more)
        end
    end

    it('refuses a state whose values went meanwhile, so that they are given again', function()
        put('1', nil, {a = '1', b = '1'}, {run = 'r'})
        lycosa.checkpoint.delete_for_runs{tenant = 'acme', runs = {'r'}}
        local channels = {{channel = 'a', version = '1', held = true}, {channel = 'none', version = '1'}}
        support.raises('CHECKPOINT_CHANGED', put, '2', '1', {}, {channels = channels})
        assert.are.equal(0, count('state'))
        local blob = {channel = 'a', version = '1', type = 'json', value = 'a1'}
        put('2', '1', {}, {channels = channels, blobs = {blob}})
        put('3', '2', {}, {channels = channels})
        assert.are.same({'1 a'}, (whole('3')))
    end)

    -- What there must be: every value that a state refers to, each once, and no other.
    local function check_values()
        local wanted, found = {}, {}
        for _, state in box.space.checkpoint_state:pairs() do
            for _, name in ipairs(state.blobs) do
                local key = table.concat({tostring(state.generation), state.namespace, name}, '|')
                wanted[key] = true
            end
        end
        for _, blob in box.space.checkpoint_blob:pairs() do
            found[table.concat({tostring(blob.generation), blob.namespace, blob.name}, '|')] = true
        end
        assert.are.same(wanted, found)
    end

    it('leaves every value that a state refers to and no other, whatever is deleted', function()
        math.randomseed(7)
        local history = {}
        for round = 1, 200 do
            local thread, namespace = 't' .. math.random(2), ({'', 'in'})[math.random(2)]
            local place = thread .. namespace
            local chance = math.random(20)
            if chance <= 15 then
                local states = history[place] or {}
                local parent = #states > 0 and states[math.random(math.max(1, #states - 2), #states)] or nil
                local id, versions = ('%05d'):format(round), {}
                for channel, version in pairs(parent and parent.versions or {}) do
                    versions[channel] = version
                end
                for _ = 1, 2 do
                    local channel = 'c' .. math.random(5)
                    versions[channel] = id
                end
                put_held(id, parent and parent.id, versions, {
                    thread = thread, namespace = namespace, run = 'r' .. math.random(20),
                    deltas = math.random(4) == 1 and {'c1'} or {},
                })
                table.insert(states, {id = id, versions = versions})
                history[place] = states
            elseif chance <= 17 then
                lycosa.checkpoint.delete_for_runs{tenant = 'acme', runs = {'r' .. math.random(20), 'r' .. math.random(20)}}
            elseif chance == 18 then
                prune(math.random(10), {thread = thread})
            elseif chance == 19 then
                lycosa.checkpoint.delete_thread(with{thread = thread})
                history[thread], history[thread .. 'in'] = nil, nil
                daemon.drain('checkpoint.expire')
            else
                local copied = 'copy' .. round
                lycosa.checkpoint.copy_thread{tenant = 'acme', source = thread, target = copied, wait = 10}
                lycosa.checkpoint.delete_thread(with{thread = math.random(2) == 1 and copied or 'none'})
                daemon.drain('checkpoint.expire')
            end
            check_values()
        end
        assert.is_true(count('blob') > 0)
    end)
end)
