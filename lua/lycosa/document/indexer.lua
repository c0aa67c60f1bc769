-- The background steps of documents: index what was put, take out what was deleted.
--
-- A slice is one transaction of bounded work: a passage's postings, its norm and the place reached are written
-- together or not at all, so a process that dies between any two lines goes on where the last commit stood.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local metrics = require('lycosa.core.metrics')
local fields = require('lycosa.document.fields')
local norms = require('lycosa.document.norms')
local packed = require('lycosa.document.packed')
local postings = require('lycosa.document.postings')
local tokens = require('lycosa.document.tokens')

local indexer = {}

local DOCUMENT, CHUNK, CORPUS = fields.document, fields.chunk, fields.corpus
local WAITING, REMOVAL = fields.waiting, fields.removal

-- Different terms, and passages, after which a slice ends: what bounds the time it holds the server.
local INDEX_TERMS, INDEX_CHUNKS = 180, 32
local REMOVE_TERMS, REMOVE_CHUNKS = 120, 64

-- Counts the terms of a passage with its document's title: a passage is found by the title too.
local function count_terms(title, text)
    local counts = {}
    local length = tokens.count(title, counts) + tokens.count(text, counts)
    return counts, length
end

---What a slice collects before it writes: terms of passages, and the passages' entries.
local function new_slice(tenant, chunk_limit, term_limit)
    return {
        tenant = tenant, bucket_id = bucket.of(tenant), terms = {}, batches = {}, by_term = {}, chunks = 0, words = 0,
        chunk_limit = chunk_limit, term_limit = term_limit, entries = packed.norms_of_size(chunk_limit),
    }
end

local function is_full(slice)
    return slice.chunks >= slice.chunk_limit or #slice.terms >= slice.term_limit
end

local function batch_of(slice, term)
    local batch = slice.by_term[term]
    if batch == nil then
        batch = {}
        slice.by_term[term] = batch
        local at = #slice.terms + 1
        slice.terms[at], slice.batches[at] = term, batch
    end
    return batch
end

local function index_chunk(slice, document, number)
    local row = box.space.document_chunk:get{slice.tenant, number}
    local counts, length = count_terms(document[DOCUMENT.TITLE], row[CHUNK.TEXT])
    for term, frequency in pairs(counts) do
        local batch = batch_of(slice, term)
        local size = #batch
        batch[size + 1], batch[size + 2], batch[size + 3] = number, frequency, length
    end
    local entry = slice.entries[number - slice.first]
    entry.customer = norms.customer_hash(document[DOCUMENT.CUSTOMER])
    entry.kind = norms.kind_hash(document[DOCUMENT.KIND])
    entry.length = length
    entry.position = number - document[DOCUMENT.FIRST]
    slice.last = number
    slice.chunks = slice.chunks + 1
    slice.words = slice.words + length
end

-- Index passages of one waiting document until it is done or the slice is full. Returns 1 when it is done.
local function index_document(slice, waiting)
    local document = box.space.document.index.chunk:get{slice.tenant, waiting[WAITING.FIRST]}
    local number, stop = waiting[WAITING.NEXT], waiting[WAITING.UNTIL]
    slice.first = slice.first or number
    -- Entries of a slice stand at their distance from its first passage; a gap left by a deletion ends the slice.
    stop = math.min(stop, slice.first + slice.chunk_limit)
    while number < stop and not is_full(slice) do
        index_chunk(slice, document, number)
        number = number + 1
    end
    local key = {slice.tenant, waiting[WAITING.FIRST]}
    if number == waiting[WAITING.UNTIL] then
        box.space.document_waiting:delete(key)
        return 1
    elseif number > waiting[WAITING.NEXT] then
        box.space.document_waiting:update(key, {{'=', WAITING.NEXT, number}})
    end
    return 0
end

local function write_slice(slice, corpus, done)
    local new_terms, appended = postings.append(slice.tenant, slice.bucket_id, slice.terms, slice.batches)
    local last = slice.last or slice.first - 1
    norms.append(slice.tenant, slice.bucket_id, corpus[CORPUS.INDEXED], slice.first, slice.entries,
        last - slice.first + 1)
    box.space.document_corpus:update(slice.tenant, {
        {'-', CORPUS.WAITING, done}, {'=', CORPUS.INDEXED, last + 1}, {'+', CORPUS.CHUNKS, slice.chunks},
        {'+', CORPUS.WORDS, slice.words}, {'+', CORPUS.TERMS, new_terms}, {'+', CORPUS.POSTINGS, appended},
    })
    metrics.count('document.indexed', done)
    metrics.count('document.indexed_chunks', slice.chunks)
end

-- Index passages of the tenant that has waited longest, in the order of their numbers.
---@param limit integer passages at the most
---@return boolean more
local function index(limit)
    local space = box.space.document_waiting
    local oldest = space.index.age:min()
    if oldest == nil then
        return false
    end
    local tenant = oldest[WAITING.TENANT]
    local slice, done = new_slice(tenant, math.min(limit, INDEX_CHUNKS), INDEX_TERMS), 0
    box.begin()
    local corpus = box.space.document_corpus:get(tenant)
    for _, waiting in ipairs(space:select({tenant}, {limit = slice.chunk_limit})) do
        done = done + index_document(slice, waiting)
        if is_full(slice) then
            break
        end
    end
    write_slice(slice, corpus, done)
    box.commit()
    return space:len() > 0
end

local function collect_dead(slice, removal)
    local space = box.space.document_chunk
    local number, stop = removal[REMOVAL.NEXT], removal[REMOVAL.UNTIL]
    while number < stop and not is_full(slice) do
        if number < removal[REMOVAL.INDEXED] then
            local row = space:get{slice.tenant, number}
            local counts, length = count_terms(removal[REMOVAL.TITLE], row[CHUNK.TEXT])
            for term in pairs(counts) do
                table.insert(batch_of(slice, term), number)
            end
            slice.words, slice.indexed = slice.words + length, (slice.indexed or 0) + 1
        end
        space:delete{slice.tenant, number}
        slice.chunks = slice.chunks + 1
        number = number + 1
    end
    return number
end

-- Take passages of the document that was deleted or replaced longest ago out of the index, and drop their texts.
---@param limit integer passages at the most
---@return boolean more
local function remove(limit)
    local space = box.space.document_removal
    local oldest = space.index.age:min()
    if oldest == nil then
        return false
    end
    local tenant, first = oldest[REMOVAL.TENANT], oldest[REMOVAL.FIRST]
    local slice = new_slice(tenant, math.min(limit, REMOVE_CHUNKS), REMOVE_TERMS)
    box.begin()
    local number = collect_dead(slice, oldest)
    local gone, removed = postings.remove(tenant, slice.terms, slice.batches)
    local corpus = box.space.document_corpus:update(tenant, {
        {'-', CORPUS.CHUNKS, slice.indexed or 0}, {'-', CORPUS.WORDS, slice.words},
        {'-', CORPUS.TERMS, gone}, {'-', CORPUS.POSTINGS, removed},
    })
    if number == oldest[REMOVAL.UNTIL] then
        space:delete{tenant, first}
        norms.drop_dead(tenant, first, number - 1, corpus[CORPUS.INDEXED])
    else
        space:update({tenant, first}, {{'=', REMOVAL.NEXT, number}})
    end
    box.commit()
    metrics.count('document.removed_chunks', slice.chunks)
    return space:len() > 0
end

---Seconds that the oldest waiting document of any tenant has waited; 0 when none waits.
---@return number
function indexer.lag()
    local space = box.space.document_waiting
    local oldest = space and space.index.age:min()
    return oldest and math.max(0, clock.now() - oldest[WAITING.SINCE]) or 0
end

indexer.steps = {
    {name = 'document.index', run = index, limit = INDEX_CHUNKS},
    {name = 'document.remove', run = remove, limit = REMOVE_CHUNKS},
}

return indexer
