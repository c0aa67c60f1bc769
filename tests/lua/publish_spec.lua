local fio = require('fio')
local net = require('net.box')
local publish = require('lycosa.core.publish')
local support = require('tests.lua.support')

-- What the server itself has published.
local function real()
    local wanted = {}
    for _, described in ipairs(lycosa.contract()) do
        wanted[described.name] = described.access
    end
    for name in pairs(lycosa.testing) do
        wanted['testing.' .. name] = 'app'
    end
    return wanted
end

local function with(changes)
    local wanted = real()
    for name, access in pairs(changes) do
        wanted[name] = access
    end
    return wanted
end

local function executes(access, name)
    local id = box.space._func.index.name:get('lycosa.' .. name).id
    local role = box.space._user.index.name:get('lycosa_' .. access)
    return box.space._priv:get{role.id, 'function', id} ~= nil
end

describe('publish.reconcile', function()
    after_each(function()
        publish.reconcile(real())
    end)

    it('does nothing when the database equals the declarations', function()
        assert.are.same({created = 0, dropped = 0, granted = 0, revoked = 0}, publish.reconcile(real()))
    end)

    it('creates, moves and drops functions and their grants', function()
        assert.are.same(
            {created = 2, dropped = 0, granted = 2, revoked = 0},
            publish.reconcile(with{['spec.one'] = 'read', ['spec.two'] = 'worker'})
        )
        assert.is_true(executes('read', 'spec.one'))
        assert.is_false(executes('app', 'spec.one'))
        assert.are.equal(1, box.space._func.index.name:get('lycosa.spec.one').setuid)
        assert.are.same(
            {created = 0, dropped = 1, granted = 1, revoked = 1}, publish.reconcile(with{['spec.one'] = 'admin'})
        )
        assert.is_true(executes('admin', 'spec.one'))
        assert.is_false(executes('read', 'spec.one'))
        assert.is_nil(box.space._func.index.name:get('lycosa.spec.two'))
    end)

    it('leaves functions of others alone', function()
        box.schema.func.create('somebody.else', {if_not_exists = true})
        publish.reconcile(real())
        assert.is_not_nil(box.space._func.index.name:get('somebody.else'))
        box.schema.func.drop('somebody.else')
    end)
end)

describe('the application user', function()
    local directory, address

    setup(function()
        directory = fio.tempdir()
        address = 'unix/:' .. directory .. '/sock'
        box.cfg{listen = address}
    end)

    teardown(function()
        box.cfg{listen = ''}
        fio.rmtree(directory)
    end)

    before_each(support.reset)

    local function connect(user, password)
        return net.connect(address, {user = user, password = password, wait_connected = true, connect_timeout = 3})
    end

    it('calls procedures and nothing else', function()
        local connection = connect('lycosa', 'secret')
        assert.are.equal('active', connection.state)
        connection:call('lycosa.cache.set', {{tenant = 'acme', key = 'k', value = 'значение', ttl = 5}})
        assert.are.equal('значение', connection:call('lycosa.cache.get', {{tenant = 'acme', key = 'k'}})[4])
        assert.is_true(connection:call('lycosa.cache.get', {{tenant = 'acme', key = 'none'}}) == nil)
        for _, denied in ipairs({
            function() connection:eval('return 1') end,
            function() connection:call('os.exit') end,
            function() connection:call('box.snapshot') end,
            function() connection:call('lycosa.status') end,
            function() connection:call('lycosa.stop') end,
        }) do
            assert.has_error(denied)
        end
        assert.is_nil(connection.space.cache_entry)
        local id = box.space.cache_entry.id
        for _, denied in ipairs({
            function() connection:_request('select', nil, id, 0, 'ALL', 0, 10, {}) end,
            function() connection:execute('SELECT * FROM "cache_entry"') end,
        }) do
            assert.has_error(denied)
        end
        connection:close()
    end)

    it('sees errors as code, message and details', function()
        local connection = connect('lycosa', 'secret')
        local details = support.raises('REQUEST_NOT_FOUND', connection.call, connection, 'lycosa.request.get',
            {{tenant = 'acme', id = 'нет'}})
        assert.are.equal('нет', details.id)
        connection:close()
    end)

    it('needs its password, and a guest has no session', function()
        local wrong = connect('lycosa', 'wrong')
        assert.are_not.equal('active', wrong.state)
        wrong:close()
        local guest = connect()
        assert.has_error(function() guest:call('lycosa.cache.figures', {{}}) end)
        guest:close()
    end)

    it('has its password changed at the next start', function()
        publish.user('lycosa', 'another', 'app')
        local connection = connect('lycosa', 'another')
        assert.are.equal('active', connection.state)
        connection:close()
        publish.user('lycosa', 'secret', 'app')
    end)

    it('may be given a narrower role', function()
        publish.user('spec_reader', 'secret', 'read')
        local connection = connect('spec_reader', 'secret')
        connection:call('lycosa.cache.get', {{tenant = 'acme', key = 'k'}})
        assert.has_error(function()
            connection:call('lycosa.cache.set', {{tenant = 'acme', key = 'k', value = 'v', ttl = 5}})
        end)
        connection:close()
        box.schema.user.drop('spec_reader')
    end)
end)
