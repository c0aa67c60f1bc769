local msgpack = require('msgpack')
local repeated = require('lycosa.core.repeated')
local T = require('lycosa.core.types')

describe('an argument that comes again and again', function()
    local checks, type_

    before_each(function()
        checks = 0
        local inner = T.list(T.record('One', {{'name', T.name}, {'cost', T.integer{min = 0}, default = 7}}), {max = 3})
        type_ = repeated.type({kind = inner.kind, check = function(value)
            checks = checks + 1
            return inner.check(value)
        end})
    end)

    it('is bound from its string as from itself', function()
        local plain = {{name = 'Ёлка'}, {name = 'b', cost = 2}}
        assert.are.same(type_.check(plain), type_.check(msgpack.encode(plain)))
        assert.are.equal(7, type_.check(msgpack.encode(plain))[1].cost)
    end)

    it('is checked once for all that send the same string', function()
        local bytes = msgpack.encode{{name = 'a'}}
        local first = type_.check(bytes)
        assert.are.equal(first, type_.check(msgpack.encode{{name = 'a'}}))
        assert.are.equal(1, checks)
    end)

    it('is refused each time, with the field that is wrong', function()
        local bytes = msgpack.encode{{name = 'a'}, {name = 'b', cost = -1}}
        for _ = 1, 2 do
            local checked, problem, path = type_.check(bytes)
            assert.is_nil(checked)
            assert.are.equal('is below 0', problem)
            assert.are.equal('[2].cost', path)
        end
        assert.are.equal(2, checks)
    end)

    it('is refused when the string is no value, more than one, or too long', function()
        for bytes, problem in pairs{
            ['\xc1'] = 'is not one value of MessagePack', ['\x92\x01'] = 'is not one value of MessagePack',
            ['\x90\x90'] = 'is not one value of MessagePack', [''] = 'is empty',
            -- A level a byte: without a bound, these would end the stack and the server with it.
            [('\x91'):rep(2049)] = 'is longer than 2048 bytes', [('\x91'):rep(2047) .. '\x90'] = 'is missing',
        } do
            local checked, told = type_.check(bytes)
            assert.is_nil(checked)
            assert.are.equal(problem, told)
        end
        local _, told = type_.check(7)
        assert.are.equal('is not a string of bytes', told)
    end)

    it('is forgotten and known again when there are too many', function()
        for i = 1, 1100 do
            assert.are.equal('n' .. i, type_.check(msgpack.encode{{name = 'n' .. i}})[1].name)
        end
        assert.are.equal(1100, checks)
        type_.check(msgpack.encode{{name = 'n1100'}})
        assert.are.equal(1100, checks)
        type_.check(msgpack.encode{{name = 'n1'}})
        assert.are.equal(1101, checks)
    end)
end)
