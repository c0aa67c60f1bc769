-- Failures of providers: what is charged, who is next, when a breaker opens, and what followers learn.

local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local fiber = require('fiber')
local support = require('tests.lua.support')

local KEY = 'k'

local function begin(more)
    local args = {tenant = 'acme', key = KEY, question = 'q', providers = {
        {provider = 'tavily', claims = {{quota = 'credits', amount = 1}}}, {provider = 'perplexity'},
    }}
    for name, value in pairs(more or {}) do
        args[name] = value
    end
    return lycosa.lookup.begin(args)
end

local function await(ticket, wait, more)
    local args = {tenant = 'acme', key = KEY, question = 'q', providers = {{provider = 'tavily'}}, ticket = ticket, wait = wait}
    for name, value in pairs(more or {}) do
        args[name] = value
    end
    return lycosa.lookup.await(args)
end

local function fail(lease, cause, more)
    local args = {tenant = 'acme', key = KEY, token = lease.token, cause = cause, charged = false, error = 'HTTP 500'}
    for name, value in pairs(more or {}) do
        args[name] = value
    end
    return lycosa.lookup.fail(args)
end

local function finish(lease, id)
    return lycosa.lookup.finish{
        tenant = 'acme', key = KEY, token = lease.token, value = 'answer', ttl = 60, request = {id = id or 'r'},
    }
end

local function provider(name)
    for _, row in ipairs(lycosa.lookup.providers{tenant = 'acme'}) do
        if row.provider == name then
            return row
        end
    end
end

local function used()
    local row = lycosa.quota.report{tenant = 'acme', quotas = {'credits'}}.rows[1]
    return {tonumber(row.used), tonumber(row.reserved), tonumber(row.unknown)}
end

-- One failed call of tavily alone.
local function failure(cause, more)
    local decided = begin{providers = {{provider = 'tavily'}}}
    return fail(decided.lease, cause, more)
end

before_each(function()
    support.reset()
    lycosa.quota.define{tenant = 'acme', quota = 'credits', kind = 'window', amount = 10, window = 'total'}
end)

describe('a failure', function()
    it('hands the lease to the next provider and gives back what was not charged', function()
        local lease = begin().lease
        local decided = fail(lease, 'transient')
        assert.are.same({'lease', 'perplexity', 2}, {decided.outcome, decided.lease.provider, decided.lease.attempt})
        assert.are.equal(lease.token, decided.lease.token)
        assert.are.same({0, 0, 0}, used())
        finish(decided.lease)
        assert.are.equal('hit', begin().outcome)
    end)

    it('keeps what was charged, with the true amount', function()
        fail(begin().lease, 'transient', {charged = true, amounts = {{quota = 'credits', amount = 3}}})
        assert.are.same({3, 0, 0}, used())
    end)

    it('of the last provider denies, caches nothing and lets others begin', function()
        local decided = fail(fail(begin().lease, 'transient').lease, 'transient', {error = 'HTTP 502'})
        assert.are.same({'denied', 'unavailable', 'tavily: failed HTTP 500, perplexity: failed HTTP 502'}, {
            decided.outcome, decided.denial.kind, decided.denial.reason,
        })
        assert.is_nil(lycosa.cache.get{tenant = 'acme', key = KEY})
        assert.are.equal('lease', begin().outcome)
    end)

    it('for want of the caller\'s time hands on and is noted, and no breaker moves', function()
        lycosa.lookup.set_provider{tenant = 'acme', provider = 'tavily', threshold = 1}
        local decided = fail(begin().lease, 'late', {charged = true, error = 'no answer within 0.1 s'})
        assert.are.same({'lease', 'perplexity'}, {decided.outcome, decided.lease.provider})
        assert.are.same({1, 0, 0}, used())
        local row = provider('tavily')
        assert.are.same({'closed', 0, 1, 'no answer within 0.1 s'}, {
            row.breaker, tonumber(row.failures), tonumber(row.errors), row.last_error,
        })
    end)

    it('of the question itself is nobody else\'s to answer, and no fault of the provider', function()
        local decided = fail(begin().lease, 'invalid', {error = 'query is too long'})
        assert.are.same({'denied', 'invalid', 'query is too long'}, {
            decided.outcome, decided.denial.kind, decided.denial.reason,
        })
        assert.are.equal(0, tonumber(provider('tavily').errors))
    end)

    it('by throttling blocks the provider as long as it says', function()
        failure('throttled', {retry_after = 7})
        local decided = begin{providers = {{provider = 'tavily'}}}
        assert.are.same({'denied', 'exhausted', 7}, {
            decided.outcome, decided.denial.kind, decided.denial.retry_after,
        })
        clock.advance(7)
        assert.are.equal('lease', begin{providers = {{provider = 'tavily'}}}.outcome)
    end)

    it('of all by throttling tells when the first of them may be asked again', function()
        local decided = fail(fail(begin().lease, 'throttled', {retry_after = 9}).lease, 'throttled', {retry_after = 7})
        assert.are.same({'denied', 'exhausted', 7}, {
            decided.outcome, decided.denial.kind, decided.denial.retry_after,
        })
    end)

    it('by exhaustion blocks it, and the next one is asked', function()
        failure('exhausted', {retry_after = 86400})
        assert.are.equal('perplexity', begin().lease.provider)
        assert.are.equal('exhausted', provider('tavily').blocked_by)
    end)

    it('by refusal switches it off until somebody switches it on', function()
        failure('refused', {error = 'HTTP 401: invalid key'})
        local row = provider('tavily')
        assert.are.same({false, 'refused', 'HTTP 401: invalid key'}, {row.enabled, row.blocked_by, row.last_error})
        clock.advance(86400)
        local decided = begin{providers = {{provider = 'tavily'}}}
        assert.are.same({'denied', 'tavily: refused'}, {decided.outcome, decided.denial.reason})
        lycosa.lookup.set_provider{tenant = 'acme', provider = 'tavily', enabled = true}
        assert.are.equal('lease', begin{providers = {{provider = 'tavily'}}}.outcome)
    end)
end)

describe('a breaker', function()
    before_each(function()
        lycosa.lookup.set_provider{tenant = 'acme', provider = 'tavily', threshold = 3, window = 10, cooldown = 20}
    end)

    local function open()
        for _ = 1, 3 do
            failure('transient')
        end
    end

    it('opens after so many failures within its window', function()
        failure('transient')
        failure('transient')
        clock.advance(10)
        failure('transient')
        failure('transient')
        assert.are.equal('closed', provider('tavily').breaker)
        failure('transient')
        assert.are.equal('open', provider('tavily').breaker)
        local decided = begin()
        assert.are.same({'perplexity', 'open'}, {decided.lease.provider, decided.skipped[1].reason})
    end)

    it('lets one probe through when it has cooled down', function()
        open()
        clock.advance(20)
        assert.are.equal('half_open', provider('tavily').breaker)
        local probe = begin()
        assert.are.equal('tavily', probe.lease.provider)
        local other = begin{key = 'other'}
        assert.are.same({'perplexity', 'probing'}, {other.lease.provider, other.skipped[1].reason})
        finish(probe.lease)
        assert.are.equal('closed', provider('tavily').breaker)
        assert.are.equal('tavily', begin{key = 'third'}.lease.provider)
    end)

    it('opens again when the probe fails, and at once', function()
        open()
        clock.advance(20)
        failure('transient')
        assert.are.equal('open', provider('tavily').breaker)
        assert.are.equal('denied', begin{providers = {{provider = 'tavily'}}}.outcome)
    end)

    it('takes another probe when one vanished, was given up or had no time', function()
        open()
        clock.advance(20)
        failure('late')
        begin{lease = 5}
        clock.advance(5)
        local second = begin{key = 'second'}
        assert.are.equal('tavily', second.lease.provider)
        lycosa.lookup.release{tenant = 'acme', key = 'second', token = second.lease.token, charged = false}
        assert.are.equal('tavily', begin{key = 'third'}.lease.provider)
    end)

    it('minds no failure of a call that began before it opened', function()
        local early = begin{key = 'early', providers = {{provider = 'tavily'}}}
        open()
        clock.advance(19)
        lycosa.lookup.fail{
            tenant = 'acme', key = 'early', token = early.lease.token, cause = 'transient', charged = false, error = 'late',
        }
        clock.advance(1)
        assert.are.equal('half_open', provider('tavily').breaker)
    end)
end)

describe('a follower', function()
    local function follow(...)
        local follower = fiber.new(await, ...)
        follower:set_joinable(true)
        fiber.yield()
        return function()
            local _, answer = follower:join()
            return answer
        end
    end

    before_each(clock.release)

    it('has the leader\'s answer', function()
        local decided = begin()
        local first, second = follow(decided.ticket, 5, {request = {id = 'f1'}}), follow(decided.ticket, 5)
        finish(decided.lease)
        assert.are.same({'hit', 'answer'}, {first().outcome, second().entry[4]})
        assert.is_true(lycosa.request.get{tenant = 'acme', id = 'f1'}.request.cached)
    end)

    it('takes what was made since it asked, though it wants nothing older', function()
        local before = clock.now()
        local decided = begin()
        local answer = follow(decided.ticket, 5, {max_age = 0, stale_for = 0, since = before})
        finish(decided.lease)
        assert.are.equal('hit', answer().outcome)
        clock.freeze(clock.now() + 1)
        local without = await(decided.ticket, 0, {max_age = 0, stale_for = 0, since = clock.now()})
        assert.are.equal('lease', without.outcome)
    end)

    it('learns why the leader was denied', function()
        local decided = begin{providers = {{provider = 'tavily'}}}
        local answer = follow(decided.ticket, 5)
        fail(decided.lease, 'transient', {error = 'HTTP 503'})
        local denied = answer()
        assert.are.same({'denied', 'tavily: failed HTTP 503'}, {denied.outcome, denied.denial.reason})
    end)

    it('leads when the leader vanished: one of all', function()
        local decided = begin{lease = 0.1}
        local answers = {follow(decided.ticket, 1), follow(decided.ticket, 0.3)}
        local outcomes = {answers[1]().outcome, answers[2]().outcome}
        table.sort(outcomes)
        assert.are.same({'lease', 'pending'}, outcomes)
    end)

    it('leads when the leader gave up', function()
        local decided = begin()
        local answer = follow(decided.ticket, 5)
        lycosa.lookup.release{tenant = 'acme', key = KEY, token = decided.lease.token, charged = false}
        assert.are.equal('lease', answer().outcome)
    end)

    it('waits no longer than it wants', function()
        local decided = begin()
        assert.are.equal('pending', await(decided.ticket, 0.02).outcome)
        support.raises('REQUEST_EXISTS', function()
            lycosa.request.append{tenant = 'acme', id = 'x', kind = 'other', status = 'done', question = 'q'}
            finish(decided.lease)
            await(decided.ticket, 1, {request = {id = 'x'}})
        end)
    end)

    it('cannot wait within a transaction', function()
        local decided = begin()
        box.begin()
        local ok, raised = pcall(await, decided.ticket, 1)
        box.rollback()
        assert.is_false(ok)
        assert.are.equal('IN_TRANSACTION', (require('lycosa.core.errors').parse(raised)))
    end)

    it('is one too many at some point', function()
        local waiting = require('lycosa.lookup.waiting')
        waiting.configure{lookup_waiters = 1}
        local decided = begin()
        local first = follow(decided.ticket, 5)
        support.raises('LOOKUP_BUSY', await, decided.ticket, 5)
        waiting.configure{}
        finish(decided.lease)
        assert.are.equal('hit', first().outcome)
    end)
end)

describe('an answer without memory for it', function()
    it('is settled and recorded all the same', function()
        local memory = require('lycosa.core.memory')
        local admit = memory.admit
        local errors = require('lycosa.core.errors')
        local lease = begin().lease
        memory.admit = function(space, class, bytes)
            if class == 'cache' or class == 'document' or class == 'cache_exchange' then
                errors.raise('MEMORY_FULL', {used = 81, space = space, limit = 80})
            end
            return admit(space, class, bytes)
        end
        local ok, finished = pcall(lycosa.lookup.finish, {
            tenant = 'acme', key = KEY, token = lease.token, value = 'answer', ttl = 60, request = {id = 'r'},
            documents = {{id = 'd', title = 't', text = 'text', kind = 'web'}},
        })
        memory.admit = admit
        assert.is_true(ok)
        assert.are.same({false, 0, 'memory is full'}, {finished.cached, finished.kept, finished.problem})
        assert.are.same({1, 0, 0}, used())
        assert.are.equal('done', lycosa.request.get{tenant = 'acme', id = 'r'}.request.status)
        daemon.drain('lookup.forget')
    end)
end)
