-- The surface of documents.

local cursor = require('lycosa.core.cursor')
local T = require('lycosa.core.types')
local document = require('lycosa.document')
local ranking = require('lycosa.document.ranking')
local records = require('lycosa.document.records')

local COUNT = T.integer{min = 0}

-- Fields as stored; the order is that of the space `document`.
local ROW = T.record('Document', {
    {'tenant', T.name},
    {'bucket_id', COUNT},
    {'id', T.name},
    {'title', T.text{max = 512}},
    {'source', T.text{max = 2048}, nullable = true},
    {'language', T.enum{'en', 'ru'}},
    {'kind', T.name},
    {'customer_id', T.name, nullable = true},
    {'created_at', T.time},
    {'stored_at', T.time},
    {'bytes', COUNT, doc = 'of its text'},
    {'first_chunk', COUNT, doc = 'number of its first passage within the tenant'},
    {'chunks', COUNT, doc = 'passages'},
    {'hash', T.text{max = 40}, doc = 'SHA-1 of everything that was put'},
}, {form = 'tuple'})

local OUTCOME = T.record('DocumentOutcome', {
    {'id', T.name, nullable = true, doc = 'null when the row has no usable one'},
    {'outcome', T.enum{'inserted', 'replaced', 'unchanged', 'invalid'}},
    {'field', T.text{max = 256}, nullable = true, doc = 'what is wrong with an invalid row'},
    {'problem', T.text{max = 1024}, nullable = true},
})

local HIT = T.record('DocumentHit', {
    {'id', T.name},
    {'title', T.text{max = 512}},
    {'source', T.text{max = 2048}, nullable = true},
    {'kind', T.name},
    {'customer_id', T.name, nullable = true},
    {'language', T.enum{'en', 'ru'}},
    {'created_at', T.time},
    {'chunk', T.integer{min = 1}, doc = 'place of the passage within the document'},
    {'score', T.number{min = 0}, doc = 'BM25; comparable within one answer only'},
    {'text', T.text{max = 8192}, doc = 'the passage'},
}, {form = 'array'})

return {
    {
        name = 'document.put', access = 'app', mode = 'write', idempotent = true,
        doc = 'Store documents, replacing those with the same id. Each row has its own outcome: inserted, replaced, '
            .. 'unchanged or invalid with the reason; an invalid row does not keep the others out. At most 100 '
            .. 'documents and 512 KiB of text a call. They are found as soon as the background has indexed them.',
        args = {
            {'tenant', T.name},
            {'documents', T.list(T.unchecked(records.DOCUMENT), {min = 1, max = 100})},
        },
        returns = T.list(OUTCOME, {max = 100}),
        errors = {'INVALID_ARGUMENT', 'MEMORY_FULL'},
        run = document.put,
    },
    {
        name = 'document.get', access = 'read', mode = 'read',
        doc = 'One document with its whole text.',
        args = {{'tenant', T.name}, {'id', T.name}},
        returns = T.record('DocumentText', {{'document', ROW}, {'text', T.text{max = records.LONGEST_TEXT}}}),
        errors = {'DOCUMENT_NOT_FOUND'},
        run = document.get,
    },
    {
        name = 'document.delete', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete documents by id. They are invisible at once; unknown ids are passed over.',
        args = {{'tenant', T.name}, {'ids', T.list(T.name, {max = 1000})}},
        returns = T.record('DocumentsDeleted', {{'deleted', COUNT}}),
        errors = {},
        run = document.delete,
    },
    {
        name = 'document.list', access = 'read', mode = 'read',
        packs = 'rows',
        doc = 'A page of documents without their texts, in the order of their ids; of one customer when given.',
        args = {
            {'tenant', T.name},
            {'customer_id', T.name, optional = true},
            {'prefix', T.text{max = 128}, optional = true, doc = 'how ids begin, byte by byte'},
            {'cursor', cursor.TYPE, optional = true},
            {'limit', T.integer{min = 1, max = 1000}, default = 100},
        },
        returns = T.record('DocumentPage', {
            {'rows', T.list(ROW, {max = 1000})},
            {'next', cursor.TYPE, nullable = true},
            {'previous', cursor.TYPE, nullable = true},
        }),
        errors = {'INVALID_CURSOR'},
        run = document.list,
    },
    {
        name = 'document.search', access = 'read', mode = 'read',
        doc = 'The documents that answer a query best, each with its best passage, by BM25 over Russian and English '
            .. 'stems. Equal scores stand in the order of storing. A search that reaches its bound of 400,000 examined '
            .. 'postings answers with the best it has seen and says bounded = true. The first 32 different words count.',
        args = {
            {'tenant', T.name},
            {'query', T.text{min = 1, max = 1000}},
            {'limit', T.integer{min = 1, max = ranking.MOST}, default = 10},
            {'customer_id', T.name, optional = true, doc = 'only documents of this customer'},
            {'include_general', T.boolean, default = false, doc = 'with customer_id: also documents of no customer'},
            {'kind', T.name, optional = true},
            {'without_kind', T.name, optional = true, doc = 'leaves documents of this kind out'},
        },
        returns = T.record('DocumentSearch', {
            {'hits', T.list(HIT, {max = ranking.MOST})},
            {'examined', COUNT, doc = 'postings'},
            {'bounded', T.boolean},
            {'waiting', COUNT, doc = 'documents that are stored but not yet indexed'},
            {'waiting_seconds', T.number{min = 0}, doc = 'how long the oldest of them has waited'},
        }),
        errors = {},
        run = document.search,
    },
    {
        name = 'document.match', access = 'read', mode = 'read',
        doc = 'How many words texts have and how often the terms of a query are among them, by the stems of '
            .. 'document.search: for ranking what is kept elsewhere. At most 262,144 bytes of text a call; nothing is stored.',
        args = {
            {'tenant', T.name}, {'query', T.text{min = 1, max = 1000}},
            {'texts', T.list(T.text{max = 65536}, {max = 100})},
        },
        returns = T.record('DocumentMatches', {
            {'terms', T.list(T.name, {max = 32}), doc = 'the first 32 different ones of the query'},
            {'matches', T.list(T.record('DocumentMatch', {
                {'words', COUNT}, {'counts', T.list(COUNT, {max = 32}), doc = 'in the order of terms'},
            }, {form = 'array'}), {max = 100})},
        }),
        errors = {'INVALID_ARGUMENT'},
        run = document.match,
    },
    {
        name = 'document.figures', access = 'read', mode = 'read',
        doc = 'How many documents, passages, terms and postings a tenant has, and how far its index lags behind.',
        args = {{'tenant', T.name}},
        returns = T.record('DocumentFigures', {
            {'documents', COUNT},
            {'chunks', COUNT, doc = 'passages in the index'},
            {'terms', COUNT},
            {'postings', COUNT},
            {'posting_bytes', COUNT},
            {'waiting', COUNT, doc = 'documents that are stored but not yet indexed'},
            {'waiting_seconds', T.number{min = 0}, doc = 'how long the oldest of them has waited'},
            {'revision', T.name, doc = 'another one after every change of a text'},
        }),
        errors = {},
        run = document.figures,
    },
}
