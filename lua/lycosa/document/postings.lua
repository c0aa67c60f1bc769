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

-- The newest postings of a term while a batch is added to them. There is one at a time; `stored` of its postings stand
-- in the term's row, the others in `scratch`.
local tail = {count = 0, base = 0, most = 0, shortest = 0, stored = 0}

local function open_tail(row)
    if row == nil then
        tail.count = 0
    else
        local _
        _, tail.count = packed.postings(row, TERM.POSTINGS)
        tail.base, tail.most, tail.shortest = row[TERM.BASE], row[TERM.MOST], row[TERM.SHORTEST]
    end
    tail.stored = tail.count
end

local function seal(tenant, bucket_id, term, row, added)
    local old = tail.stored > 0 and row[TERM.POSTINGS] or ''
    box.space.document_posting:insert{
        tenant, bucket_id, term, tail.base, tail.most, tail.shortest, old .. ffi.string(scratch, added * SIZE),
    }
    tail.count, tail.stored = 0, 0
end

-- Add a batch to the tail, sealing full blocks. Returns how many postings stand in `scratch`.
local function fill(tenant, bucket_id, term, row, batch)
    local added = 0
    for i = 1, #batch, 3 do
        local chunk, frequency, length = batch[i], batch[i + 1], batch[i + 2]
        if tail.count == BLOCK or (tail.count > 0 and chunk - tail.base > SPAN) then
            seal(tenant, bucket_id, term, row, added)
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

-- Kept and refilled: a batch writes hundreds of rows.
local add_to_tail = {{'+', TERM.FREQUENCY, 0}, {':', TERM.POSTINGS, -1, 0, ''}}
local renew_tail = {
    {'+', TERM.FREQUENCY, 0}, {'=', TERM.BASE, 0}, {'=', TERM.MOST, 0}, {'=', TERM.SHORTEST, 0},
    {'=', TERM.POSTINGS, ''},
}

local function write_tail(key, row, count, bytes)
    local operations = add_to_tail
    if tail.stored > 0 and tail.most == row[TERM.MOST] and tail.shortest == row[TERM.SHORTEST] then
        operations[2][5] = bytes
    else
        operations = renew_tail
        operations[2][3], operations[3][3], operations[4][3] = tail.base, tail.most, tail.shortest
        local last = operations[5]
        if tail.stored > 0 then
            last[1], last[3], last[4], last[5] = ':', -1, 0, bytes
        else
            last[1], last[3], last[4], last[5] = '=', bytes, nil, nil
        end
    end
    operations[1][3] = count
    box.space.document_term:update(key, operations)
end

---Append the postings of a batch of passages.
---@param tenant string
---@param bucket_id integer
---@param terms string[] different ones
---@param batches integer[][] for each term {chunk, frequency, words of the chunk, chunk, ...}, chunks ascending
---@return integer new_terms
---@return integer appended postings
function postings.append(tenant, bucket_id, terms, batches)
    local space, new_terms, appended = box.space.document_term, 0, 0
    local key = {tenant, ''}
    for i = 1, #terms do
        local term, batch = terms[i], batches[i]
        key[2] = term
        local row, count = space:get(key), #batch / 3
        open_tail(row)
        local bytes = ffi.string(scratch, fill(tenant, bucket_id, term, row, batch) * SIZE)
        if row == nil then
            space:insert{tenant, bucket_id, term, count, tail.base, tail.most, tail.shortest, bytes}
            new_terms = new_terms + 1
        else
            write_tail(key, row, count, bytes)
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

local function remove_from_tail(key, row, chunk)
    local entries, count = packed.postings(row, TERM.POSTINGS)
    local found = count > 0 and locate(entries, count, chunk - row[TERM.BASE])
    if not found then
        return nil
    end
    return box.space.document_term:update(key, {{':', TERM.POSTINGS, found * SIZE + 1, SIZE, ''}})
end

---Take out the postings of dead passages.
---@param tenant string
---@param terms string[] different ones
---@param batches integer[][] for each term the chunks
---@return integer gone terms that no passage holds any more
---@return integer removed postings
function postings.remove(tenant, terms, batches)
    local space, gone, removed = box.space.document_term, 0, 0
    local key = {tenant, ''}
    for i = 1, #terms do
        local term, chunks = terms[i], batches[i]
        key[2] = term
        local row, count = space:get(key), 0
        for j = 1, row and #chunks or 0 do
            local changed = remove_from_tail(key, row, chunks[j])
            if changed then
                row, count = changed, count + 1
            else
                count = count + remove_from_block(tenant, term, chunks[j])
            end
        end
        if count > 0 and row[TERM.FREQUENCY] == count then
            space:delete(key)
            gone = gone + 1
        elseif count > 0 then
            space:update(key, {{'-', TERM.FREQUENCY, count}})
        end
        removed = removed + count
    end
    return gone, removed
end

return postings
