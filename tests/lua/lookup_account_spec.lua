-- One account of providers, several tenants who ask: one budget, one breaker, and nothing of one told to the other.

local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local support = require('tests.lua.support')

local OWNER, ANNA, BORIS = 'owner', 'anna', 'boris'
local TAVILY = {provider = 'tavily', cost = 8, claims = {{quota = 'tavily.month', amount = 1}}}
local PERPLEXITY = {provider = 'perplexity', cost = 5, claims = {{quota = 'perplexity.usd', amount = 5}}}

local function with(args, more)
    for name, value in pairs(more or {}) do
        args[name] = value
    end
    return args
end

local function begin(tenant, more)
    return lycosa.lookup.begin(with({
        tenant = tenant, account = OWNER, key = 'k', question = 'Кто такие ООО Ромашка?', providers = {TAVILY, PERPLEXITY},
    }, more))
end

local function finish(tenant, lease, more)
    return lycosa.lookup.finish(with({
        tenant = tenant, key = 'k', token = lease.token, value = 'answer', ttl = 60, request = {id = 'r'},
    }, more))
end

local function fail(tenant, lease, more)
    return lycosa.lookup.fail(with({
        tenant = tenant, key = 'k', token = lease.token, cause = 'transient', charged = false,
        error = 'tavily answered 500: no luck with ООО Ромашка',
    }, more))
end

local function release(tenant, lease, charged)
    lycosa.lookup.release{tenant = tenant, key = 'k', token = lease.token, charged = charged}
end

-- {used, reserved, unknown}
local function sums(tenant, name)
    local row = lycosa.quota.report{tenant = tenant, quotas = {name or 'tavily.month'}}.rows[1]
    return {tonumber(row.used), tonumber(row.reserved), tonumber(row.unknown)}
end

local function provider(name, tenant)
    for _, row in ipairs(lycosa.lookup.providers{tenant = tenant or OWNER}) do
        if row.provider == name then
            return row
        end
    end
end

local function define(tenant, amount)
    lycosa.quota.define{tenant = tenant, quota = 'tavily.month', kind = 'window', amount = amount or 10, window = 'month'}
    lycosa.quota.define{tenant = tenant, quota = 'perplexity.usd', kind = 'window', amount = 100, window = 'month'}
end

before_each(function()
    support.reset()
    define(OWNER)
end)

describe('two tenants of one account', function()
    it('spend one budget: exactly its units', function()
        define(OWNER, 1000)
        local outcomes = {lease = 0, denied = 0}
        for i = 1, 1500 do
            -- The same questions, so that only who asks tells them apart.
            local decided = begin(i % 3 == 0 and BORIS or ANNA, {key = 'k' .. math.floor(i / 3) .. i % 3, providers = {TAVILY}})
            outcomes[decided.outcome] = outcomes[decided.outcome] + 1
            if decided.outcome == 'denied' then
                assert.are.equal('tavily: quota tavily.month', decided.denial.reason)
            end
        end
        assert.are.same({lease = 1000, denied = 500}, outcomes)
        assert.are.same({0, 1000, 0}, sums(OWNER))
        assert.are.equal(1000, box.space.quota_reservation.index.id:count{OWNER})
        assert.are.equal(1000, tonumber(provider('tavily').calls))
    end)

    it('buy their own answers, and each has its own history and documents', function()
        local anna, boris = begin(ANNA).lease, begin(BORIS).lease
        assert.are_not.equal(anna.reservation_id, boris.reservation_id)
        finish(ANNA, anna, {
            amounts = {{quota = 'tavily.month', amount = 2}},
            documents = {{id = 'd', title = 't', text = 'ООО Ромашка продаёт цветы.', kind = 'web'}},
        })
        assert.are.same({2, 1, 0}, sums(OWNER))
        assert.are.equal('pending', begin(BORIS).outcome)
        assert.are.equal('hit', begin(ANNA).outcome)
        support.raises('REQUEST_NOT_FOUND', lycosa.request.get, {tenant = BORIS, id = 'r'})
        support.raises('REQUEST_NOT_FOUND', lycosa.request.get, {tenant = OWNER, id = 'r'})
        support.raises('DOCUMENT_NOT_FOUND', lycosa.document.get, {tenant = OWNER, id = 'd'})
        assert.are.equal('done', lycosa.request.get{tenant = ANNA, id = 'r'}.request.status)
        assert.is_nil(lycosa.cache.get{tenant = OWNER, key = 'k'})
        finish(BORIS, boris)
        assert.are.same({3, 0, 0}, sums(OWNER))
    end)

    it('are no leaders of each other\'s leases', function()
        local lease = begin(ANNA).lease
        support.raises('LEASE_LOST', finish, BORIS, lease)
        support.raises('LEASE_LOST', finish, OWNER, lease)
        support.raises('LEASE_LOST', fail, BORIS, lease)
        support.raises('LEASE_LOST', release, BORIS, lease, true)
        assert.are.same({0, 1, 0}, sums(OWNER))
    end)

    it('meet one breaker: opened by the one it is open to the other, and closed by the other\'s probe', function()
        lycosa.lookup.set_provider{tenant = OWNER, provider = 'tavily', threshold = 2, cooldown = 20}
        for _ = 1, 2 do
            release(ANNA, fail(ANNA, begin(ANNA).lease).lease, false)
        end
        local decided = begin(BORIS)
        assert.are.same({'perplexity', 'open'}, {decided.lease.provider, decided.skipped[1].reason})
        release(BORIS, decided.lease, false)
        clock.advance(20)
        local probe = begin(BORIS).lease
        assert.are.equal('tavily', probe.provider)
        assert.are.equal('probing', begin(ANNA).skipped[1].reason)
        finish(BORIS, probe)
        assert.are.equal('closed', provider('tavily').breaker)
    end)

    it('take one order and wait together for who says to wait', function()
        lycosa.lookup.set_provider{tenant = OWNER, provider = 'perplexity', place = 1}
        -- What a tenant says of its own providers says nothing of the account's.
        lycosa.lookup.set_provider{tenant = ANNA, provider = 'perplexity', enabled = false}
        local lease = begin(ANNA).lease
        assert.are.equal('perplexity', lease.provider)
        assert.are.equal('tavily', fail(ANNA, lease, {cause = 'throttled', retry_after = 7}).lease.provider)
        local decided = begin(BORIS, {providers = {PERPLEXITY}})
        assert.are.same({'denied', 'exhausted', 7}, {decided.outcome, decided.denial.kind, decided.denial.retry_after})
    end)

    it('ask a cheaper provider when the account\'s units are nearly spent, whatever they have of their own', function()
        define(BORIS)
        lycosa.quota.take{tenant = OWNER, claims = {{quota = 'tavily.month', amount = 8}}}
        local decided = begin(BORIS)
        assert.are.same({'perplexity', 'near_limit'}, {decided.lease.provider, decided.lease.reason})
        assert.are.same({0, 0, 0}, sums(BORIS, 'perplexity.usd'))
        assert.are.same({0, 5, 0}, sums(OWNER, 'perplexity.usd'))
    end)

    it('hear nothing of what a provider said to the other', function()
        local anna = begin(ANNA).lease
        local decided = fail(BORIS, begin(BORIS, {providers = {TAVILY}}).lease)
        assert.are.equal('tavily: failed tavily answered 500', decided.denial.reason)
        assert.are.equal('tavily answered 500', provider('tavily').last_error)
        -- What was said to the owner is kept whole, and cut where another is told of it.
        anna = fail(ANNA, anna).lease
        fail(OWNER, begin(OWNER).lease, {error = 'tavily answered 502: a secret'})
        assert.are.equal('tavily answered 502: a secret', provider('tavily').last_error)
        decided = fail(ANNA, anna, {error = 'perplexity answered 500'})
        assert.are.equal(
            'tavily: failed tavily answered 502, perplexity: failed perplexity answered 500', decided.denial.reason
        )
    end)
end)

describe('a lease for an account', function()
    it('settles there what was finished, failed and released', function()
        finish(ANNA, begin(ANNA).lease, {ttl = 1})
        assert.are.same({1, 0, 0}, sums(OWNER))
        clock.advance(2)
        local next_one = fail(ANNA, begin(ANNA).lease).lease
        assert.are.same({1, 0, 0}, sums(OWNER))
        assert.are.same({0, 5, 0}, sums(OWNER, 'perplexity.usd'))
        fail(ANNA, next_one, {charged = true, amounts = {{quota = 'perplexity.usd', amount = 7}}})
        assert.are.same({7, 0, 0}, sums(OWNER, 'perplexity.usd'))
        release(ANNA, begin(ANNA).lease, true)
        assert.are.same({2, 0, 0}, sums(OWNER))
        release(ANNA, begin(ANNA).lease, false)
        assert.are.same({2, 0, 0}, sums(OWNER))
        -- A question that is wrong is no fault of the provider.
        fail(ANNA, begin(ANNA).lease, {cause = 'invalid', error = 'query is too long'})
        assert.are.same({2, 0, 0}, sums(OWNER))
        assert.are.same({1, 'closed'}, {tonumber(provider('tavily').errors), provider('tavily').breaker})
        assert.are.equal(0, #lycosa.lookup.providers{tenant = ANNA})
        assert.are.equal(0, #lycosa.quota.report{tenant = ANNA}.rows)
    end)

    it('leaves unknown there what its leader took away, and gives up his probe', function()
        lycosa.lookup.set_provider{tenant = OWNER, provider = 'tavily', threshold = 1, cooldown = 20}
        fail(ANNA, begin(ANNA, {providers = {TAVILY}}).lease)
        clock.advance(20)
        local lost = begin(ANNA, {lease = 5}).lease
        assert.are.equal('tavily', lost.provider)
        clock.advance(5)
        assert.are.same({0, 0, 1}, sums(OWNER))
        daemon.drain('lookup.forget')
        daemon.drain('quota.lapse')
        assert.are.equal(0, box.space.lookup_lease:len())
        assert.are.same({0, 0, 1}, sums(OWNER))
        assert.are.equal('tavily', begin(BORIS).lease.provider)
        lycosa.quota.reconcile{tenant = OWNER, id = lost.reservation_id, amounts = {{quota = 'tavily.month', amount = 3}}}
        assert.are.same({3, 1, 0}, sums(OWNER))
    end)

    it('passes to a follower, whose account counts', function()
        local pending = begin(ANNA, {lease = 5})
        clock.advance(5)
        local decided = lycosa.lookup.await{
            tenant = ANNA, account = OWNER, key = 'k', question = 'q', providers = {TAVILY}, ticket = pending.ticket, wait = 0,
        }
        assert.are.equal('lease', decided.outcome)
        assert.are.same({0, 1, 1}, sums(OWNER))
    end)

    it('needs the account\'s quotas and no others', function()
        define(ANNA)
        support.raises('QUOTA_UNKNOWN', begin, ANNA, {account = 'nobody'})
        assert.are.equal(0, box.space.lookup_lease:len())
        assert.are.same({0, 0, 0}, sums(ANNA))
    end)
end)

describe('a lease without an account', function()
    it('is the asking tenant\'s own, and so is one that names itself', function()
        define(ANNA)
        for i, account in ipairs{box.NULL, ANNA} do
            local lease = begin(ANNA, {key = 'k' .. i, account = account}).lease
            assert.are.equal(15, #box.space.lookup_lease:get{ANNA, 'k' .. i})
            assert.are.same({i - 1, 1, 0}, sums(ANNA))
            finish(ANNA, lease, {key = 'k' .. i, request = {id = 'r' .. i}})
            assert.are.same({i, 0, 0}, sums(ANNA))
        end
        assert.are.same({0, 0, 0}, sums(OWNER))
        assert.are.equal(2, tonumber(provider('tavily', ANNA).calls))
        assert.is_nil(provider('tavily'))
    end)
end)
