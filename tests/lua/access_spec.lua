local access = require('lycosa.access')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local digest = require('digest')
local json = require('json')
local support = require('tests.lua.support')

local DAY = 86400

local function id_of(number)
    return (('key%09d'):format(number):gsub('[0189]', {['0'] = 'a', ['1'] = 'b', ['8'] = 'c', ['9'] = 'd'}))
end

local function proof_of(secret)
    return digest.sha256_hex(secret)
end

local function create(number, more)
    local args = {
        tenant = 'acme', id = id_of(number), proof = proof_of('secret ' .. number), name = 'отдел продаж',
        scopes = {'write', 'read'},
    }
    return lycosa.access.create(support.with(args, more))
end

local function authenticate(number, secret)
    return lycosa.access.authenticate{id = id_of(number), proof = proof_of(secret or 'secret ' .. number)}
end

local function list(more)
    return lycosa.access.list(support.with({tenant = 'acme'}, more))
end

local function ids(page)
    local found = {}
    for i, row in ipairs(page.rows) do
        found[i] = row[1]
    end
    return found
end

local function refused(...)
    return support.raises('ACCESS_KEY_REFUSED', authenticate, ...).problem
end

describe('access', function()
    before_each(function()
        daemon.drain('access.use')
        support.reset()
    end)

    it('knows a key by its secret alone', function()
        local row = create(1, {created_by = 'key-of-admin'})
        assert.are.same({id_of(1), 'отдел продаж', {'read', 'write'}, 1700000000, 'key-of-admin'}, {unpack(row, 1, 5)})
        local granted = authenticate(1)
        assert.are.same({'acme', {'read', 'write'}}, {granted.tenant, granted.scopes})
        assert.are.equal('is not known', refused(1, 'another secret'))
        assert.are.equal('is not known', refused(2))
        support.raises('INVALID_ARGUMENT', lycosa.access.authenticate, {id = id_of(1), proof = ''})
    end)

    it('keeps neither the secret nor its proof, and every hash with a salt of its own', function()
        create(1, {proof = proof_of('same')})
        create(2, {proof = proof_of('same')})
        local first, second = box.space.access_key:select()[1], box.space.access_key:select()[2]
        assert.are_not.equal(first.hash, second.hash)
        assert.are_not.equal(first.salt, second.salt)
        for _, value in ipairs(first:totable()) do
            assert.are_not.equal(proof_of('same'), value)
        end
        for _, row in ipairs(list().rows) do
            local told = json.encode(row)
            assert.is_nil(told:find(first.hash) or told:find(first.salt) or told:find(second.hash))
        end
    end)

    it('makes a repeated key once, and no other key of the same id', function()
        local row = create(1, {expires_at = 1700000000 + DAY})
        clock.advance(2 * DAY)
        local again = create(1, {expires_at = 1700000000 + DAY, scopes = {'read', 'write', 'read'}})
        assert.are.equal(json.encode(row), json.encode(again))
        assert.are.equal(1, box.space.access_key:len())
        for _, other in ipairs{
            {proof = proof_of('x')}, {name = 'x'}, {scopes = {'read'}}, {tenant = 'other'}, {expires_at = 1800000000},
        } do
            support.raises('ACCESS_KEY_EXISTS', create, 1, other)
        end
        support.raises('ACCESS_KEY_EXISTS', create, 1)
    end)

    it('refuses what is no key', function()
        assert.are.equal('expires_at', support.raises('INVALID_ARGUMENT', create, 1, {expires_at = 1700000000}).argument)
        assert.are.equal('id', support.raises('INVALID_ARGUMENT', create, 1, {id = ''}).argument)
        assert.are.equal('proof', support.raises('INVALID_ARGUMENT', create, 1, {proof = ('z'):rep(63)}).argument)
        assert.are.equal('scopes[1]', support.raises('INVALID_ARGUMENT', create, 1, {scopes = {'root'}}).argument)
        assert.are.equal('scopes', support.raises('INVALID_ARGUMENT', create, 1, {scopes = {}}).argument)
        assert.are.equal(0, box.space.access_key:len())
    end)

    it('bounds the keys of a tenant', function()
        local most = access.MOST_KEYS
        access.MOST_KEYS = 2
        create(1)
        create(2)
        create(3, {tenant = 'other'})
        local details = support.raises('ACCESS_KEYS_FULL', create, 4)
        create(2)
        access.MOST_KEYS = most
        assert.are.equal(2, details.limit)
    end)

    it('ends a key by time and by revoking, and tells so to who has its secret', function()
        create(1, {expires_at = 1700000060})
        create(2)
        clock.advance(59)
        assert.are.equal(1700000060, authenticate(1).expires_at)
        clock.advance(1)
        assert.are.equal('has expired', refused(1))
        assert.are.equal('is not known', refused(1, 'wrong'))
        support.raises('ACCESS_KEY_NOT_FOUND', lycosa.access.revoke, {tenant = 'other', id = id_of(2)})
        authenticate(2)
        local row = lycosa.access.revoke{tenant = 'acme', id = id_of(2)}
        assert.are.equal(1700000060, row[7])
        assert.are.equal('was revoked', refused(2))
        clock.advance(5)
        assert.are.equal(json.encode(row), json.encode(lycosa.access.revoke{tenant = 'acme', id = id_of(2)}))
    end)

    it('lists the keys of one tenant, the newest first, page by page', function()
        for number = 1, 5 do
            create(number)
            create(number + 10, {tenant = 'other'})
            clock.advance(1)
        end
        local first = list{limit = 2}
        assert.are.same({id_of(5), id_of(4)}, ids(first))
        local second = list{limit = 2, cursor = first.next}
        assert.are.same({id_of(3), id_of(2)}, ids(second))
        local last = list{limit = 2, cursor = second.next}
        assert.are.same({id_of(1)}, ids(last))
        assert.is_true(last.next == nil)
        assert.are.same(ids(second), ids(list{limit = 2, cursor = last.previous}))
        support.raises('INVALID_CURSOR', list, {tenant = 'other', cursor = first.next})
    end)

    it('writes down uses in one transaction, a bounded part a step, and reads write nothing', function()
        for number = 1, 3 do
            create(number)
            authenticate(number)
        end
        clock.advance(30)
        authenticate(1)
        assert.is_true(box.space.access_key.index.id:min().last_used_at == nil)
        assert.is_true(access.steps[1].run(2))
        assert.is_false(access.steps[1].run(2))
        local used = {}
        for i, row in ipairs(list().rows) do
            used[i] = row[8]
        end
        table.sort(used)
        assert.are.same({1700000000, 1700000000, 1700000030}, used)
        authenticate(2)
        box.space.access_key:delete{'acme', id_of(2)}
        daemon.drain('access.use')
        assert.are.equal(2, box.space.access_key:len())
    end)

    it('forgets a key 90 days after its end, a bounded part a step', function()
        create(1)
        create(2, {expires_at = 1700000010})
        for number = 3, 5 do
            create(number)
            lycosa.access.revoke{tenant = 'acme', id = id_of(number)}
        end
        local more, due = access.steps[2].run(2)
        assert.are.same({false, 1700000000 + 90 * DAY}, {more, due})
        clock.advance(90 * DAY)
        assert.is_true(access.steps[2].run(2))
        more, due = access.steps[2].run(2)
        assert.are.same({false, 1700000010 + 90 * DAY}, {more, due})
        assert.are.same({id_of(1), id_of(2)}, ids(list()))
        clock.advance(10)
        daemon.drain('access.forget')
        assert.are.same({id_of(1)}, ids(list()))
    end)
end)
