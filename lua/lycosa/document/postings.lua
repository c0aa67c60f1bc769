-- Writes postings: appends those of new passages, takes out those of dead ones.
--
-- Passage numbers only grow, so postings are always appended. A term's row holds its frequency (postings in all) and
-- its newest postings; when packed.BLOCK of them are together they become a block of their own. `most` and `shortest`
-- bound what a posting of the block can score: the highest frequency in it and the least words of its passages.

local ffi = require('ffi')
local fields = require('lycosa.document.fields')
local packed = require('lycosa.document.packed')

local postings = {}

local TERM, POSTING = fields.term, fields.posting
local BLOCK, SPAN, SIZE = packed.BLOCK, packed.SPAN, packed.POSTING_BYTES
-- A block with fewer postings joins the one before it.
local SPARSE = BLOCK / 4

local scratch = packed.postings_of_size(BLOCK)

local function size_in_postings(bytes)
    return #bytes / SIZE
end

-- The newest postings of a term while a batch is added to them.
local function open_tail(row)
    if row == nil then
        return {count = 0, base = 0, most = 0, shortest = 0, stored = 0}
    end
    local count = size_in_postings(row[TERM.POSTINGS])
    return {count = count, base = row[TERM.BASE], most = row[TERM.MOST], shortest = row[TERM.SHORTEST], stored = count}
end

local function seal(tenant, bucket_id, term, row, tail, added)
    local old = tail.stored > 0 and row[TERM.POSTINGS] or ''
    box.space.document_posting:insert{
        tenant, bucket_id, term, tail.base, tail.most, tail.shortest, old .. ffi.string(scratch, added * SIZE),
    }
    tail.count, tail.stored = 0, 0
end

-- Add a batch to a tail, sealing full blocks. Returns how many postings stand in `scratch`, to be stored behind the
-- tail's own `stored` ones.
local function fill(tenant, bucket_id, term, row, tail, batch)
    local added = 0
    for i = 1, #batch, 3 do
        local chunk, frequency, length = batch[i], batch[i + 1], batch[i + 2]
        if tail.count == BLOCK or (tail.count > 0 and chunk - tail.base > SPAN) then
            seal(tenant, bucket_id, term, row, tail, added)
            added = 0
        end
        if tail.count == 0 then
            tail.base, tail.most, tail.shortest = chunk, frequency, length
        end
        tail.most, tail.shortest = math.max(tail.most, frequency), math.min(tail.shortest, length)
        scratch[added].at, scratch[added].frequency = chunk - tail.base, frequency
        tail.count, added = tail.count + 1, added + 1
    end
    return added
end

---Append the postings of a batch of passages.
---@param tenant string
---@param bucket_id integer
---@param batches table<string, integer[]> term -> {chunk, frequency, words of the chunk, chunk, ...}, chunks ascending
---@return integer new_terms
---@return integer appended postings
function postings.append(tenant, bucket_id, batches)
    local terms, new_terms, appended = box.space.document_term, 0, 0
    for term, batch in pairs(batches) do
        local row = terms:get{tenant, term}
        local tail = open_tail(row)
        local added = fill(tenant, bucket_id, term, row, tail, batch)
        local bytes = ffi.string(scratch, added * SIZE)
        local count = #batch / 3
        if row == nil then
            terms:insert{tenant, bucket_id, term, count, tail.base, tail.most, tail.shortest, bytes}
            new_terms = new_terms + 1
        else
            local last = tail.stored > 0 and {':', TERM.POSTINGS, -1, 0, bytes} or {'=', TERM.POSTINGS, bytes}
            terms:update({tenant, term}, {
                {'+', TERM.FREQUENCY, count}, {'=', TERM.BASE, tail.base}, {'=', TERM.MOST, tail.most},
                {'=', TERM.SHORTEST, tail.shortest}, last,
            })
        end
        appended = appended + count
    end
    return new_terms, appended
end

-- Index of a passage's posting, or nil.
local function locate(entries, count, at)
    local found = packed.find(entries, 0, count, at)
    if at >= 0 and found < count and entries[found].at == at then
        return found
    end
    return nil
end

-- Join a sparse block to the one before it, if both fit into one.
local function join(block)
    local space, tenant, term = box.space.document_posting, block[POSTING.TENANT], block[POSTING.TERM]
    local before = space:select({tenant, term, block[POSTING.BASE]}, {iterator = 'LT', limit = 1})[1]
    if before == nil or before[POSTING.TENANT] ~= tenant or before[POSTING.TERM] ~= term then
        return
    end
    local entries, count = packed.postings(block, POSTING.POSTINGS)
    local _, count_before = packed.postings(before, POSTING.POSTINGS)
    local shift = block[POSTING.BASE] - before[POSTING.BASE]
    if count + count_before > BLOCK or shift + entries[count - 1].at > SPAN then
        return
    end
    for i = 0, count - 1 do
        scratch[i].at, scratch[i].frequency = entries[i].at + shift, entries[i].frequency
    end
    space:delete{tenant, term, block[POSTING.BASE]}
    space:update({tenant, term, before[POSTING.BASE]}, {
        {'=', POSTING.MOST, math.max(before[POSTING.MOST], block[POSTING.MOST])},
        {'=', POSTING.SHORTEST, math.min(before[POSTING.SHORTEST], block[POSTING.SHORTEST])},
        {':', POSTING.POSTINGS, -1, 0, ffi.string(scratch, count * SIZE)},
    })
end

local function remove_from_block(tenant, term, chunk)
    local space = box.space.document_posting
    local block = space:select({tenant, term, chunk}, {iterator = 'LE', limit = 1})[1]
    if block == nil or block[POSTING.TENANT] ~= tenant or block[POSTING.TERM] ~= term then
        return 0
    end
    local entries, count = packed.postings(block, POSTING.POSTINGS)
    local found = locate(entries, count, chunk - block[POSTING.BASE])
    if found == nil then
        return 0
    elseif count == 1 then
        space:delete{tenant, term, block[POSTING.BASE]}
        return 1
    end
    local shorter = space:update({tenant, term, block[POSTING.BASE]}, {{':', POSTING.POSTINGS, found * SIZE + 1, SIZE, ''}})
    if count - 1 < SPARSE then
        join(shorter)
    end
    return 1
end

local function remove_from_tail(tenant, term, row, chunk)
    local entries, count = packed.postings(row, TERM.POSTINGS)
    local found = count > 0 and locate(entries, count, chunk - row[TERM.BASE])
    if not found then
        return nil
    end
    return box.space.document_term:update({tenant, term}, {{':', TERM.POSTINGS, found * SIZE + 1, SIZE, ''}})
end

---Take out the postings of dead passages.
---@param tenant string
---@param batches table<string, integer[]> term -> chunks
---@return integer gone terms that no passage holds any more
---@return integer removed postings
function postings.remove(tenant, batches)
    local terms, gone, removed = box.space.document_term, 0, 0
    for term, chunks in pairs(batches) do
        local row, count = terms:get{tenant, term}, 0
        for i = 1, row and #chunks or 0 do
            local changed = remove_from_tail(tenant, term, row, chunks[i])
            if changed then
                row, count = changed, count + 1
            else
                count = count + remove_from_block(tenant, term, chunks[i])
            end
        end
        if count > 0 and row[TERM.FREQUENCY] == count then
            terms:delete{tenant, term}
            gone = gone + 1
        elseif count > 0 then
            terms:update({tenant, term}, {{'-', TERM.FREQUENCY, count}})
        end
        removed = removed + count
    end
    return gone, removed
end

return postings
