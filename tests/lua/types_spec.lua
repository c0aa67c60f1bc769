local T = require('lycosa.core.types')

local function accepts(type_, value)
    local checked, problem = type_.check(value)
    assert(checked ~= nil, tostring(problem))
    return checked
end

local function refuses(type_, value, wanted, wanted_path)
    local checked, problem, path = type_.check(value)
    assert.is_nil(checked)
    assert.is_truthy(problem:find(wanted, 1, true), ('%q does not say %q'):format(problem, wanted))
    assert.are.equal(wanted_path, path)
end

describe('texts', function()
    it('take UTF-8 of every script within bytes, not characters', function()
        assert.are.equal('Ёлка', accepts(T.name, 'Ёлка'))
        accepts(T.name, ('я'):rep(64))
        refuses(T.name, ('я'):rep(64) .. 'x', 'longer than 128 bytes')
        refuses(T.name, '', 'is empty')
        accepts(T.text{max = 10}, '')
        refuses(T.text{min = 2, max = 10}, 'x', 'shorter than 2 bytes')
        accepts(T.text{max = 10}, '日本\240\159\152\128')
    end)

    it('refuse what is no string, no UTF-8, or controls', function()
        for _, value in ipairs({1, true, {}, 5ULL}) do
            refuses(T.name, value, 'is not a string')
        end
        for _, value in ipairs({'\255', 'a\192\128', '\237\160\128', ('я'):sub(1, 1)}) do
            refuses(T.text{max = 10}, value, 'UTF-8')
        end
        for _, value in ipairs({'a\0', 'a\1', 'a\27[0m', 'a\127', 'я\194\133'}) do
            refuses(T.text{max = 10}, value, 'control')
        end
        for _, value in ipairs({'a\n', 'a\t', 'a\r'}) do
            refuses(T.name, value, 'control')
            accepts(T.text{max = 10}, value)
        end
    end)

    it('are checked to their last byte, long ones too', function()
        local long = T.text{max = 300000}
        for _, good in ipairs({('x'):rep(300000), ('я'):rep(150000), ('«ё»\n\t'):rep(9000), ('\194\160'):rep(9000)}) do
            assert.are.equal(good, accepts(long, good))
            for _, bad in ipairs({'\0', '\1', '\8', '\11', '\31', '\127', '\194\128', '\194\159'}) do
                refuses(T.text{max = 300010}, good .. bad, 'control')
                refuses(T.text{max = 300010}, bad .. good, 'control')
                refuses(T.text{max = 300010}, good:sub(1, 80) .. bad .. 'x', 'control')
            end
            for _, bad in ipairs({'\255', '\208', '\194', '\237\160\128'}) do
                refuses(T.text{max = 300010}, good .. bad, 'UTF-8')
            end
        end
        refuses(T.name, ('x'):rep(70) .. '\n', 'control')
    end)
end)

describe('numbers', function()
    it('hold their bounds', function()
        local type_ = T.integer{min = -2, max = 3}
        assert.are.equal(-2, accepts(type_, -2))
        assert.are.equal(3, accepts(type_, 3))
        refuses(type_, -3, 'below -2')
        refuses(type_, 4, 'above 3')
        refuses(type_, 0.5, 'whole')
        accepts(T.number{min = 0}, 0.5)
        accepts(T.number(), -1e300)
    end)

    it('refuse what is not finite and what a double would round', function()
        for _, type_ in ipairs({T.number(), T.integer(), T.time, T.scalar}) do
            refuses(type_, 0 / 0, 'finite')
            refuses(type_, math.huge, 'finite')
            refuses(type_, -math.huge, 'finite')
        end
        refuses(T.integer(), 2 ^ 53 + 2, 'whole')
        refuses(T.integer(), '5', 'not a number')
        refuses(T.number(), true, 'not a number')
    end)

    it('take 64-bit integers as they arrive', function()
        assert.are.equal(5, accepts(T.integer(), 5ULL))
        assert.are.equal(-5, accepts(T.integer(), -5LL))
        refuses(T.integer(), 18446744073709551615ULL, 'whole')
        refuses(T.integer(), box.NULL, 'not a number')
    end)

    it('bound time', function()
        accepts(T.time, 0)
        accepts(T.time, 253402300799)
        refuses(T.time, -1, 'below 0')
        refuses(T.time, 253402300800, 'above')
    end)
end)

describe('choices and scalars', function()
    it('take booleans as such', function()
        assert.is_false((T.boolean.check(false)))
        assert.is_true((T.boolean.check(true)))
        refuses(T.boolean, 0, 'not a boolean')
    end)

    it('take one of the values of an enum', function()
        local type_ = T.enum{'asc', 'desc'}
        accepts(type_, 'asc')
        refuses(type_, 'up', 'is not one of asc, desc')
        refuses(type_, 1, 'is not one of')
    end)

    it('take strings, numbers and booleans as scalars', function()
        assert.is_false((T.scalar.check(false)))
        assert.are.equal('да', accepts(T.scalar, 'да'))
        assert.are.equal(1.5, accepts(T.scalar, 1.5))
        refuses(T.scalar, ('x'):rep(1025), '1024')
        refuses(T.scalar, '\255', 'UTF-8')
        refuses(T.scalar, {}, 'not a string, number or boolean')
    end)

    it('take nothing where nothing is expected', function()
        refuses(T.none, 1, 'not expected')
    end)

    it('let null stand for nullable, and pass what is unchecked', function()
        assert.is_true(T.nullable(T.name).check(nil) == nil)
        assert.are.equal('cdata', type(T.nullable(T.name).check(nil)))
        assert.are.equal('x', accepts(T.nullable(T.name), 'x'))
        refuses(T.nullable(T.name), 5, 'not a string')
        assert.are.equal(5, accepts(T.unchecked(T.name), 5))
    end)
end)

describe('lists and maps', function()
    it('know good names again, however many there are, and refuse bad ones each time', function()
        for _ = 1, 2 do
            for number = 1, 3000 do
                assert.are.equal('seen-' .. number, accepts(T.name, 'seen-' .. number))
            end
            refuses(T.name, 'seen-1\n', 'control')
            refuses(T.name, '\255', 'UTF-8')
            refuses(T.name, 5, 'is not a string')
            refuses(T.name, 0 / 0, 'is not a string')
            refuses(T.name, true, 'is not a string')
            refuses(T.name, box.NULL, 'is not a string')
        end
    end)

    it('bound lists and name the item at fault', function()
        local type_ = T.list(T.integer{min = 0}, {min = 1, max = 3})
        assert.are.same({1, 2}, accepts(type_, {1, 2}))
        refuses(type_, {}, 'fewer than 1')
        refuses(type_, {1, 2, 3, 4}, 'holds 4 items, at most 3')
        refuses(type_, {1, -1}, 'below 0', '[2]')
        refuses(type_, {a = 1}, 'not a list')
        refuses(type_, {1, a = 1}, 'not a list')
        refuses(type_, 'x', 'not a list')
        refuses(T.list(T.list(T.name, {max = 2}), {max = 2}), {{'a'}, {'b', 5}}, 'not a string', '[2][2]')
    end)

    it('leave the rows of an unchecked list to the domain', function()
        local rows = {{a = 1}, 'broken'}
        assert.are.equal(rows, accepts(T.list(T.unchecked(T.name), {max = 2}), rows))
        refuses(T.list(T.unchecked(T.name), {max = 1}), rows, 'holds 2 items')
    end)

    it('take maps of names', function()
        local type_ = T.map(T.scalar, {max = 2})
        assert.are.same({a = 1, ['ключ'] = false}, accepts(type_, {a = 1, ['ключ'] = false}))
        assert.are.equal('map', getmetatable(accepts(type_, {})).__serialize)
        refuses(type_, {a = 1, b = 2, c = 3}, 'more than 2 keys')
        refuses(type_, {[1] = 'x'}, 'has a key that is not a string')
        refuses(type_, {['a\n'] = 'x'}, 'has a key that holds control')
        refuses(type_, {a = {}}, 'not a string, number', '.a')
        refuses(type_, 5, 'not a map')
    end)
end)

describe('records', function()
    local type_ = T.record('Thing', {
        {'id', T.name}, {'note', T.text{max = 9}, optional = true}, {'size', T.integer{min = 0}, default = 7},
        {'owner', T.name, nullable = true}, {'flag', T.boolean, default = false},
        {'parts', T.list(T.record('Part', {{'name', T.name}}), {max = 3}), optional = true},
    })

    it('fill defaults and keep absent fields absent', function()
        local checked = accepts(type_, {id = 'a'})
        assert.are.same({id = 'a', size = 7, flag = false}, checked)
        assert.is_true(accepts(type_, {id = 'a', flag = true}).flag)
    end)

    it('tell null from absent where null has a meaning', function()
        assert.are.equal('cdata', type(accepts(type_, {id = 'a', owner = box.NULL}).owner))
        assert.are.equal('nil', type(accepts(type_, {id = 'a'}).owner))
        assert.are.equal('nil', type(accepts(type_, {id = 'a', note = box.NULL}).note))
        assert.are.equal(7, accepts(type_, {id = 'a', size = box.NULL}).size)
    end)

    it('name the field at fault, however deep', function()
        refuses(type_, {}, 'is missing', '.id')
        refuses(type_, {id = box.NULL}, 'is missing', '.id')
        refuses(type_, {id = 'a', size = -1}, 'below 0', '.size')
        refuses(type_, {id = 'a', parts = {{name = 'x'}, {}}}, 'is missing', '.parts[2].name')
        refuses(type_, {id = 'a', colour = 'red'}, 'is not known', '.colour')
        refuses(type_, {id = 'a', ['\255'] = 1}, 'is not known', '.?')
        refuses(type_, {id = 'a', [('k'):rep(129)] = 1}, 'is not known', '.?')
        refuses(type_, {id = 'a', parts = {{name = 'x', size = 1}}}, 'is not known', '.parts[1].size')
        refuses(type_, 'a', 'not a map')
    end)

    it('describe themselves as plain data', function()
        local described = T.describe(type_)
        assert.are.same({'record', 'Thing', 'map'}, {described.kind, described.name, described.form})
        assert.are.same({name = 'id', type = {kind = 'name', min = 1, max = 128}}, described.fields[1])
        assert.are.same({true, 7}, {described.fields[3].optional, described.fields[3].default})
        assert.is_true(described.fields[4].nullable)
        assert.are.equal('Part', described.fields[6].type.of.name)
        assert.are.equal('tuple', T.describe(T.record('Row', {}, {form = 'tuple'})).form)
        assert.are.same({'a', 'b'}, T.describe(T.enum{'a', 'b'}).values)
        require('json').encode(described)
    end)
end)
