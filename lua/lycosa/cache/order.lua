-- The numbers by which the trees of age, of ends and of tags compare entries.
--
-- A tree of Tarantool keeps the beginning of the first part of a key beside the pointer to the row: for a number below
-- 2^59 that is the whole of it. An order that is one such number is found without a look at the rows, and so almost
-- without a miss of the processor's caches; a tenant's name in front would make all hints of a tenant alike. The tree of
-- tags keeps the tag's place in the row there instead: it looks at rows, and compares numbers faster than texts.

local digest = require('digest')

local order = {}

-- Beyond so many numbers they begin again: at 30,000 new entries a second after four years.
local SEQS = 2 ^ 42
local TENANT = 4398046511104ULL
-- Entries of the same millisecond are told apart by the end of their numbers; alike ones are compared by their keys.
local SAME_MOMENT = 131072
local MILLISECOND = 131072ULL
-- Entries of a tag, from old to new. Two tags may share their numbers: who looks for one looks at the tags as well.
local SAME_TAG = 134217728
local TAG = 134217728ULL
-- Of what has no tags; never changed.
local NONE = setmetatable({}, {__serialize = 'seq'})

---Where an entry stands among those of all tenants: by tenant, from old to new.
---@param number integer of the tenant, at least 1
---@param seq integer of the entry; 0 stands before all entries of the tenant
---@return ffi.cdata* uint64_t
function order.age(number, seq)
    return TENANT * number + seq % SEQS
end

---Where an entry stands among those that will end: by the millisecond.
---@param at number unix seconds
---@param seq integer of the entry
---@return ffi.cdata* uint64_t
function order.due(at, seq)
    return MILLISECOND * math.floor(at * 1000) + seq % SAME_MOMENT
end

---Where a tag's entries stand among those of all tags: from the first number to the last.
---@param tenant string
---@param tag string
---@return ffi.cdata* first uint64_t
---@return ffi.cdata* last uint64_t
function order.labels_of(tenant, tag)
    local first = TAG * digest.murmur(tenant .. ' ' .. tag)
    return first, first + SAME_TAG - 1
end

---Where an entry stands by its tags. Tags that share a number are one.
---@param tenant string
---@param tags string[]
---@param seq integer of the entry
---@return ffi.cdata*[] uint64_t
function order.labels(tenant, tags, seq)
    if #tags == 0 then
        return NONE
    end
    local labels = {}
    for _, tag in ipairs(tags) do
        local label = order.labels_of(tenant, tag) + seq % SAME_TAG
        local known = false
        for _, other in ipairs(labels) do
            known = known or other == label
        end
        if not known then
            table.insert(labels, label)
        end
    end
    return labels
end

return order
