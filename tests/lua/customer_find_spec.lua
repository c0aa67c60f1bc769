local cursor = require('lycosa.core.cursor')
local fields = require('lycosa.customer.fields')
local support = require('tests.lua.support')

local function find(args)
    args.tenant = args.tenant or 'acme'
    return lycosa.customer.find(args)
end

local function upsert(rows, tenant)
    for _, outcome in ipairs(lycosa.customer.upsert{tenant = tenant or 'acme', rows = rows}) do
        assert.is_true(outcome[1] == 'inserted' or outcome[1] == 'updated' or outcome[1] == 'unchanged')
    end
end

local function ids_of(rows)
    local ids = {}
    for i, row in ipairs(rows) do
        ids[i] = row[fields.ID]
    end
    return ids
end

local function copy_with(query, more)
    local args = {}
    for key, value in pairs(query) do
        args[key] = value
    end
    for key, value in pairs(more) do
        args[key] = value
    end
    return args
end

local NAMES = {'Иванов', 'ИВАНОВА', 'иван', 'Ёлка', 'елена', 'Ivan', 'IVANA', 'Zoë', '100% Шёлк', '1000', 'a_b', 'A  B'}
local SEGMENTS = {'', 'vip', 'new'}
local TAGS = {'a', 'b', 'c', 'ж'}

local function random_row(i)
    local tags = {}
    for _, tag in ipairs(TAGS) do
        if math.random(2) == 1 then
            table.insert(tags, tag)
        end
    end
    return {
        id = ('c%03d'):format(i), name = NAMES[math.random(#NAMES)] .. (math.random(2) == 1 and '' or ' ' .. math.random(9)),
        email = math.random(3) == 1 and 'team@x.ru' or nil, segment = SEGMENTS[math.random(3)], tags = tags,
        since = 1600000000 + math.random(0, 20) / 2,
    }
end

-- What a query means, by looking at every row: the reference.
local function matches(query, row)
    if query.by == 'all' then
        return query.prefix == nil or row[fields.ID]:sub(1, #query.prefix) == query.prefix
    elseif query.by == 'email' then
        return row[fields.EMAIL] == query.value:lower()
    elseif query.by == 'segment' then
        return row[fields.SEGMENT] == query.value and (query.from == nil or row[fields.SINCE] >= query.from)
            and (query['until'] == nil or row[fields.SINCE] < query['until'])
    elseif query.by == 'tag' then
        for _, tag in ipairs(row[fields.TAGS]) do
            if tag == query.value then
                return true
            end
        end
        return false
    end
    local prefix = fields.fold_prefix(query.value)
    return row[fields.NAME_KEY]:sub(1, #prefix) == prefix
end

local ORDER = {segment = {fields.SINCE, fields.ID}, name = {fields.NAME_KEY, fields.ID}}

local function brute_force(query)
    local found = {}
    for _, row in box.space.customer:pairs() do
        if row[fields.TENANT] == 'acme' and matches(query, row) then
            table.insert(found, row)
        end
    end
    local order = ORDER[query.by] or {fields.ID}
    table.sort(found, function(left, right)
        for _, number in ipairs(order) do
            if left[number] ~= right[number] then
                if query.order == 'desc' then
                    return left[number] > right[number]
                end
                return left[number] < right[number]
            end
        end
        return false
    end)
    return ids_of(found)
end

local function random_query()
    local by = ({'all', 'email', 'segment', 'tag', 'name'})[math.random(5)]
    local query = {by = by, order = math.random(2) == 1 and 'asc' or 'desc'}
    if by == 'all' then
        query.prefix = ({'', 'c', 'c01', 'c019', 'd'})[math.random(7)]
    elseif by == 'email' then
        query.value = 'Team@X.ru'
    elseif by == 'segment' then
        query.value = SEGMENTS[math.random(3)]
        query.from = math.random(2) == 1 and 1600000000 + math.random(0, 5) or nil
        query['until'] = math.random(2) == 1 and 1600000005 + math.random(0, 6) or nil
    elseif by == 'tag' then
        query.value = TAGS[math.random(#TAGS)]
    elseif by == 'name' then
        query.value = ({'', 'ИВАН', 'е', 'Ё', 'ivan', '100%', '1', 'a', 'a ', 'zz'})[math.random(10)]
    end
    return query
end

-- Walk to the end by `next`, then back to the beginning by `previous`.
local function walk(query, limit)
    local ids, page = {}, nil
    repeat
        page = find(copy_with(query, {limit = limit, cursor = page and page.next}))
        assert.is_true(#page.rows <= limit)
        for _, id in ipairs(ids_of(page.rows)) do
            table.insert(ids, id)
        end
    until page.next == nil
    local back, pages = ids_of(page.rows), 1
    while page.previous ~= nil do
        page = find(copy_with(query, {limit = limit, cursor = page.previous}))
        assert.are.equal(limit, #page.rows)
        assert.is_true(page.next ~= nil)
        local before = ids_of(page.rows)
        for _, id in ipairs(back) do
            table.insert(before, id)
        end
        back, pages = before, pages + 1
    end
    return ids, back, pages
end

describe('customer.find', function()
    before_each(support.reset)

    it('pages in both directions over what brute force finds', function()
        math.randomseed(7)
        for _ = 1, 6 do
            support.reset()
            local rows = {}
            for i = 1, math.random(0, 90) do
                rows[i] = random_row(i)
            end
            upsert(rows)
            -- Neighbours in every index that no page may reach.
            upsert({{id = 'c000', name = 'Иванов', segment = 'vip', tags = TAGS, email = 'team@x.ru'}}, 'acm')
            upsert({{id = 'c000', name = 'Иванов', segment = 'vip', tags = TAGS, email = 'team@x.ru'}}, 'acme2')
            for _ = 1, 60 do
                local query = random_query()
                local expected = brute_force(query)
                local limit = math.random(1, 12)
                local forward, back, pages = walk(query, limit)
                assert.are.same(expected, forward)
                assert.are.same(expected, back)
                assert.are.equal(math.max(1, math.ceil(#expected / limit)), pages)
            end
        end
    end)

    it('keeps pages stable while rows come and go', function()
        for i = 10, 60, 2 do
            upsert{{id = 'c' .. i, name = 'n', tags = {'t', 'u'}}}
        end
        local first = find{by = 'tag', value = 't', limit = 5}
        assert.are.same({'c10', 'c12', 'c14', 'c16', 'c18'}, ids_of(first.rows))
        upsert{{id = 'c11', name = 'n', tags = {'t'}}, {id = 'c21', name = 'n', tags = {'t'}}}
        lycosa.customer.delete{tenant = 'acme', ids = {'c18', 'c20'}}
        local second = find{by = 'tag', value = 't', limit = 5, cursor = first.next}
        assert.are.same({'c21', 'c22', 'c24', 'c26', 'c28'}, ids_of(second.rows))
        local back = find{by = 'tag', value = 't', limit = 5, cursor = second.previous}
        assert.are.same({'c11', 'c12', 'c14', 'c16'}, {unpack(ids_of(back.rows), #back.rows - 3)})
    end)

    it('leads back from a page whose rows have gone', function()
        for i = 1, 4 do
            upsert{{id = 'c' .. i, name = 'n', tags = {'a', 'b'}}}
        end
        local first = find{by = 'tag', value = 'a', limit = 2}
        local second = find{by = 'tag', value = 'a', limit = 2, cursor = first.next}
        lycosa.customer.delete{tenant = 'acme', ids = {'c3', 'c4'}}
        local empty = find{by = 'tag', value = 'a', limit = 2, cursor = first.next}
        assert.are.same({}, empty.rows)
        assert.are.same({'c1', 'c2'}, ids_of(find{by = 'tag', value = 'a', limit = 2, cursor = empty.previous}.rows))
        upsert{{id = 'c3', name = 'n', tags = {'a', 'b'}}}
        lycosa.customer.delete{tenant = 'acme', ids = {'c1', 'c2'}}
        empty = find{by = 'tag', value = 'a', limit = 2, cursor = second.previous}
        assert.are.same({}, empty.rows)
        assert.is_true(empty.previous == nil)
        assert.are.same({'c3'}, ids_of(find{by = 'tag', value = 'a', limit = 2, cursor = empty.next}.rows))
    end)

    it('folds case, ё and white space, and reads a prefix as it is', function()
        upsert{
            {id = '1', name = 'ИВАНОВ Пётр'}, {id = '2', name = 'иванова'}, {id = '3', name = 'Ёлка'},
            {id = '4', name = 'Елка  и\194\160Ко'}, {id = '5', name = '100% Шёлк'}, {id = '6', name = '1000 мелочей'},
            {id = '7', name = 'е\204\136ж'}, {id = '8', name = ' Straße '},
        }
        local function by_name(prefix)
            return ids_of(find{by = 'name', value = prefix}.rows)
        end
        assert.are.same({'1', '2'}, by_name('иванов'))
        assert.are.same({'1', '2'}, by_name('Иванов'))
        assert.are.same({'1'}, by_name('ИВАНОВ  '))
        assert.are.same({'1'}, by_name('иванов петр'))
        assert.are.same({'3', '4'}, by_name('ёлка'))
        assert.are.same({'4'}, by_name('елка и ко'))
        assert.are.same({'7'}, by_name('ёж'))
        assert.are.same({'5'}, by_name('100%'))
        assert.are.same({}, by_name('%'))
        assert.are.same({}, by_name('.*'))
        assert.are.same({'8'}, by_name('STRA'))
        assert.are.equal(8, #by_name(''))
        assert.are.equal(8, #by_name(' '))
    end)

    it('finds by the unique keys', function()
        upsert{{id = 'a', external_id = 'x', name = 'A'}}
        for by, value in pairs{id = 'a', external_id = 'x'} do
            local page = find{by = by, value = value}
            assert.are.same({'a'}, ids_of(page.rows))
            assert.is_true(page.next == nil and page.previous == nil)
            assert.are.same({}, find{by = by, value = 'nobody'}.rows)
            assert.are.same({}, find{by = by, value = value, tenant = 'other'}.rows)
        end
        support.raises('INVALID_CURSOR', find, {by = 'id', value = 'a', cursor = 'AAAA'})
    end)

    it('names the argument that is wrong', function()
        local function wrong(argument, args)
            assert.are.equal(argument, support.raises('INVALID_ARGUMENT', find, args).argument)
        end
        wrong('by', {by = 'phone', value = '1'})
        wrong('by', {value = 'x'})
        wrong('value', {by = 'name'})
        wrong('value', {by = 'all', value = 'x'})
        wrong('value', {by = 'name', value = '\255'})
        wrong('limit', {by = 'all', limit = 0})
        wrong('limit', {by = 'all', limit = 1001})
        wrong('from', {by = 'all', from = 1})
        wrong('until', {by = 'tag', value = 'a', ['until'] = 1})
        wrong('from', {by = 'segment', value = 'a', from = 2, ['until'] = 1})
        wrong('from', {by = 'segment', value = 'a', from = 0 / 0})
        wrong('order', {by = 'all', order = 'random'})
        wrong('tenant', {by = 'all', tenant = 'a\0b'})
    end)

    it('refuses cursors of other queries, of other tenants and broken ones', function()
        local rows = {}
        for i = 1, 9 do
            rows[i] = {id = 'c' .. i, name = 'n', segment = 'vip', tags = {'vip'}}
        end
        upsert(rows)
        upsert(rows, 'other')
        local query = {by = 'segment', value = 'vip', from = 1, limit = 3}
        local text = find(query).next
        for _, change in ipairs{
            {value = 'new'}, {from = 2}, {['until'] = 9}, {order = 'desc'}, {by = 'tag', from = nil}, {tenant = 'other'},
            {cursor = ''}, {cursor = text:sub(1, -2)}, {cursor = text .. 'A'}, {cursor = text:upper()}, {cursor = '!'},
            {cursor = 'привет'}, {cursor = text:sub(2)},
        } do
            local args = copy_with(copy_with(query, {cursor = text}), change)
            if change.by then
                args.from = nil
            end
            support.raises('INVALID_CURSOR', find, args)
        end
        assert.are.equal(5, #find(copy_with(query, {cursor = text, limit = 5})).rows)
    end)

    it('keeps a forged cursor inside the tenant and the range', function()
        upsert({{id = 'c1', name = 'a', segment = 'vip'}}, 'acme')
        upsert({{id = 'c1', name = 'b', segment = 'vip'}, {id = 'c2', name = 'b', segment = 'vip'}}, 'other')
        local fingerprint = cursor.fingerprint{'customer.find', 'acme', 'segment', 'vip', '', '', 'asc'}
        for direction = 1, 4 do
            for _, since in ipairs{-1e300, 0, 1e300} do
                local page = find{by = 'segment', value = 'vip', cursor = cursor.encode(fingerprint, direction, {since, ''})}
                for _, row in ipairs(page.rows) do
                    assert.are.equal('acme', row[fields.TENANT])
                end
            end
        end
        for _, key in ipairs{{}, {1}, {'a', 'b'}, {1, 2}, {0 / 0, 'a'}, {1, 'a', 2}, {{}, 'a'}} do
            support.raises('INVALID_CURSOR', find, {by = 'segment', value = 'vip', cursor = cursor.encode(fingerprint, 1, key)})
        end
        for _, direction in ipairs{0, 5, 1.5, -1} do
            support.raises('INVALID_CURSOR', find, {
                by = 'segment', value = 'vip', cursor = cursor.encode(fingerprint, direction, {1, 'a'}),
            })
        end
    end)
end)

-- Every access to the customer spaces is recorded: which index, how, and how many rows it looked at. Methods of a space
-- go through its index objects. A tree index looks at the rows that it returns and no others, so the count is the work.
local function record(run)
    local walked, restore = {}, {}
    local function shadow(object, name, label)
        for _, method in ipairs{'get', 'select', 'pairs', 'count', 'min', 'max', 'len', 'random'} do
            local original = object[method]
            if original ~= nil then
                local own = rawget(object, method)
                table.insert(restore, function() rawset(object, method, own) end)
                rawset(object, method, function(self, key, options)
                    local answer = original(self, key, options)
                    local rows = method == 'select' and #answer or method == 'get' and 1 or math.huge
                    table.insert(walked, {index = name .. '.' .. label, method = method, rows = rows, key = key})
                    return answer
                end)
            end
        end
    end
    for _, name in ipairs{'customer', 'customer_segment', 'customer_total'} do
        for label, index in pairs(box.space[name].index) do
            if type(label) == 'string' then
                shadow(index, name, label)
            end
        end
    end
    local ok, answer = pcall(run)
    for _, undo in ipairs(restore) do
        undo()
    end
    assert(ok, answer)
    return walked, answer
end

describe('every read of customers', function()
    setup(function()
        support.reset()
        math.randomseed(3)
        for batch = 0, 4 do
            local rows = {}
            for i = 1, 1000 do
                rows[i] = {
                    id = ('c%05d'):format(batch * 1000 + i), external_id = 'x' .. batch * 1000 + i, name = NAMES[i % #NAMES + 1],
                    email = 'u' .. i .. '@x.ru', segment = 's' .. i % 10, tags = {'t' .. i % 5, 'z'},
                }
            end
            upsert(rows)
        end
    end)

    local first_page = {by = 'segment', value = 's3', limit = 20}
    local reads = {
        {index = 'customer.id', rows = 1, run = function() return lycosa.customer.get{tenant = 'acme', id = 'c00042'} end},
        {index = 'customer.id', rows = 1, run = function() return find{by = 'id', value = 'c00042'} end},
        {index = 'customer.external_id', rows = 1, run = function() return find{by = 'external_id', value = 'x42'} end},
        {index = 'customer.email', rows = 5, run = function() return find{by = 'email', value = 'U42@x.ru'} end},
        {index = 'customer.segment', rows = 20, run = function() return find(copy_with(first_page, {})) end, most = 21},
        {index = 'customer.segment', rows = 20, most = 21, run = function()
            return find(copy_with(first_page, {from = 1600000000, ['until'] = 1800000000, order = 'desc'}))
        end},
        {index = 'customer.tag', rows = 20, run = function() return find{by = 'tag', value = 't1'} end, most = 21},
        {index = 'customer.name', rows = 20, run = function() return find{by = 'name', value = 'иван'} end, most = 21},
        {index = 'customer.id', rows = 20, run = function() return find{by = 'all', order = 'desc'} end, most = 21},
        {index = 'customer.id', rows = 20, run = function() return find{by = 'all', prefix = 'c02'} end, most = 21},
        {index = 'customer_segment.segment', rows = 5, most = 6, run = function()
            return lycosa.customer.segments{tenant = 'acme', limit = 5}
        end},
        {index = 'customer_segment.segment', rows = 1, run = function()
            return lycosa.customer.segment{tenant = 'acme', segment = 's1'}
        end},
        {index = 'customer_total.tenant', rows = 1, run = function() return lycosa.customer.count{tenant = 'acme'} end},
    }

    it('walks its index and no more rows than the page', function()
        for _, read in ipairs(reads) do
            local walked, answer = record(read.run)
            assert.are.equal(1, #walked)
            assert.are.equal(read.index, walked[1].index)
            assert.is_true(type(walked[1].key) == 'string' or walked[1].key[1] == 'acme')
            assert.is_true(walked[1].rows <= (read.most or read.rows))
            if type(answer) == 'table' then
                assert.are.equal(read.rows, #answer.rows)
            end
        end
    end)

    it('walks no more on the hundredth page', function()
        local text
        for _ = 1, 20 do
            text = find(copy_with(first_page, {cursor = text})).next
        end
        local walked = record(function() return find(copy_with(first_page, {cursor = text})) end)
        assert.are.equal(1, #walked)
        assert.is_true(walked[1].rows <= 21)
    end)
end)
