local T = require('lycosa.core.types')
local cache_api = require('lycosa.api.cache')
local fields = require('lycosa.lookup.fields')
local lookup = require('lycosa.lookup')
local quota_fields = require('lycosa.quota.fields')
local records = require('lycosa.document.records')
local repeated = require('lycosa.core.repeated')

local KEY = T.text{min = 1, max = 512}
local QUESTION = T.text{max = 4096}
local SECONDS = T.number{min = 0, max = 31536000}
local MOMENT = T.number{min = 0}
local COUNT = T.integer{min = 0}
local TOKEN = T.text{min = 1, max = 64}
local REASON = T.text{max = 1024}
local MICROUSD = T.integer{min = 0, max = 1000000000000}
local TOKENS = T.integer{min = 0, max = 1000000000}
-- `cache.get` declares what an entry is, or null.
local ENTRY = cache_api[1].returns

local CLAIMS = T.list(T.record('LookupClaim', {
    {'quota', T.name, doc = 'name of a limit'},
    {'amount', T.integer{min = 1, max = quota_fields.MAX_CLAIM}, doc = 'whole number of its smallest unit'},
}), {max = quota_fields.MAX_CLAIMS})

local AMOUNTS = T.list(T.record('LookupAmount', {
    {'quota', T.name, doc = 'name of a limit that the lease reserved'},
    {'amount', T.integer{min = 0, max = quota_fields.MAX_CLAIM}, doc = 'what was really spent of it'},
}), {max = quota_fields.MAX_CLAIMS})

local CANDIDATE = T.record('LookupCandidate', {
    {'provider', T.name, doc = 'who can answer'},
    {'claims', CLAIMS, default = {}, doc = 'what one call takes, reserved for the lease'},
    {'cost', T.number{min = 0, max = 1e12}, default = 0, doc = 'what one call costs, in any one unit; only compared'},
})

local ASKED = T.record('LookupRequest', {
    {'id', T.name, doc = 'of its row in the history, unique within the tenant'},
    {'kind', T.name, default = 'search', doc = 'what was asked for'},
    {'customer_id', T.name, optional = true, doc = 'the customer asked about'},
})

local SOURCE = T.record('LookupSourceInput', {
    {'kind', T.enum{'document', 'record', 'history', 'web'}, doc = 'where it comes from'},
    {'ref', T.text{min = 1, max = 2048}, doc = 'id of a document, record or request, or a URL'},
    {'title', T.text{max = 1024}, default = ''}, {'quote', T.text{max = 2048}, default = ''},
})

local ANSWERED = T.record('LookupAnswered', {
    {'id', T.name, doc = 'of its row in the history, unique within the tenant'},
    {'kind', T.name, default = 'search', doc = 'what was asked for'},
    {'customer_id', T.name, optional = true, doc = 'the customer asked about'},
    {'status', T.enum{'done', 'degraded'}, default = 'done'},
    {'answer', T.text{max = 262144}, optional = true}, {'model', T.name, optional = true},
    {'cost_microusd', MICROUSD, default = 0, doc = 'true cost in millionths of a US dollar'},
    {'tokens_in', TOKENS, default = 0}, {'tokens_out', TOKENS, default = 0},
    {'duration_ms', T.integer{min = 0, max = 1000000000}, default = 0},
    {'sources', T.list(SOURCE, {max = 64}), default = {}, doc = 'what the answer rests on, in order'},
})

local LEASE = T.record('LookupLease', {
    {'token', TOKEN, doc = 'secret of the leader: finish, fail and release ask for it'},
    {'ticket', TOKEN, doc = 'public name of the lease, for followers'},
    {'provider', T.name, doc = 'whom to call'}, {'attempt', T.integer{min = 1}},
    {'reservation_id', T.nullable(T.name), doc = 'of what the call takes; null when it takes nothing'},
    {'ends_at', MOMENT}, {'refresh', T.boolean, doc = 'whether a stale answer was served meanwhile'},
    {'reason', T.enum{'first', 'fallback', 'near_limit'}, doc = 'why this provider'},
})

local SKIPPED = T.list(T.record('LookupSkipped', {
    {'provider', T.name},
    {'reason', T.enum{'off', 'refused', 'throttled', 'exhausted', 'open', 'probing', 'quota', 'near_limit'}},
    {'detail', T.nullable(REASON), doc = 'which quota'}, {'retry_after', T.nullable(SECONDS)},
}), {max = fields.MOST_CANDIDATES})

local DENIAL = T.record('LookupDenial', {
    {'kind', T.enum{'exhausted', 'unavailable', 'invalid'}}, {'reason', REASON}, {'retry_after', T.nullable(SECONDS)},
})

local DECISION = T.record('LookupDecision', {
    {'outcome', T.enum{'hit', 'stale', 'lease', 'pending', 'denied'}},
    {'entry', ENTRY, doc = 'of hit and stale'},
    {'lease', T.nullable(LEASE), doc = 'of lease, and of stale for the one caller who refreshes it'},
    {'reason', T.nullable(T.enum{'stale', 'refreshing', 'denied'}), doc = 'of stale: who refreshes it - the caller, another, nobody'},
    {'ticket', T.nullable(TOKEN), doc = 'of lease and pending'}, {'ends_at', T.nullable(MOMENT), doc = 'of the lease'},
    {'denial', T.nullable(DENIAL), doc = 'of denied'}, {'skipped', SKIPPED, doc = 'providers passed over'},
})

local PROVIDER = T.record('LookupProvider', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'provider', T.name}, {'enabled', T.boolean},
    {'place', T.nullable(COUNT)}, {'threshold', COUNT}, {'window', SECONDS}, {'cooldown', SECONDS},
    {'breaker', T.enum{'closed', 'open', 'half_open'}}, {'failures', COUNT}, {'since', MOMENT},
    {'opens_until', MOMENT}, {'probe', T.nullable(TOKEN)}, {'probe_ends_at', MOMENT}, {'blocked_until', MOMENT},
    {'blocked_by', T.nullable(T.enum{'throttled', 'exhausted', 'refused'})}, {'last_error', T.nullable(REASON)},
    {'last_error_at', T.nullable(MOMENT)}, {'calls', COUNT}, {'errors', COUNT}, {'updated_at', MOMENT},
}, {form = 'tuple'})

local TENANT = {'tenant', T.name, doc = 'who asks'}
local ACCOUNT = {
    'account', T.name, optional = true,
    doc = 'the tenant whose quotas and breakers the providers are; who asks when absent',
}
local KEY_ARG = {'key', KEY, doc = 'names the question: equal questions have equal keys'}
local QUESTION_ARG = {'question', QUESTION, doc = 'in words, for the history'}
local PROVIDERS = {
    'providers', repeated.type(T.list(CANDIDATE, {min = 1, max = fields.MOST_CANDIDATES})), doc = 'in order of preference',
}
local MAX_AGE = {'max_age', SECONDS, optional = true, doc = 'an answer older than this is not fresh to the caller'}
local STALE_FOR = {'stale_for', SECONDS, default = 31536000, doc = 'seconds beyond max_age in which it is taken stale'}
local LEASE_ARG = {'lease', T.number{min = 0.05, max = 600}, default = 30, doc = 'seconds that a leader has'}
local REQUEST = {'request', ASKED, optional = true, doc = 'its row in the history when it is served from the cache'}
local TOKEN_ARG = {'token', TOKEN, doc = 'of the lease'}
local CHARGED = {'charged', T.boolean, doc = 'whether the provider charges the call; false gives the units back'}
local AMOUNTS_ARG = {'amounts', AMOUNTS, default = {}, doc = 'true amounts where they are not as reserved'}

return {
    {
        name = 'lookup.begin', access = 'app', mode = 'write',
        doc = 'Decide in one step who answers a question: hit (a fresh answer), stale (an old one; for one caller with the '
            .. 'lease to refresh it), lease (the caller buys it from the provider named, whose units are reserved), '
            .. 'pending (somebody else does) or denied. Never waits.',
        args = {TENANT, KEY_ARG, QUESTION_ARG, PROVIDERS, MAX_AGE, STALE_FOR, LEASE_ARG, REQUEST, ACCOUNT},
        returns = DECISION,
        errors = {'INVALID_ARGUMENT', 'QUOTA_UNKNOWN', 'REQUEST_EXISTS', 'MEMORY_FULL'},
        prepare = lookup.prepare, run = lookup.begin,
    },
    {
        name = 'lookup.await', access = 'app', mode = 'wait',
        doc = 'Wait for the leader of a pending question: his answer, his denial, or the lease when he vanished or gave '
            .. 'up. Still pending when the time is over.',
        args = {
            TENANT, KEY_ARG, QUESTION_ARG, PROVIDERS, MAX_AGE, STALE_FOR, LEASE_ARG, REQUEST, ACCOUNT,
            {'ticket', TOKEN, doc = 'of the pending decision'},
            {'wait', T.number{min = 0, max = 600}, doc = 'seconds at the most'},
            {'since', T.time, optional = true, doc = 'an answer made since then is fresh, whatever max_age says'},
        },
        returns = DECISION,
        errors = {'INVALID_ARGUMENT', 'QUOTA_UNKNOWN', 'REQUEST_EXISTS', 'MEMORY_FULL', 'LOOKUP_BUSY'},
        run = lookup.await,
    },
    {
        name = 'lookup.finish', access = 'app', mode = 'write',
        doc = 'Store the answer that a lease bought, settle its true cost, write history, keep its sources as documents '
            .. 'and close the breaker, in one transaction. Followers wake.',
        args = {
            TENANT, KEY_ARG, TOKEN_ARG,
            {'value', T.bytes{max = 1000000}, doc = 'the answer, at most 1,000,000 bytes'},
            {'media_type', T.name, default = 'application/json', doc = 'what the bytes are'},
            {'ttl', T.number{min = 0.001, max = 31536000}, doc = 'seconds until it expires'},
            {'stale_for', SECONDS, default = 0, doc = 'seconds after that in which it may be served stale'},
            {'negative', T.boolean, default = false, doc = 'whether it says that there is nothing'},
            {'tags', T.list(T.name, {max = 15}), default = {}, doc = 'names by which it can be invalidated'},
            AMOUNTS_ARG, {'request', ANSWERED, doc = 'its row in the history'},
            {'documents', T.list(T.unchecked(records.DOCUMENT), {max = 100}), default = {}, doc = 'sources to keep'},
        },
        returns = T.record('LookupFinished', {
            {'cached', T.boolean, doc = 'false when memory is full'}, {'kept', COUNT, doc = 'documents'},
            {'problem', T.nullable(REASON), doc = 'why a document was not kept'},
        }),
        errors = {'LEASE_LOST', 'INVALID_ARGUMENT', 'REQUEST_EXISTS', 'MEMORY_FULL'},
        prepare = lookup.prepare, run = lookup.finish,
    },
    {
        name = 'lookup.fail', access = 'app', mode = 'write',
        doc = 'Report that the provider of a lease failed. Moves its breaker, gives back what was not charged, and hands '
            .. 'the lease to the next provider; without one, or for an invalid question, it is denied and followers '
            .. 'learn why.',
        args = {
            TENANT, KEY_ARG, TOKEN_ARG,
            {'cause', T.enum{'transient', 'late', 'throttled', 'exhausted', 'refused', 'invalid'},
                doc = 'what went wrong: see the concepts page'},
            CHARGED, AMOUNTS_ARG, {'error', REASON, doc = 'in words, without secrets; what the provider said itself behind a colon'},
            {'retry_after', SECONDS, optional = true, doc = 'what the provider told to wait'},
        },
        returns = DECISION, errors = {'LEASE_LOST', 'INVALID_ARGUMENT', 'QUOTA_UNKNOWN'}, run = lookup.fail,
    },
    {
        name = 'lookup.release', access = 'app', mode = 'write',
        doc = 'Give a lease up without an answer and without blame, because the caller went away. The next who waits '
            .. 'leads.',
        args = {TENANT, KEY_ARG, TOKEN_ARG, CHARGED, AMOUNTS_ARG},
        returns = T.none, errors = {'LEASE_LOST', 'INVALID_ARGUMENT'}, run = lookup.release,
    },
    {
        name = 'lookup.providers', access = 'read', mode = 'read',
        doc = 'Every provider that a tenant has called or set, by name: its breaker, what blocks it, its last error.',
        args = {TENANT}, returns = T.list(PROVIDER, {max = 100}), errors = {}, run = lookup.providers,
    },
    {
        name = 'lookup.set_provider', access = 'app', mode = 'write', idempotent = true,
        doc = 'Switch a provider on or off, give it a place among the others, or set its breaker. What is not given '
            .. 'stays; switching it on forgets what blocked it and closes the breaker.',
        args = {
            TENANT, {'provider', T.name, doc = 'its name'}, {'enabled', T.boolean, optional = true},
            {'place', T.integer{min = 1, max = 100}, optional = true, doc = 'before those without one'},
            {'threshold', T.integer{min = 1, max = 1000}, optional = true, doc = 'failures that open the breaker'},
            {'window', T.number{min = 1, max = 86400}, optional = true, doc = 'seconds within which they count'},
            {'cooldown', T.number{min = 0.1, max = 86400}, optional = true, doc = 'seconds before a probe'},
        },
        returns = PROVIDER, errors = {'MEMORY_FULL'}, run = lookup.set_provider,
    },
}
