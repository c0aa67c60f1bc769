local borrowed = require('lycosa.core.borrowed')
local msgpack = require('msgpack')
local support = require('tests.lua.support')
local write_only = require('lycosa.core.write_only')

describe('writes that give nothing back', function()
    local space, index

    local function row(id, value)
        return {'acme', 7, id, value, 'text/plain', 1, 2, 3, false, {}, 1, 1, 1, {}}
    end

    local function within(run, ...)
        box.begin()
        local ok, problem = pcall(run, ...)
        if not ok then
            box.rollback()
            error(problem, 0)
        end
        box.commit()
        return problem
    end

    before_each(function()
        support.reset()
        space = box.space.cache_entry
        index = space.index.key
    end)

    after_each(function()
        space:truncate()
    end)

    it('store what insert and replace store', function()
        within(write_only.insert, space, row('a', 'Ёлка'))
        assert.are.equal(msgpack.encode(row('a', 'Ёлка')), msgpack.encode(space:get{'acme', 'a'}))
        box.begin()
        local stored = write_only.replace(space, row('a', '\xff\0'))
        assert.are.equal(msgpack.encode(row('a', '\xff\0')), msgpack.encode(stored))
        box.commit()
        assert.are.equal('\xff\0', space:get{'acme', 'a'}.value)
        assert.are.equal(1, space:len())
    end)

    it('store what is large, and what is small after it', function()
        local large = ('x'):rep(1000000)
        within(function()
            for i = 1, 3 do
                write_only.insert(space, row('l' .. i, large))
                write_only.replace(space, row('s' .. i, 'small'))
            end
        end)
        assert.are.equal(large, space:get{'acme', 'l3'}.value)
        assert.are.equal('small', space:get{'acme', 's3'}.value)
    end)

    it('update what is there, and say what is not', function()
        within(write_only.insert, space, row('a', 'v'))
        local operations = msgpack.encode{{'=', 4, 'w'}, {'+', 11, 5}}
        assert.is_true(within(write_only.update, space, {'acme', 'a'}, operations))
        assert.is_false(within(write_only.update, space, {'acme', 'b'}, operations))
        assert.are.equal('w', space:get{'acme', 'a'}.value)
        assert.are.equal(6, space:get{'acme', 'a'}.seq)
        assert.are.equal(1, space:len())
    end)

    it('delete a row that is owned or borrowed, from every index', function()
        for _, id in ipairs{'a', 'b', 'c'} do
            space:insert(row(id, 'v'))
        end
        within(write_only.delete, space, space:get{'acme', 'a'})
        within(function()
            write_only.delete(space, borrowed.get(index, {'acme', 'b'}))
        end)
        for name = 0, 2 do
            assert.are.equal(1, space.index[name]:len())
        end
        assert.are.equal('c', space.index.expiry:min().key)
    end)

    it('are undone with their transaction', function()
        space:insert(row('a', 'v'))
        box.begin()
        write_only.insert(space, row('b', 'v'))
        write_only.replace(space, row('a', 'w'))
        write_only.delete(space, space:get{'acme', 'b'})
        write_only.update(space, {'acme', 'a'}, msgpack.encode{{'=', 4, 'x'}})
        box.rollback()
        assert.are.equal(1, space:len())
        assert.are.equal('v', space:get{'acme', 'a'}.value)
    end)

    it('set one or two fields to numbers as update does', function()
        space:insert(row('a', 'v'))
        for _, pair in ipairs{{6, 0.5, 7, 12}, {6, -3, 8, 1e17}, {11, 2 ^ 40}, {7, 4294967296, 8, 127}} do
            local field, value, other, other_value = unpack(pair)
            box.begin()
            assert.is_true(write_only.assign(space, 'acme', 'a', field, value, other, other_value))
            box.commit()
            local expected = row('a', 'v')
            expected[field] = value
            if other then
                expected[other] = other_value
            end
            local stored = space:get{'acme', 'a'}
            for i = 1, #expected do
                local one = stored[i]
                assert.are.same(expected[i], type(one) == 'cdata' and tonumber(one) or one)
            end
            space:replace(row('a', 'v'))
        end
        box.begin()
        assert.is_false(write_only.assign(space, 'acme', 'b', 6, 1))
        box.commit()
        assert.are.equal(1, space:len())
    end)

    it('refuse outside of a transaction, with nothing written', function()
        space:insert(row('a', 'v'))
        for name, run in pairs{
            insert = function() write_only.insert(space, row('b', 'v')) end,
            replace = function() write_only.replace(space, row('a', 'w')) end,
            update = function() write_only.update(space, {'acme', 'a'}, msgpack.encode{{'=', 4, 'w'}}) end,
            assign = function() write_only.assign(space, 'acme', 'a', 6, 5) end,
            delete = function() write_only.delete(space, space:get{'acme', 'a'}) end,
        } do
            local ok, problem = pcall(run)
            assert.is_false(ok, name)
            assert.is_truthy(tostring(problem):find('outside of a transaction', 1, true), name)
        end
        assert.are.equal(1, space:len())
        assert.are.equal('v', space:get{'acme', 'a'}.value)
    end)

    it('raise what the engine refuses', function()
        space:insert(row('a', 'v'))
        for code, run in pairs{
            [box.error.TUPLE_FOUND] = function() write_only.insert(space, row('a', 'w')) end,
            [box.error.FIELD_TYPE] = function() write_only.replace(space, row(7, 'w')) end,
            [box.error.EXACT_MATCH] = function()
                write_only.update(space, {'acme', 'a', 'b'}, msgpack.encode{{'=', 4, 'w'}})
            end,
            [box.error.NO_SUCH_FIELD_NO] = function() write_only.assign(space, 'acme', 'a', 90, 5) end,
            [box.error.UNKNOWN_UPDATE_OP] = function()
                write_only.update(space, {'acme', 'a'}, msgpack.encode{{'?', 4, 'w'}})
            end,
        } do
            local ok, raised = pcall(within, run)
            assert.is_false(ok)
            assert.are.equal(code, raised.code)
        end
        assert.are.equal('v', space:get{'acme', 'a'}.value)
    end)
end)
