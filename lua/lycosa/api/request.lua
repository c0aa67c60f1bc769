local T = require('lycosa.core.types')
local cursor = require('lycosa.core.cursor')
local request = require('lycosa.request')

local STATUS = T.enum{'done', 'degraded', 'failed', 'cancelled'}
local SOURCE_KIND = T.enum{'document', 'record', 'history', 'web'}
local QUESTION = T.text{max = 4096}
-- 256 KiB.
local ANSWER = T.text{max = 262144}
local ERROR = T.text{max = 1024}
local REF = T.text{min = 1, max = 2048}
local TITLE = T.text{max = 1024}
local QUOTE = T.text{max = 2048}
-- Bounds that keep sums of years within 64 bits: a million dollars, a billion tokens, eleven days.
local COST = T.integer{min = 0, max = 1000000000000}
local TOKENS = T.integer{min = 0, max = 1000000000}
local DURATION = T.integer{min = 0, max = 1000000000}
local DAY = T.integer{min = 0, max = 2932896}
local SUM = T.integer{min = 0}

local REQUEST = T.record('Request', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'id', T.name},
    {'customer_id', T.nullable(T.name)}, {'kind', T.name}, {'status', STATUS}, {'question', QUESTION},
    {'answer', T.nullable(ANSWER)}, {'model', T.nullable(T.name)}, {'cost_microusd', COST}, {'tokens_in', TOKENS},
    {'tokens_out', TOKENS}, {'cached', T.boolean}, {'duration_ms', DURATION}, {'created_at', T.time},
    {'error', T.nullable(ERROR)},
}, {form = 'tuple'})

local REQUEST_SOURCE = T.record('RequestSource', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'request_id', T.name}, {'position', T.integer{min = 1}},
    {'kind', SOURCE_KIND}, {'ref', REF}, {'title', TITLE}, {'quote', QUOTE},
}, {form = 'tuple'})

local REQUEST_SUMMARY = T.record('RequestSummary', {
    {'id', T.name}, {'customer_id', T.nullable(T.name)}, {'kind', T.name}, {'status', STATUS},
    {'question', QUESTION}, {'model', T.nullable(T.name)}, {'cost_microusd', COST}, {'tokens_in', TOKENS},
    {'tokens_out', TOKENS}, {'cached', T.boolean}, {'duration_ms', DURATION}, {'created_at', T.time},
    {'error', T.nullable(ERROR)}, {'answer_bytes', T.integer{min = 0}},
}, {form = 'array'})

local SOURCE_INPUT = T.record('RequestSourceInput', {
    {'kind', SOURCE_KIND, doc = 'where it comes from'},
    {'ref', REF, doc = 'id of a document, record or request, or a URL'},
    {'title', TITLE, default = '', doc = 'shown to a reader'},
    {'quote', QUOTE, default = '', doc = 'the passage that was used'},
})

return {
    {
        name = 'request.append', access = 'app', mode = 'write', idempotent = true,
        doc = 'Append a request with its answer, its sources and the sums of its day, in one transaction. '
            .. 'The id is the caller\'s idempotency key: the same id with the same content writes nothing and answers '
            .. 'what is stored.',
        args = {
            {'tenant', T.name, doc = 'whose request it is'},
            {'id', T.name, doc = 'given by the caller, unique within the tenant'},
            {'customer_id', T.name, optional = true, doc = 'the customer asked about'},
            {'kind', T.name, doc = 'what was asked for, such as analysis or search'},
            {'status', STATUS, doc = 'how it ended'},
            {'question', QUESTION, doc = 'what was asked'},
            {'answer', ANSWER, optional = true, doc = 'what was answered, at most 256 KiB'},
            {'model', T.name, optional = true, doc = 'what wrote the answer'},
            {'cost_microusd', COST, default = 0, doc = 'cost in millionths of a US dollar'},
            {'tokens_in', TOKENS, default = 0, doc = 'tokens read by the model'},
            {'tokens_out', TOKENS, default = 0, doc = 'tokens written by the model'},
            {'cached', T.boolean, default = false, doc = 'whether the answer came from the cache'},
            {'duration_ms', DURATION, default = 0, doc = 'milliseconds from question to answer'},
            {'error', ERROR, optional = true, doc = 'why it failed'},
            {'sources', T.list(SOURCE_INPUT, {max = 64}), default = {}, doc = 'what the answer rests on, in order'},
        },
        returns = REQUEST, errors = {'REQUEST_EXISTS', 'MEMORY_FULL', 'REQUEST_ON_DISK'},
        prepare = request.look_up, run = request.append,
    },
    {
        name = 'request.get', access = 'read', mode = 'read',
        doc = 'One request with its answer and its sources in their order.',
        args = {
            {'tenant', T.name, doc = 'whose request it is'},
            {'id', T.name, doc = 'as given to request.append'},
        },
        returns = T.record('RequestWithSources', {
            {'request', REQUEST}, {'sources', T.list(REQUEST_SOURCE, {max = 64})},
        }),
        errors = {'REQUEST_NOT_FOUND', 'REQUEST_ON_DISK'}, run = request.get,
    },
    {
        name = 'request.list', access = 'read', mode = 'read',
        packs = 'rows',
        doc = 'A page of requests in order of time, of a whole tenant, of one customer or of one status. '
            .. 'Rows come without their answers, whose size they tell; request.get gives one whole. '
            .. 'Cursors lead to the next and to the previous page.',
        args = {
            {'tenant', T.name, doc = 'whose requests'},
            {'by', T.enum{'time', 'customer', 'status'}, default = 'time', doc = 'which look-up'},
            {'value', T.name, optional = true, doc = 'the customer\'s id or the status; not used by time'},
            {'from', T.time, optional = true, doc = 'created at this moment or later, unix seconds'},
            {'until', T.time, optional = true, doc = 'created before this moment, unix seconds'},
            {'order', T.enum{'asc', 'desc'}, default = 'desc', doc = 'desc shows the newest first'},
            {'cursor', cursor.TYPE, optional = true, doc = 'next or previous of another page of the same query'},
            {'limit', T.integer{min = 1, max = 1000}, default = 20, doc = 'rows in a page'},
        },
        returns = T.record('RequestPage', {
            {'rows', T.list(REQUEST_SUMMARY, {max = 1000})},
            {'next', T.nullable(cursor.TYPE)}, {'previous', T.nullable(cursor.TYPE)},
        }),
        errors = {'INVALID_ARGUMENT', 'INVALID_CURSOR', 'REQUEST_ON_DISK'}, run = request.list,
    },
    {
        name = 'request.totals', access = 'read', mode = 'read',
        doc = 'Sums of requests, cost (millionths of a US dollar) and tokens over at most 366 days, from_day to the '
            .. 'day before until_day. Exact, kept by write, and kept on when retention removes the requests.',
        args = {
            {'tenant', T.name, doc = 'whose requests'},
            {'from_day', DAY, doc = 'first day: unix time / 86,400, UTC'},
            {'until_day', DAY, doc = 'the day after the last'},
            {'kind', T.name, optional = true, doc = 'only this kind; every kind when absent'},
        },
        returns = T.record('RequestTotals', {
            {'requests', SUM}, {'cached', SUM}, {'failed', SUM}, {'cost_microusd', SUM}, {'tokens_in', SUM},
            {'tokens_out', SUM},
        }),
        errors = {'INVALID_ARGUMENT'}, run = request.totals,
    },
}
