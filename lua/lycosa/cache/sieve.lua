-- SIEVE: which entries of a tenant to let go (Zhang et al., NSDI 2024).
--
-- A hand walks a tenant's entries from old to new and begins again at the end. An entry that was read since the hand
-- came by is spared and its mark wiped; any other goes. Reads write nothing but the mark: a byte of one array,
-- addressed by the entry's number. Two entries whose numbers are equal modulo the array's size share a mark, which can
-- spare or lose an entry wrongly and do no other harm. Marks are not kept over a restart.

local bit = require('bit')
local ffi = require('ffi')
local borrowed = require('lycosa.core.borrowed')
local counters = require('lycosa.cache.counters')
local fields = require('lycosa.cache.fields')
local order = require('lycosa.cache.order')
local pool = require('lycosa.cache.pool')

local sieve = {}

local TENANT, STALE, SEQ = fields.TENANT, fields.STALE, fields.SEQ
-- Rows fetched at first and at most: a set mostly wants one or two to go, the step a hundred.
local FEW, MANY = 2, 32
-- A larger array of marks would weigh on Lua's memory; beyond it, entries share.
local MOST_MARKS = 2 ^ 25

local mask, marks = 0, ffi.new('uint8_t[1]')

---Make the array of marks. All wiped.
---@param entries integer about how many entries there will be; a power of two of at least as many is taken
function sieve.configure(entries)
    local size = 65536
    while size < entries and size < MOST_MARKS do
        size = size * 2
    end
    mask, marks = size - 1, ffi.new('uint8_t[?]', size)
end

---Note that an entry was read.
---@param seq integer
function sieve.mark(seq)
    marks[bit.band(seq, mask)] = 1
end

---Note that an entry is new: whatever had its mark before.
---@param seq integer
function sieve.wipe(seq)
    marks[bit.band(seq, mask)] = 0
end

---Let entries of a tenant go until they weigh `wanted`, within the caller's transaction. Expired ones go read or not.
---@param of lycosa.Pool
---@param tenant string
---@param wanted integer bytes
---@param limit integer entries looked at, at the most
---@param now number unix seconds
---@param ruthless boolean? let go of entries that were read, too
---@return integer freed bytes
---@return integer examined entries looked at
function sieve.walk(of, tenant, wanted, limit, now, ruthless)
    local number, hand = pool.number_of(of, tenant), of.hands[tenant] or 0
    if number == nil then
        return 0, 0
    end
    local age = of.entries().index.age
    local freed, examined, expired, gone, few = 0, 0, 0, {}, FEW
    while freed < wanted and examined < limit do
        local fetch = math.min(few, limit - examined)
        few = math.min(few * 2, MANY)
        local rows = borrowed.select(age, {order.age(number, hand)}, box.index.GE, fetch)
        local seen = 0
        for i = 1, #rows do
            local row = rows[i]
            if freed >= wanted or row[TENANT] ~= tenant then
                break
            end
            seen = seen + 1
            local seq = row[SEQ]
            local place, late = bit.band(seq, mask), row[STALE] <= now
            if late or ruthless or marks[place] == 0 then
                freed, expired = freed + pool.weight(row), expired + (late and 1 or 0)
                table.insert(gone, row)
            else
                marks[place] = 0
            end
            hand = seq + 1
        end
        -- The rows are deleted below, but the hand has passed them; a second round would meet them again.
        examined = examined + seen
        if seen < fetch and freed < wanted then
            if hand == 0 then
                break
            end
            pool.remove(of, gone)
            counters.add(tenant, 'expired', expired)
            counters.add(tenant, 'evicted', #gone - expired)
            hand, expired, gone = 0, 0, {}
        end
    end
    of.hands[tenant] = hand
    pool.remove(of, gone)
    counters.add(tenant, 'expired', expired)
    counters.add(tenant, 'evicted', #gone - expired)
    return freed, examined
end

return sieve
