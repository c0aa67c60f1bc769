-- The gate: one decision in one transaction, one lease for a question, and what becomes of it.

local clock = require('lycosa.core.clock')
local support = require('tests.lua.support')

local function candidate(provider, cost, ...)
    local claims = {}
    for i = 1, select('#', ...), 2 do
        local name, amount = select(i, ...)
        table.insert(claims, {quota = name, amount = amount})
    end
    return {provider = provider, cost = cost, claims = claims}
end

local TAVILY, PERPLEXITY, DOCUMENTS

local function asked(more)
    local args = {tenant = 'acme', key = 'k', question = 'Who is ООО Ромашка?', providers = {TAVILY, PERPLEXITY, DOCUMENTS}}
    for name, value in pairs(more or {}) do
        args[name] = value
    end
    return args
end

local function begin(more)
    return lycosa.lookup.begin(asked(more))
end

local function finish(token, more)
    local args = {tenant = 'acme', key = 'k', token = token, value = 'answer', ttl = 60, request = {id = 'r1'}}
    for name, value in pairs(more or {}) do
        args[name] = value
    end
    return lycosa.lookup.finish(args)
end

local function fail(token, cause, more)
    local args = {tenant = 'acme', key = 'k', token = token, cause = cause, charged = false, error = 'no luck'}
    for name, value in pairs(more or {}) do
        args[name] = value
    end
    return lycosa.lookup.fail(args)
end

-- {used, reserved, unknown}
local function sums(name)
    local row = lycosa.quota.report{tenant = 'acme', quotas = {name}}.rows[1]
    return {tonumber(row.used), tonumber(row.reserved), tonumber(row.unknown)}
end

before_each(function()
    support.reset()
    lycosa.quota.define{tenant = 'acme', quota = 'tavily.month', kind = 'window', amount = 10, window = 'month'}
    lycosa.quota.define{tenant = 'acme', quota = 'perplexity.usd', kind = 'window', amount = 100, window = 'month'}
    TAVILY = candidate('tavily', 8, 'tavily.month', 1)
    PERPLEXITY = candidate('perplexity', 5, 'perplexity.usd', 5)
    DOCUMENTS = candidate('documents', 0)
end)

describe('a new question', function()
    it('is leased to one caller, with the first provider and its units', function()
        local decided = begin()
        assert.are.equal('lease', decided.outcome)
        assert.are.equal('tavily', decided.lease.provider)
        assert.are.equal('first', decided.lease.reason)
        assert.are.same({0, 1, 0}, sums('tavily.month'))
        local other = begin()
        assert.are.equal('pending', other.outcome)
        assert.are.equal(decided.ticket, other.ticket)
        assert.is_nil(other.lease)
        assert.are.same({0, 1, 0}, sums('tavily.month'))
    end)

    it('is answered to everybody once it is finished, and history says who paid', function()
        local lease = begin().lease
        local finished = finish(lease.token, {
            amounts = {{quota = 'tavily.month', amount = 2}},
            request = {id = 'r1', cost_microusd = 16000, sources = {{kind = 'web', ref = 'https://example.com'}}},
            documents = {{id = 'd1', title = 'Ромашка', text = 'ООО Ромашка продаёт цветы.', kind = 'web'}},
        })
        assert.are.same({true, 1}, {finished.cached, finished.kept})
        assert.are.same({2, 0, 0}, sums('tavily.month'))
        local hit = begin{request = {id = 'r2', customer_id = 'c1'}}
        assert.are.equal('hit', hit.outcome)
        assert.are.equal('answer', hit.entry[4])
        local paid = lycosa.request.get{tenant = 'acme', id = 'r1'}
        assert.are.equal(16000, tonumber(paid.request.cost_microusd))
        assert.are.equal('Who is ООО Ромашка?', paid.request.question)
        local served = lycosa.request.get{tenant = 'acme', id = 'r2'}
        assert.is_true(served.request.cached)
        assert.are.same({'history', 'r1'}, {served.sources[1].kind, served.sources[1].ref})
        assert.are.equal('Ромашка', lycosa.document.get{tenant = 'acme', id = 'd1'}.document.title)
    end)

    it('belongs to its tenant', function()
        begin()
        assert.are.equal('lease', begin{tenant = 'other', providers = {DOCUMENTS}}.outcome)
    end)

    it('names each provider once', function()
        local details = support.raises('INVALID_ARGUMENT', begin, {providers = {TAVILY, TAVILY}})
        assert.are.equal('providers[2].provider', details.argument)
        support.raises('QUOTA_UNKNOWN', begin, {providers = {candidate('x', 1, 'nobody', 1)}})
        assert.are.same({0, 0, 0}, sums('tavily.month'))
    end)
end)

describe('a lease', function()
    it('is finished by its token, in its time, once', function()
        local lease = begin().lease
        support.raises('LEASE_LOST', finish, 'a stranger')
        assert.are.same({0, 1, 0}, sums('tavily.month'))
        finish(lease.token)
        support.raises('LEASE_LOST', finish, lease.token, {request = {id = 'again'}})
        support.raises('LEASE_LOST', fail, lease.token, 'transient')
        assert.are.same({1, 0, 0}, sums('tavily.month'))
        support.raises('REQUEST_NOT_FOUND', lycosa.request.get, {tenant = 'acme', id = 'again'})
    end)

    it('passes on when its time is over, and what it reserved is unknown', function()
        local late = begin{lease = 5}.lease
        clock.advance(5)
        local lease = begin().lease
        assert.are_not.equal(late.token, lease.token)
        assert.are.same({0, 1, 1}, sums('tavily.month'))
        support.raises('LEASE_LOST', finish, late.token)
        assert.is_nil(lycosa.cache.get{tenant = 'acme', key = 'k'})
        finish(lease.token)
        assert.are.same({1, 0, 1}, sums('tavily.month'))
    end)

    it('is given up without blame by a caller who goes away', function()
        local lease = begin().lease
        lycosa.lookup.release{tenant = 'acme', key = 'k', token = lease.token, charged = false}
        assert.are.same({0, 0, 0}, sums('tavily.month'))
        local other = begin().lease
        lycosa.lookup.release{tenant = 'acme', key = 'k', token = other.token, charged = true}
        assert.are.same({1, 0, 0}, sums('tavily.month'))
        assert.are.equal('lease', begin().outcome)
    end)

    it('is forgotten by the step when it has ended', function()
        begin{lease = 5}
        require('lycosa.core.daemon').drain('lookup.forget')
        assert.are.equal(1, box.space.lookup_lease:len())
        clock.advance(6)
        require('lycosa.core.daemon').drain('lookup.forget')
        assert.are.equal(0, box.space.lookup_lease:len())
    end)
end)

describe('an old answer', function()
    before_each(function()
        finish(begin().lease.token, {ttl = 60, stale_for = 600})
    end)

    it('is served to all and refreshed by one', function()
        clock.advance(61)
        local first = begin{request = {id = 'a'}}
        assert.are.same({'stale', 'stale', 'answer'}, {first.outcome, first.reason, first.entry[4]})
        assert.is_true(first.lease.refresh)
        local second = begin{request = {id = 'b'}}
        assert.are.same({'stale', 'refreshing'}, {second.outcome, second.reason})
        assert.is_nil(second.lease)
        finish(first.lease.token, {value = 'newer', request = {id = 'r2'}})
        assert.are.equal('newer', begin().entry[4])
        assert.is_true(lycosa.request.get{tenant = 'acme', id = 'b'}.request.cached)
    end)

    it('is fresh or not by the age that the caller takes', function()
        clock.advance(30)
        assert.are.equal('hit', begin{max_age = 31}.outcome)
        assert.are.equal('stale', begin{max_age = 30}.outcome)
        assert.are.equal('pending', begin{max_age = 10, stale_for = 20}.outcome)
    end)

    it('is better than a denial', function()
        clock.advance(61)
        for _, name in ipairs{'tavily', 'perplexity', 'documents'} do
            lycosa.lookup.set_provider{tenant = 'acme', provider = name, enabled = false}
        end
        local decided = begin()
        assert.are.same({'stale', 'denied'}, {decided.outcome, decided.reason})
        assert.are.equal(3, #decided.skipped)
        clock.advance(600)
        assert.are.equal('denied', begin().outcome)
    end)
end)

describe('the provider', function()
    it('is the next one when units are spent', function()
        lycosa.quota.take{tenant = 'acme', claims = {{quota = 'tavily.month', amount = 10}}}
        local decided = begin()
        assert.are.same({'perplexity', 'fallback'}, {decided.lease.provider, decided.lease.reason})
        assert.are.same({'tavily', 'quota', 'tavily.month'}, {
            decided.skipped[1].provider, decided.skipped[1].reason, decided.skipped[1].detail,
        })
    end)

    it('is a cheaper one when units are nearly spent', function()
        lycosa.quota.take{tenant = 'acme', claims = {{quota = 'tavily.month', amount = 8}}}
        local decided = begin()
        assert.are.same({'perplexity', 'near_limit'}, {decided.lease.provider, decided.lease.reason})
        assert.are.equal('near_limit', decided.skipped[1].reason)
    end)

    it('is the dear one after all when the cheaper one has no units', function()
        lycosa.quota.take{tenant = 'acme', claims = {
            {quota = 'tavily.month', amount = 8}, {quota = 'perplexity.usd', amount = 98},
        }}
        for i, providers in ipairs{{TAVILY, PERPLEXITY}, {TAVILY, PERPLEXITY, DOCUMENTS}} do
            local decided = begin{key = 'k' .. i, providers = providers}
            assert.are.same({'tavily', 'first'}, {decided.lease.provider, decided.lease.reason})
            assert.are.same({8, i, 0}, sums('tavily.month'))
        end
        -- What costs nothing is the last resort.
        assert.are.equal('documents', begin{key = 'k3'}.lease.provider)
    end)

    it('is not another one because many have just been asked', function()
        lycosa.quota.define{tenant = 'acme', quota = 'tavily.rate', kind = 'rate', amount = 10, period = 60}
        lycosa.quota.take{tenant = 'acme', claims = {{quota = 'tavily.rate', amount = 9}}}
        local decided = begin{providers = {candidate('tavily', 8, 'tavily.rate', 1), PERPLEXITY}}
        assert.are.same({'tavily', 'first'}, {decided.lease.provider, decided.lease.reason})
    end)

    it('stands where an administrator put it', function()
        lycosa.lookup.set_provider{tenant = 'acme', provider = 'documents', place = 1}
        assert.are.equal('documents', begin().lease.provider)
    end)

    it('is nobody when all are spent or off: what helps is said', function()
        lycosa.quota.take{tenant = 'acme', claims = {{quota = 'tavily.month', amount = 10}}}
        lycosa.lookup.set_provider{tenant = 'acme', provider = 'perplexity', enabled = false}
        local decided = begin{providers = {TAVILY, PERPLEXITY}}
        assert.are.same({'denied', 'exhausted'}, {decided.outcome, decided.denial.kind})
        assert.are.equal('tavily: quota tavily.month, perplexity: off', decided.denial.reason)
        assert.is_true(decided.denial.retry_after > 0)
        assert.are.equal(0, box.space.lookup_lease:len())
    end)
end)
