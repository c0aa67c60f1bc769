local clock = require('lycosa.core.clock')
local fields = require('lycosa.customer.fields')
local support = require('tests.lua.support')

local NULL = box.NULL

local function upsert(rows)
    return lycosa.customer.upsert{tenant = 'acme', rows = rows}
end

local function one(row)
    return upsert{row}[1]
end

local function get(id)
    return lycosa.customer.get{tenant = 'acme', id = id}
end

-- {outcome, id, version, field, problem} as a comparable list, null as false.
local function plain(outcome)
    local values = {}
    for i = 1, 5 do
        values[i] = outcome[i] ~= nil and outcome[i]
    end
    return values
end

describe('customer.upsert', function()
    before_each(support.reset)

    it('inserts with defaults and with everything', function()
        assert.are.same({'inserted', 'a', 1, false, false}, plain(one{id = 'a', name = 'Anna'}))
        local stored = get('a')
        assert.are.equal('Anna', stored[fields.NAME])
        assert.are.equal('', stored[fields.SEGMENT])
        assert.is_true(stored[fields.EXTERNAL_ID] == nil and stored[fields.EMAIL] == nil)
        assert.are.equal(0, stored[fields.REVENUE])
        assert.are.equal(1700000000, stored[fields.SINCE])
        assert.are.equal(1700000000, stored[fields.CREATED_AT])
        assert.are.same({}, stored[fields.TAGS])

        one{
            id = 'b', external_id = 'crm-1', name = 'ООО  Ёлка', email = 'Иван@Пример.РФ', segment = 'vip',
            tags = {'b', 'a', 'b'}, country = 'RU', industry = 'торговля', revenue_cents = 12345, orders = 3,
            since = 1600000000.5, profile = {['город'] = 'Москва', size = 7, listed = true},
        }
        stored = get('b')
        assert.are.equal('ООО  Ёлка', stored[fields.NAME])
        assert.are.equal('ооо елка', stored[fields.NAME_KEY])
        assert.are.equal('иван@пример.рф', stored[fields.EMAIL])
        assert.are.same({'a', 'b'}, stored[fields.TAGS])
        assert.are.equal(1600000000.5, stored[fields.SINCE])
        assert.are.equal('Москва', stored[fields.PROFILE]['город'])
        assert.is_true(stored[fields.PROFILE].listed)
    end)

    it('takes the external id as the id of a new row and finds it again by it', function()
        assert.are.same({'inserted', 'crm-1', 1, false, false}, plain(one{external_id = 'crm-1', name = 'Anna'}))
        assert.are.same({'updated', 'crm-1', 2, false, false}, plain(one{external_id = 'crm-1', name = 'Anne'}))
        one{id = 'a', external_id = 'crm-2', name = 'Bob'}
        assert.are.same({'updated', 'a', 2, false, false}, plain(one{external_id = 'crm-2', orders = 4}))
    end)

    it('keeps what a patch does not name and clears what it names null', function()
        one{id = 'a', external_id = 'x', name = 'Anna', email = 'a@b.c', segment = 's', tags = {'t'}, country = 'RU',
            industry = 'i', revenue_cents = 5, orders = 2, profile = {k = 1}}
        clock.advance(10)
        assert.are.same({'updated', 'a', 2, false, false}, plain(one{id = 'a', country = 'DE'}))
        local stored = get('a')
        assert.are.equal('DE', stored[fields.COUNTRY])
        assert.are.equal('a@b.c', stored[fields.EMAIL])
        assert.are.equal(1700000000, stored[fields.CREATED_AT])
        assert.are.equal(1700000010, stored[fields.UPDATED_AT])
        local cleared = one{id = 'a', external_id = NULL, email = NULL, segment = NULL, tags = NULL, country = NULL,
            industry = NULL, revenue_cents = NULL, orders = NULL, profile = NULL}
        assert.are.same({'updated', 'a', 3, false, false}, plain(cleared))
        stored = get('a')
        for _, number in ipairs{fields.EXTERNAL_ID, fields.EMAIL, fields.COUNTRY, fields.INDUSTRY} do
            assert.is_true(stored[number] == nil)
        end
        assert.are.equal('', stored[fields.SEGMENT])
        assert.are.equal(0, stored[fields.REVENUE] + stored[fields.ORDERS])
        assert.are.same({}, stored[fields.TAGS])
        assert.is_nil(next(stored[fields.PROFILE]))
        assert.are.equal('invalid', one{id = 'a', name = NULL}[1])
        assert.are.equal('invalid', one{id = 'a', since = NULL}[1])
    end)

    it('writes nothing for a row that says nothing new', function()
        local row = {id = 'a', external_id = 'x', name = 'Anna', email = 'A@b.c', segment = 's', tags = {'u', 't'},
            revenue_cents = 5, profile = {k = 1, l = 'x'}}
        one(row)
        local lsn = box.info.lsn
        clock.advance(10)
        assert.are.same({'unchanged', 'a', 1, false, false}, plain(one(row)))
        assert.are.same({'unchanged', 'a', 1, false, false}, plain(one{id = 'a'}))
        assert.are.equal(lsn, box.info.lsn)
        assert.are.equal(1700000000, get('a')[fields.UPDATED_AT])
        assert.are.equal('updated', one{id = 'a', profile = {k = 1}}[1])
        assert.are.equal('updated', one{id = 'a', profile = {k = 2}}[1])
        assert.are.equal('updated', one{id = 'a', tags = {'t'}}[1])
    end)

    it('keeps optimistic versions', function()
        assert.are.same({'conflict', 'a', 0, 'version', 'is 0, not 1'}, plain(one{id = 'a', name = 'A', version = 1}))
        assert.are.equal('inserted', one{id = 'a', name = 'A', version = 0}[1])
        assert.are.same({'conflict', 'a', 1, 'version', 'is 1, not 0'}, plain(one{id = 'a', name = 'A', version = 0}))
        assert.are.same({'updated', 'a', 2, false, false}, plain(one{id = 'a', name = 'B', version = 1}))
        assert.are.same({'conflict', 'a', 2, 'version', 'is 2, not 1'}, plain(one{id = 'a', name = 'C', version = 1}))
        assert.are.equal('B', get('a')[fields.NAME])
    end)

    it('names the field of every invalid row and stores the rest', function()
        one{id = 'taken', external_id = 'e-taken', name = 'T'}
        local big = {}
        for i = 1, 9 do
            big['k' .. i] = ('x'):rep(1000)
        end
        local cases = {
            {{id = 'a', name = ''}, 'name', 'is empty'},
            {{id = 'a', name = ' \194\160 '}, 'name', 'is blank'},
            {{id = 'a', name = 'a\nb'}, 'name', 'holds control characters'},
            {{id = 'a', name = 'a\255b'}, 'name', 'is not valid UTF-8'},
            {{id = 'a', name = 7}, 'name', 'is not a string'},
            {{id = 'a', name = ('x'):rep(513)}, 'name', 'is longer than 512 bytes'},
            {{id = 'a'}, 'name', 'is missing'},
            {{id = '', name = 'n'}, 'id', 'is empty'},
            {{id = 'a\0', name = 'n'}, 'id', 'holds control characters'},
            {{name = 'n'}, 'id', 'is missing, and external_id too'},
            {{id = NULL, external_id = NULL, name = 'n'}, 'id', 'is missing, and external_id too'},
            {{id = 'a', name = 'n', email = 'nobody'}, 'email', 'is not an e-mail address'},
            {{id = 'a', name = 'n', email = 'a@b@c'}, 'email', 'is not an e-mail address'},
            {{id = 'a', name = 'n', email = '@b'}, 'email', 'is not an e-mail address'},
            {{id = 'a', name = 'n', email = 'a@'}, 'email', 'is not an e-mail address'},
            {{id = 'a', name = 'n', email = 'a b@c'}, 'email', 'is not an e-mail address'},
            {{id = 'a', name = 'n', revenue_cents = -1}, 'revenue_cents', 'is below 0'},
            {{id = 'a', name = 'n', revenue_cents = 0 / 0}, 'revenue_cents', 'is not a finite number'},
            {{id = 'a', name = 'n', revenue_cents = 1.5}, 'revenue_cents', 'is not a whole number'},
            {{id = 'a', name = 'n', revenue_cents = 1e13}, 'revenue_cents', 'is above 9000000000000'},
            {{id = 'a', name = 'n', orders = -3}, 'orders', 'is below 0'},
            {{id = 'a', name = 'n', orders = '3'}, 'orders', 'is not a number'},
            {{id = 'a', name = 'n', since = math.huge}, 'since', 'is not a finite number'},
            {{id = 'a', name = 'n', tags = 'vip'}, 'tags', 'is not a list'},
            {{id = 'a', name = 'n', tags = {'ok', ''}}, 'tags[2]', 'is empty'},
            {{id = 'a', name = 'n', profile = {1}}, 'profile', 'has a key that is not a string'},
            {{id = 'a', name = 'n', profile = {k = 0 / 0}}, 'profile.k', 'is not a finite number'},
            {{id = 'a', name = 'n', profile = {k = {}}}, 'profile.k', 'is not a string, number or boolean'},
            {{id = 'a', name = 'n', profile = big}, 'profile', 'is larger than 8192 bytes'},
            {{id = 'a', name = 'n', colour = 'red'}, 'colour', 'is not known'},
            {{id = 'a', name = 'n', ['\255'] = 1}, '?', 'is not known'},
            {{id = 'a', name = 'n', version = -1}, 'version', 'is below 0'},
            {{id = 'a', name = 'n', external_id = 'e-taken'}, 'external_id', 'belongs to customer taken'},
            {{external_id = 'taken', name = 'n'}, 'external_id', 'is the id of another customer'},
            {'not a row', 'row', 'is not a map'},
        }
        for i, case in ipairs(cases) do
            local outcomes = upsert{{id = 'before' .. i, name = 'n'}, case[1], {id = 'after' .. i, name = 'n'}}
            assert.are.equal('inserted', outcomes[1][1])
            assert.are.same({'invalid', case[2], case[3]}, {outcomes[2][1], outcomes[2][4], outcomes[2][5]})
            assert.are.equal('inserted', outcomes[3][1])
        end
        assert.are.equal(1 + 2 * #cases, box.space.customer:len())
        assert.are.equal(1 + 2 * #cases, lycosa.customer.count{tenant = 'acme'})
    end)

    it('takes a key once in a batch', function()
        local outcomes = upsert{
            {id = 'a', external_id = 'x', name = 'A'},
            {id = 'a', name = 'B'},
            {id = 'b', external_id = 'x', name = 'B'},
            {external_id = 'x', name = 'C'},
            {id = 'c', name = 'C'},
        }
        assert.are.same({'invalid', 'a', false, 'id', 'stands in row 1 already'}, plain(outcomes[2]))
        assert.are.same({'invalid', 'b', false, 'external_id', 'stands in row 1 already'}, plain(outcomes[3]))
        assert.are.same({'invalid', 'a', false, 'external_id', 'stands in row 1 already'}, plain(outcomes[4]))
        assert.are.equal('inserted', outcomes[5][1])
        assert.are.equal('A', get('a')[fields.NAME])
    end)

    it('passes an external id on within one batch', function()
        upsert{{id = 'a', external_id = 'x', name = 'A'}, {id = 'b', name = 'B'}}
        local outcomes = upsert{{id = 'a', external_id = NULL}, {id = 'b', external_id = 'x'}}
        assert.are.same({'updated', 'updated'}, {outcomes[1][1], outcomes[2][1]})
        assert.are.equal('b', box.space.customer.index.external_id:get{'acme', 'x'}[fields.ID])
    end)

    it('refuses a batch of 1,001 rows, a bad tenant and unknown arguments whole', function()
        local rows = {}
        for i = 1, 1001 do
            rows[i] = {id = 'c' .. i, name = 'n'}
        end
        local details = support.raises('INVALID_ARGUMENT', upsert, rows)
        assert.are.equal('rows', details.argument)
        rows[1001] = nil
        assert.are.equal(1000, #upsert(rows))
        details = support.raises('INVALID_ARGUMENT', lycosa.customer.upsert, {tenant = 'a\nb', rows = {}})
        assert.are.equal('tenant', details.argument)
        details = support.raises('UNKNOWN_ARGUMENT', lycosa.customer.upsert, {tenant = 'acme', rows = {}, force = true})
        assert.are.equal('force', details.argument)
        assert.are.same({}, upsert{})
    end)

    it('undoes the whole batch when the server fails', function()
        one{id = 'a', name = 'A', segment = 's'}
        local function refuse()
            error('disk full')
        end
        box.space.customer_segment:before_replace(refuse)
        local ok = pcall(upsert, {{id = 'b', name = 'B', segment = 's'}})
        box.space.customer_segment:before_replace(nil, refuse)
        assert.is_false(ok)
        assert.is_nil(box.space.customer:get{'acme', 'b'})
        assert.are.equal(1, lycosa.customer.count{tenant = 'acme'})
    end)
end)

describe('customer.get and delete', function()
    before_each(support.reset)

    it('tells what is not there and keeps tenants apart', function()
        one{id = 'a', name = 'A'}
        assert.are.equal('x', support.raises('CUSTOMER_NOT_FOUND', get, 'x').id)
        support.raises('CUSTOMER_NOT_FOUND', lycosa.customer.get, {tenant = 'other', id = 'a'})
    end)

    it('deletes what there is and counts it', function()
        upsert{{id = 'a', name = 'A', segment = 's'}, {id = 'b', name = 'B', segment = 's'}}
        assert.are.same({deleted = 1}, lycosa.customer.delete{tenant = 'acme', ids = {'a', 'a', 'nobody'}})
        assert.are.same({deleted = 0}, lycosa.customer.delete{tenant = 'other', ids = {'b'}})
        assert.are.equal(1, lycosa.customer.count{tenant = 'acme'})
        local ids = {}
        for i = 1, 1001 do
            ids[i] = 'c' .. i
        end
        assert.are.equal('ids', support.raises('INVALID_ARGUMENT', lycosa.customer.delete, {tenant = 'acme', ids = ids}).argument)
    end)
end)

describe('segment figures', function()
    before_each(support.reset)

    local function recount(tenant)
        local sums = {}
        for _, row in box.space.customer.index.id:pairs({tenant}) do
            local of = sums[row[fields.SEGMENT]] or {0, 0, 0}
            sums[row[fields.SEGMENT]] = of
            of[1], of[2], of[3] = of[1] + 1, of[2] + row[fields.REVENUE], of[3] + row[fields.ORDERS]
        end
        return sums
    end

    it('equal a recount after random operations', function()
        math.randomseed(20240611)
        local names = {'', 'vip', 'малый бизнес', 'new'}
        for _ = 1, 150 do
            local rows = {}
            for i = 1, math.random(1, 30) do
                rows[i] = {id = 'c' .. math.random(60), name = 'n', version = math.random(8) == 1 and 1 or nil}
                if math.random(2) == 1 then rows[i].segment = names[math.random(4)] end
                if math.random(2) == 1 then rows[i].revenue_cents = math.random(-5, 900000000) end
                if math.random(2) == 1 then rows[i].orders = math.random(0, 50) end
            end
            upsert(rows)
            if math.random(3) == 1 then
                lycosa.customer.delete{tenant = 'acme', ids = {'c' .. math.random(60), 'c' .. math.random(60)}}
            end
            clock.advance(1)
        end
        local kept, customers = {}, 0
        for _, row in ipairs(lycosa.customer.segments{tenant = 'acme', limit = 1000}.rows) do
            kept[row[3]] = {row[4], row[5], row[6]}
            customers = customers + row[4]
        end
        assert.are.same(recount('acme'), kept)
        assert.is_true(customers > 20)
        assert.are.equal(customers, lycosa.customer.count{tenant = 'acme'})
    end)

    it('go with the last customer', function()
        one{id = 'a', name = 'A', segment = 'vip', revenue_cents = 7, orders = 1}
        local row = lycosa.customer.segment{tenant = 'acme', segment = 'vip'}
        assert.are.same({1, 7, 1}, {row[4], row[5], row[6]})
        one{id = 'a', segment = 'new'}
        assert.are.equal('vip', support.raises('SEGMENT_NOT_FOUND', lycosa.customer.segment, {tenant = 'acme', segment = 'vip'}).segment)
        lycosa.customer.delete{tenant = 'acme', ids = {'a'}}
        assert.are.equal(0, box.space.customer_segment:len())
        assert.are.equal(0, box.space.customer_total:len())
        assert.are.equal(0, lycosa.customer.count{tenant = 'acme'})
    end)

    it('add up exactly beyond 53 bits', function()
        for batch = 1, 4 do
            local rows = {}
            for i = 1, 1000 do
                rows[i] = {id = batch .. '-' .. i, name = 'n', revenue_cents = 8999999999999}
            end
            upsert(rows)
        end
        local row = lycosa.customer.segment{tenant = 'acme', segment = ''}
        assert.are.equal(8999999999999ULL * 4000ULL, row[5])
    end)

    it('page in both directions', function()
        local rows = {}
        for i = 1, 25 do
            rows[i] = {id = 'c' .. i, name = 'n', segment = ('s%02d'):format(i)}
        end
        upsert(rows)
        local begun = lycosa.customer.segments{tenant = 'acme', prefix = 's1', limit = 100}.rows
        assert.are.same({10, 's10', 's19'}, {#begun, begun[1][3], begun[10][3]})
        local first = lycosa.customer.segments{tenant = 'acme', limit = 10}
        local second = lycosa.customer.segments{tenant = 'acme', limit = 10, cursor = first.next}
        assert.are.equal('s11', second.rows[1][3])
        local back = lycosa.customer.segments{tenant = 'acme', limit = 10, cursor = second.previous}
        assert.are.equal('s01', back.rows[1][3])
        assert.is_true(back.previous == nil)
    end)
end)
