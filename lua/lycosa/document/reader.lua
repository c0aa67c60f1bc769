-- Reads one term's postings forwards: full blocks first, then the newest postings in the term's own row.
--
-- A reader stands on one block at a time, whose postings it reads where they lie; `position` is the next posting not
-- yet passed. Blocks are fetched some at a time.

local borrowed = require('lycosa.core.borrowed')
local fields = require('lycosa.document.fields')
local packed = require('lycosa.document.packed')

local reader = {}

local TERM, POSTING = fields.term, fields.posting
local FETCH = 32

local function set(self, row, number, base, most, shortest)
    local postings, count = packed.postings(row, number)
    self.row, self.postings, self.count, self.position = row, postings, count, 0
    self.base, self.most, self.shortest = base, most, shortest
    self.first, self.last = base + postings[0].at, base + postings[count - 1].at
end

local function is_ours(self, block)
    return block[POSTING.TENANT] == self.tenant and block[POSTING.TERM] == self.term
end

-- Fetch blocks from the one that may hold the passage on, none of them twice.
local function fetch(self, chunk)
    local index, tenant, term = self.index, self.tenant, self.term
    local from = self.fetched_base + 1
    local around = borrowed.select(index, {tenant, term, chunk}, box.index.LE, 1)[1]
    if around ~= nil and is_ours(self, around) and around[POSTING.BASE] > from then
        from = around[POSTING.BASE]
    end
    local blocks = borrowed.select(index, {tenant, term, from}, box.index.GE, FETCH)
    local count = #blocks
    self.complete = count < FETCH
    while count > 0 and not is_ours(self, blocks[count]) do
        count = count - 1
        self.complete = true
    end
    self.blocks, self.block_count, self.block = blocks, count, 0
    if count > 0 then
        self.fetched_base = blocks[count][POSTING.BASE]
    end
end

-- Step on to the next block that may hold the passage; false at the end.
local function next_block(self, chunk)
    if self.in_tail then
        return false
    end
    if self.block == self.block_count and not self.complete then
        fetch(self, chunk)
    end
    if self.block < self.block_count then
        local at = self.block + 1
        while at < self.block_count and self.blocks[at + 1][POSTING.BASE] <= chunk do
            at = at + 1
        end
        self.block = at
        local block = self.blocks[at]
        set(self, block, POSTING.POSTINGS, block[POSTING.BASE], block[POSTING.MOST], block[POSTING.SHORTEST])
        return true
    end
    self.in_tail = true
    local row = self.term_row
    if #row[TERM.POSTINGS] == 0 then
        return false
    end
    set(self, row, TERM.POSTINGS, row[TERM.BASE], row[TERM.MOST], row[TERM.SHORTEST])
    return true
end

---Open a term's postings.
---@param tenant string
---@param term string
---@return table? reader nil when no passage holds the term
function reader.open(tenant, term)
    local row = box.space.document_term:get{tenant, term}
    if row == nil then
        return nil
    end
    local self = {
        tenant = tenant, term = term, term_row = row, frequency = row[TERM.FREQUENCY],
        index = box.space.document_posting.index.base, blocks = {}, block_count = 0, block = 0, fetched_base = -1,
        complete = row[TERM.FREQUENCY] * packed.POSTING_BYTES == #row[TERM.POSTINGS], in_tail = false,
        last = -1, first = -1, position = 0, count = 0, base = 0, most = 0, shortest = 0,
    }
    return self
end

---Stand on the block that holds the first posting whose passage is not before `chunk`.
---@param self table
---@param chunk integer
---@return boolean false when there is none
function reader.seek(self, chunk)
    while self.last < chunk do
        if not next_block(self, chunk) then
            return false
        end
    end
    if self.base + self.postings[self.position].at < chunk then
        self.position = packed.find(self.postings, self.position, self.count, chunk - self.base)
    end
    return true
end

return reader
