-- Documents: texts that a tenant keeps and searches.
--
-- A put stores the text in passages and leaves the rest to the background: a bounded step indexes what waits, another
-- takes what was deleted out of the index. A deleted or replaced document is invisible from its own transaction on;
-- a new one is found as soon as it is indexed, and how far the index lags behind stands in every answer.

local digest = require('digest')
local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local cursor = require('lycosa.core.cursor')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')
local chunks = require('lycosa.document.chunks')
local fields = require('lycosa.document.fields')
local indexer = require('lycosa.document.indexer')
local matching = require('lycosa.document.matching')
local norms = require('lycosa.document.norms')
local packed = require('lycosa.document.packed')
local records = require('lycosa.document.records')
local search = require('lycosa.document.search')
local tokens = require('lycosa.document.tokens')

local document = {}

local DOCUMENT, CHUNK, CORPUS = fields.document, fields.chunk, fields.corpus
local WAITING = fields.waiting

-- Different terms of a query that count; the rest is ignored.
local MOST_TERMS = 32
-- A customer with at most so many documents is searched only where they stand.
local MOST_PLACED = 256
-- Memory that a byte of text takes in all: itself, its postings, rows and keys.
local MEMORY_PER_BYTE = 3

document.steps = indexer.steps
document.match = matching.match

---Called once at start.
function document.configure()
    metrics.gauge('document.lag', indexer.lag)
end

local function corpus_of(tenant)
    return box.space.document_corpus:get(tenant)
end

-- What a call does to the corpus, collected while its documents are written and applied at its end.
local function open_changes(tenant)
    local corpus = corpus_of(tenant)
    if corpus == nil then
        corpus = box.space.document_corpus:insert{tenant, bucket.of(tenant), 0, 0, 0, 0, 0, 0, 0, 0}
    end
    return {
        tenant = tenant, bucket_id = corpus[CORPUS.BUCKET], now = clock.now(), next_chunk = corpus[CORPUS.NEXT],
        documents = 0, waiting = 0, dead = {}, retired = 0,
    }
end

local function apply_changes(changes)
    norms.kill(changes.tenant, changes.dead)
    box.space.document_corpus:update(changes.tenant, {
        {'+', CORPUS.DOCUMENTS, changes.documents}, {'+', CORPUS.WAITING, changes.waiting},
        {'=', CORPUS.NEXT, changes.next_chunk},
    })
    if changes.retired > 0 then
        daemon.wake('document.remove')
    end
    daemon.wake('document.index')
end

-- Leave a document's passages to the background, dead from now on. Constant work, however long the document.
local function retire(changes, stored)
    local tenant, first = changes.tenant, stored[DOCUMENT.FIRST]
    local stop = first + stored[DOCUMENT.CHUNKS]
    local indexed_until = stop
    local waiting = box.space.document_waiting:delete{tenant, first}
    if waiting ~= nil then
        indexed_until = waiting[WAITING.NEXT]
        changes.waiting = changes.waiting - 1
    end
    box.space.document_removal:insert{
        tenant, changes.bucket_id, first, first, indexed_until, stop, changes.now, stored[DOCUMENT.TITLE],
    }
    if indexed_until > first then
        table.insert(changes.dead, {first, indexed_until})
    end
    changes.documents, changes.retired = changes.documents - 1, changes.retired + 1
end

local function hash_of(record)
    return digest.sha1_hex(table.concat({
        record.title, record.source or '', record.language or '', record.kind, record.customer_id or '',
        tostring(record.created_at or ''), record.text,
    }, '\0'))
end

-- Write one checked document. Returns its outcome.
local function store(changes, record)
    local tenant, space = changes.tenant, box.space.document
    local stored, hash = space:get{tenant, record.id}, hash_of(record)
    if stored ~= nil and stored[DOCUMENT.HASH] == hash then
        return 'unchanged'
    end
    if stored ~= nil then
        retire(changes, stored)
    end
    local passages, first = chunks.split(record.text), changes.next_chunk
    space:replace{
        tenant, changes.bucket_id, record.id, record.title, record.source or box.NULL,
        record.language or tokens.language(record.text), record.kind, record.customer_id or box.NULL,
        record.created_at or changes.now, changes.now, #record.text, first, #passages, hash,
    }
    for i = 1, #passages do
        box.space.document_chunk:insert{tenant, changes.bucket_id, first + i - 1, passages[i]}
    end
    box.space.document_waiting:insert{tenant, changes.bucket_id, first, first, first + #passages, changes.now}
    changes.next_chunk = first + #passages
    changes.documents, changes.waiting = changes.documents + 1, changes.waiting + 1
    return stored == nil and 'inserted' or 'replaced'
end

---Store documents, replacing those with the same id. Each gets an outcome of its own: one that is not valid does not
---keep the others out. Raises INVALID_ARGUMENT when the call holds more than records.MOST_TEXT bytes of text, MEMORY_FULL.
---@param args {tenant: string, documents: table[]}
---@return table[] outcomes in the order of the documents: {id, outcome, field, problem}
function document.put(args)
    local checked, outcomes, bytes = records.check(args.documents)
    if bytes > records.MOST_TEXT then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'documents',
            problem = ('hold %d bytes of text, at most %d are taken in one call'):format(bytes, records.MOST_TEXT),
        })
    end
    memory.admit('document', 'document', bytes * MEMORY_PER_BYTE)
    local changes
    for i = 1, #args.documents do
        if checked[i] then
            changes = changes or open_changes(args.tenant)
            outcomes[i].outcome = store(changes, checked[i])
        end
    end
    if changes and (changes.documents > 0 or changes.retired > 0) then
        apply_changes(changes)
    end
    return outcomes
end

---A document and its text. Raises DOCUMENT_NOT_FOUND.
---@param args {tenant: string, id: string}
---@return {document: box.tuple, text: string}
function document.get(args)
    local row = box.space.document:get{args.tenant, args.id}
    if row == nil then
        errors.raise('DOCUMENT_NOT_FOUND', {id = args.id})
    end
    local passages = box.space.document_chunk:select(
        {args.tenant, row[DOCUMENT.FIRST]}, {iterator = 'GE', limit = row[DOCUMENT.CHUNKS]})
    for i, passage in ipairs(passages) do
        passages[i] = passage[CHUNK.TEXT]
    end
    return {document = row, text = table.concat(passages)}
end

---Delete documents. They are invisible at once; their passages leave the index in the background.
---@param args {tenant: string, ids: string[]} unknown ids are passed over
---@return {deleted: integer}
function document.delete(args)
    if corpus_of(args.tenant) == nil then
        return {deleted = 0}
    end
    local changes = open_changes(args.tenant)
    for _, id in ipairs(args.ids) do
        local row = box.space.document:delete{args.tenant, id}
        if row ~= nil then
            retire(changes, row)
        end
    end
    if changes.retired > 0 then
        apply_changes(changes)
    end
    return {deleted = changes.retired}
end

local function inside(tuple, scan)
    return tuple[DOCUMENT.TENANT] == scan.tenant
        and (scan.customer_id == nil or tuple[DOCUMENT.CUSTOMER] == scan.customer_id)
end

---A page of documents without their texts, in the order of their ids.
---@param args {tenant: string, customer_id: string?, prefix: string?, cursor: string?, limit: integer}
---@param packs boolean? whether the rows are packed at once: then they are borrowed
---@return {rows: box.tuple[], next: string?, previous: string?}
function document.list(args, packs)
    local index, range = 'id', {args.tenant}
    if args.customer_id ~= nil then
        index, range = 'customer', {args.tenant, args.customer_id}
    end
    local scan = {
        index = box.space.document.index[index], anchor = range, first = range, last = range, last_inclusive = true,
        fields = {DOCUMENT.ID}, kinds = {'string'}, inside = inside, descending = false, borrows = packs,
        tenant = args.tenant, customer_id = args.customer_id,
        fingerprint = cursor.fingerprint{'document', index, args.tenant, args.customer_id or '', args.prefix or ''},
    }
    if args.prefix ~= nil then
        cursor.narrow(scan, args.prefix)
    end
    local rows, next_text, previous_text = cursor.page(scan, args.cursor, args.limit)
    return {rows = rows, next = next_text or box.NULL, previous = previous_text or box.NULL}
end

-- Seconds that the tenant's oldest waiting document has waited.
local function waiting_seconds(tenant, corpus)
    if corpus == nil or corpus[CORPUS.WAITING] == 0 then
        return 0
    end
    local oldest = box.space.document_waiting:select({tenant}, {limit = 1})[1]
    return math.max(0, clock.now() - oldest[WAITING.SINCE])
end

-- The windows in which a customer's documents stand, rising; nil when there are too many to look them up.
local function windows_of(tenant, customer_id)
    local rows = box.space.document.index.customer:select({tenant, customer_id}, {limit = MOST_PLACED + 1})
    if #rows > MOST_PLACED then
        return nil
    end
    local windows, seen = {}, {}
    for _, row in ipairs(rows) do
        local last = row[DOCUMENT.FIRST] + row[DOCUMENT.CHUNKS] - 1
        for window = math.floor(row[DOCUMENT.FIRST] / packed.WINDOW), math.floor(last / packed.WINDOW) do
            if not seen[window] then
                seen[window] = true
                table.insert(windows, window)
            end
        end
    end
    table.sort(windows)
    return windows
end

local function filter_of(args)
    local tenant, kind, customer_id, without = args.tenant, args.kind, args.customer_id, args.without_kind
    local filter = {kind = kind, customer_id = customer_id, general = customer_id and args.include_general}
    if kind or customer_id or without then
        local index = box.space.document.index.chunk
        filter.wanted = function(first)
            local row = index:get{tenant, first}
            local owner = row and row[DOCUMENT.CUSTOMER]
            return row ~= nil and (kind == nil or row[DOCUMENT.KIND] == kind) and row[DOCUMENT.KIND] ~= without
                and (customer_id == nil or owner == customer_id or (filter.general and owner == nil))
        end
    end
    if customer_id and not filter.general then
        filter.windows = windows_of(tenant, customer_id)
    end
    return filter
end

local function hit_of(tenant, ranked)
    local row = box.space.document.index.chunk:get{tenant, ranked.first}
    return {
        row[DOCUMENT.ID], row[DOCUMENT.TITLE], row[DOCUMENT.SOURCE], row[DOCUMENT.KIND], row[DOCUMENT.CUSTOMER],
        row[DOCUMENT.LANGUAGE], row[DOCUMENT.CREATED], ranked.chunk - ranked.first + 1, ranked.score,
        box.space.document_chunk:get{tenant, ranked.chunk}[CHUNK.TEXT],
    }
end

---The documents that answer a query best, each with its best passage.
---@param args {tenant: string, query: string, limit: integer, customer_id: string?, include_general: boolean, kind: string?,
---     without_kind: string?}
---@return {hits: table[], examined: integer, bounded: boolean, waiting: integer, waiting_seconds: number}
function document.search(args)
    local tenant, corpus = args.tenant, corpus_of(args.tenant)
    local answer = {
        hits = {}, examined = 0, bounded = false, waiting = corpus and corpus[CORPUS.WAITING] or 0,
        waiting_seconds = waiting_seconds(tenant, corpus),
    }
    if corpus == nil or corpus[CORPUS.WORDS] == 0 then
        return answer
    end
    local terms = tokens.distinct(args.query, MOST_TERMS)
    local ranked
    ranked, answer.examined, answer.bounded =
        search.rank(tenant, terms, corpus[CORPUS.CHUNKS], corpus[CORPUS.WORDS], args.limit, filter_of(args))
    for i = 1, #ranked do
        answer.hits[i] = hit_of(tenant, ranked[i])
    end
    metrics.count('document.searches')
    if answer.bounded then
        metrics.count('document.searches_bounded')
    end
    return answer
end

---Figures of a tenant's documents and of their index.
---@param args {tenant: string}
---@return {documents: integer, chunks: integer, terms: integer, postings: integer, posting_bytes: integer,
---     waiting: integer, waiting_seconds: number, revision: string}
function document.figures(args)
    local corpus = corpus_of(args.tenant)
    local function figure(number)
        return corpus and corpus[number] or 0
    end
    return {
        documents = figure(CORPUS.DOCUMENTS), chunks = figure(CORPUS.CHUNKS), terms = figure(CORPUS.TERMS),
        postings = figure(CORPUS.POSTINGS), posting_bytes = figure(CORPUS.POSTINGS) * packed.POSTING_BYTES,
        waiting = figure(CORPUS.WAITING), waiting_seconds = waiting_seconds(args.tenant, corpus),
        -- What is stored takes new numbers of passages, and what is removed leaves fewer documents.
        revision = ('%d.%d'):format(tonumber(figure(CORPUS.NEXT)), tonumber(figure(CORPUS.DOCUMENTS))),
    }
end

return document
