local append = require('lycosa.session.append')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local session = require('lycosa.session')
local support = require('tests.lua.support')

local function message(id, more)
    return support.with({id = id, role = 'user', content = 'сообщение ' .. id}, more)
end

local function messages(first, last, more)
    local made = {}
    for i = first, last do
        table.insert(made, message('m' .. i, more))
    end
    return made
end

local function add(id, list, tenant)
    return lycosa.session.append{tenant = tenant or 'acme', batches = {{session = id, messages = list}}}[1]
end

local function history(args)
    args.tenant, args.id = args.tenant or 'acme', args.id or 's'
    return lycosa.session.history(args)
end

local function ids(found)
    local list = {}
    for i, one in ipairs(found.messages) do
        list[i] = one.id
    end
    return table.concat(list, ' ')
end

local function rows(space)
    return box.space[space]:len()
end

describe('session', function()
    local wake = daemon.wake

    before_each(function()
        support.reset()
        -- The step runs when the specs run it.
        daemon.wake = function() end
    end)
    after_each(function()
        daemon.wake = wake
    end)

    it('begins with its first message and numbers them without gaps', function()
        assert.are.same({'s', 2, 2, 0}, {unpack(add('s', messages(1, 2)), 1, 4)})
        assert.are.same({'s', 4, 2, 0}, {unpack(add('s', messages(3, 4)), 1, 4)})
        local found = history{}
        assert.are.equal('m1 m2 m3 m4', ids(found))
        for i, one in ipairs(found.messages) do
            assert.are.equal(i, one.number)
            assert.are.equal('сообщение m' .. i, one.content)
        end
        assert.are.equal(4, found.session.messages)
        assert.is_false(found.more)
        assert.are.equal(1700000000 + 2592000, found.session.ends_at)
    end)

    it('keeps everything of a message', function()
        add('s', {message('m', {role = 'tool', content = '', body = '{"a": 1}', tokens = 7, created_at = 5, extra = {tool = 'f'}})})
        local one = history{}.messages[1]
        assert.are.same({'tool', '', '{"a": 1}', 7, 5, 'f'}, {
            one.role, one.content, one.body, one.tokens, one.created_at, one.extra.tool,
        })
        add('s', {message('n', {content = ('x'):rep(41)})})
        assert.are.equal(11, history{}.messages[2].tokens)
        assert.are.equal(18, history{}.session.tokens)
    end)

    it('appends to many sessions at once, each with an outcome, and one that is refused stops no other', function()
        add('a', messages(1, 1))
        local outcomes = lycosa.session.append{tenant = 'acme', batches = {
            {session = 'a', messages = {message('m1', {content = 'other'}), message('m2')}},
            {session = 'b', messages = messages(1, 3)},
            {session = 'a', messages = messages(2, 3)},
        }}
        assert.are.same({'a', 1, 0, 0, 'SESSION_MESSAGE_EXISTS'}, {unpack(outcomes[1], 1, 5)})
        assert.is_truthy(outcomes[1][6]:find('m1'))
        assert.are.same({'b', 3, 3, 0}, {unpack(outcomes[2], 1, 4)})
        assert.are.same({'a', 3, 2, 0}, {unpack(outcomes[3], 1, 4)})
        assert.are.equal('m1 m2 m3', ids(history{id = 'a'}))
    end)

    it('writes a repeated call once, and a message that stands twice in one batch', function()
        add('s', messages(1, 3))
        assert.are.same({'s', 3, 0, 3}, {unpack(add('s', messages(1, 3)), 1, 4)})
        assert.are.same({'s', 4, 1, 2}, {unpack(add('s', {message('m3'), message('m4'), message('m4')}), 1, 4)})
        assert.are.equal('m1 m2 m3 m4', ids(history{}))
        assert.are.equal('SESSION_MESSAGE_EXISTS', add('s', {message('m5'), message('m5', {role = 'system'})})[5])
        assert.are.equal(4, rows('session_message'))
    end)

    it('bounds a session and a call', function()
        local most = append.MOST_MESSAGES
        append.MOST_MESSAGES = 3
        add('s', messages(1, 2))
        assert.are.equal('SESSION_FULL', add('s', messages(3, 4))[5])
        assert.are.equal(3, add('s', messages(3, 3))[2])
        append.MOST_MESSAGES = most
        local details = support.raises('INVALID_ARGUMENT', lycosa.session.append, {tenant = 'acme', batches = {
            {session = 'a', messages = messages(1, 600)}, {session = 'b', messages = messages(1, 401)},
        }})
        assert.are.equal('batches', details.argument)
        support.raises('INVALID_ARGUMENT', add, 's', messages(10, 30, {content = ('x'):rep(200000)}))
        details = support.raises('INVALID_ARGUMENT', add, 's', {message('m', {role = 'robot'})})
        assert.are.equal('batches[1].messages[1].role', details.argument)
        assert.are.equal(3, rows('session_message'))
    end)

    it('reads the last ones, a window of tokens, and pages in both directions', function()
        add('s', messages(1, 10, {tokens = 10}))
        local found = history{limit = 3}
        assert.are.same({'m8 m9 m10', true}, {ids(found), found.more})
        found = history{before = 8, limit = 3}
        assert.are.equal('m5 m6 m7', ids(found))
        found = history{before = 3, limit = 3}
        assert.are.same({'m1 m2', false}, {ids(found), found.more})
        found = history{after = 0, limit = 4}
        assert.are.same({'m1 m2 m3 m4', true}, {ids(found), found.more})
        found = history{after = 8, limit = 4}
        assert.are.same({'m9 m10', false}, {ids(found), found.more})
        assert.are.equal('', ids(history{after = 10}))
        found = history{tokens = 35}
        assert.are.same({'m8 m9 m10', true}, {ids(found), found.more})
        assert.are.equal('', ids(history{tokens = 9}))
        assert.are.equal('m1 m2', ids(history{after = 0, tokens = 20}))
        support.raises('INVALID_ARGUMENT', history, {after = 1, before = 2})
    end)

    it('reads a megabyte at most', function()
        for i = 1, 6 do
            add('s', {message('m' .. i, {content = ('x'):rep(250000)})})
        end
        local found = history{}
        assert.are.same({'m4 m5 m6', true}, {ids(found), found.more})
        assert.are.equal('m1 m2 m3', ids(history{after = 0}))
    end)

    it('keeps sessions and tenants apart', function()
        for _, id in ipairs{'s', 's1', 'r'} do
            add(id, messages(1, 2))
        end
        add('s', messages(5, 9), 'other')
        assert.are.equal('m1 m2', ids(history{}))
        assert.are.equal('m1 m2', ids(history{after = 0}))
        assert.are.equal('m5 m6 m7 m8 m9', ids(history{tenant = 'other'}))
        support.raises('SESSION_NOT_FOUND', history, {tenant = 'third'})
        support.raises('SESSION_NOT_FOUND', lycosa.session.get, {tenant = 'acme', id = 'q'})
    end)

    it('is created once', function()
        local args = {tenant = 'acme', id = 's', current_agent = 'sales', metadata = {channel = 'чат'}, idle = 60}
        local made = lycosa.session.create(args)
        assert.are.same({'sales', 'чат', 60, 0}, {made.current_agent, made.metadata.channel, made.idle, made.messages})
        assert.are.equal(made.created_at, lycosa.session.create(args).created_at)
        args.current_agent = 'support'
        support.raises('SESSION_EXISTS', lycosa.session.create, args)
        args.current_agent = 'sales'
        for _, other in ipairs{{channel = 'web'}, {channel = 'чат', more = true}, {}} do
            local changed = {tenant = 'acme', id = 's', current_agent = 'sales', metadata = other, idle = 60}
            support.raises('SESSION_EXISTS', lycosa.session.create, changed)
        end
        add('s', messages(1, 1))
        support.raises('SESSION_EXISTS', lycosa.session.create, args)
        assert.are.equal('чат', history{}.session.metadata.channel)
        assert.is_true(lycosa.session.create{tenant = 'acme', id = 'plain'}.current_agent == nil)
        assert.are.equal('plain', lycosa.session.create{tenant = 'acme', id = 'plain'}.id)
    end)

    it('changes what is given and leaves the rest', function()
        lycosa.session.create{tenant = 'acme', id = 's', metadata = {a = 1}}
        clock.advance(5)
        local found = lycosa.session.update{tenant = 'acme', id = 's', current_agent = 'sales'}
        assert.are.same({'sales', 1, 1700000005}, {found.current_agent, found.metadata.a, found.last_active_at})
        found = lycosa.session.update{tenant = 'acme', id = 's', metadata = {b = 2}, current_agent = ''}
        assert.are.same({true, true, 2}, {found.current_agent == nil, found.metadata.a == nil, found.metadata.b})
        found = lycosa.session.update{tenant = 'acme', id = 's', idle = 0}
        assert.are.equal(253402300799, found.ends_at)
        support.raises('SESSION_NOT_FOUND', lycosa.session.update, {tenant = 'acme', id = 'q'})
    end)

    it('is gone at once when it is deleted, and what begins anew is empty', function()
        add('s', messages(1, 5))
        assert.is_true(lycosa.session.delete{tenant = 'acme', id = 's'}.deleted)
        assert.is_false(lycosa.session.delete{tenant = 'acme', id = 's'}.deleted)
        support.raises('SESSION_NOT_FOUND', history, {})
        add('s', messages(4, 6))
        assert.are.equal('m4 m5 m6', ids(history{}))
        assert.are.equal('m4 m5 m6', ids(history{after = 0}))
        assert.are.equal(1, history{}.session.generation)
        lycosa.session.delete{tenant = 'acme', id = 's'}
        add('s', messages(7, 7))
        assert.are.equal(2, history{}.session.generation)
        daemon.drain('session.expire')
        assert.are.same({1, 0}, {rows('session_message'), rows('session_gone')})
        assert.are.equal('m7', ids(history{}))
    end)

    it('ends when it was idle for its time, a bounded part a step', function()
        lycosa.session.create{tenant = 'acme', id = 's', idle = 60}
        add('s', messages(1, 5))
        add('long', messages(1, 1))
        lycosa.session.create{tenant = 'acme', id = 'empty', idle = 90}
        clock.advance(59)
        add('s', messages(6, 6))
        clock.advance(59)
        assert.are.equal(6, history{}.session.messages)
        clock.advance(1)
        support.raises('SESSION_NOT_FOUND', history, {})
        assert.are.equal('long', lycosa.session.list{tenant = 'acme'}.rows[1].id)
        local more, due = session.steps[1].run(4)
        assert.are.same({true, 3}, {more, rows('session_message')})
        assert.is_true(due > clock.now())
        more = session.steps[1].run(4)
        assert.are.same({false, 1, 0, 1}, {more, rows('session_message'), rows('session_gone'), rows('session')})
    end)

    it('begins anew where one has ended but was not cleaned away', function()
        lycosa.session.create{tenant = 'acme', id = 's', current_agent = 'sales', idle = 60}
        add('s', messages(1, 2))
        clock.advance(60)
        assert.are.same({'s', 1, 1, 0}, {unpack(add('s', messages(2, 2)), 1, 4)})
        assert.is_true(history{}.session.current_agent == nil)
    end)

    it('lists the last active first, in pages', function()
        for i = 1, 5 do
            add('s' .. i, messages(1, 1))
            clock.advance(1)
        end
        add('s1', messages(2, 2))
        add('s', messages(1, 1), 'other')
        local page = lycosa.session.list{tenant = 'acme', limit = 3}
        local list = {page.rows[1].id, page.rows[2].id, page.rows[3].id}
        page = lycosa.session.list{tenant = 'acme', limit = 3, cursor = page.next}
        assert.are.same({'s1', 's5', 's4', 's3', 's2'}, {list[1], list[2], list[3], page.rows[1].id, page.rows[2].id})
        assert.is_true(page.next == nil)
        support.raises('INVALID_CURSOR', lycosa.session.list, {tenant = 'acme', cursor = 'x'})
    end)
end)
