-- The norms: what a search must know of every passage, by its number, in rows of packed.WINDOW passages.
--
-- A row holds entries up to corpus.indexed_until or its own end; a row none of whose passages was indexed, or all of
-- whose passages are gone, is absent. Killing a passage's entry is what makes it invisible.

local digest = require('digest')
local ffi = require('ffi')
local fields = require('lycosa.document.fields')
local packed = require('lycosa.document.packed')

local norms = {}

local NORM = fields.norm
local WINDOW, SIZE = packed.WINDOW, packed.NORM_BYTES

---Hash of a customer's id, never 0; 0 for no customer. Different ids may share it.
---@param customer_id string?
---@return integer
function norms.customer_hash(customer_id)
    if customer_id == nil then
        return 0
    end
    local hash = digest.crc32(customer_id)
    return hash == 0 and 1 or hash
end

---Hash of a kind, 1..65535. Different kinds may share it.
---@param kind string
---@return integer
function norms.kind_hash(kind)
    return digest.crc32(kind) % 65535 + 1
end

---The entries of a window, in place.
---@param tenant string
---@param window integer
---@return box.tuple? row must be held while the entries are read
---@return ffi.cdata*? entries
---@return integer? count
function norms.window(tenant, window)
    local row = box.space.document_norm:get{tenant, window}
    if row == nil then
        return nil
    end
    return row, packed.norms(row, NORM.NORMS)
end

-- upsert, unlike update, gives no tuple back, which would keep the old row's memory until the collector comes.
local function splice(tenant, bucket_id, window, at, cut, bytes)
    box.space.document_norm:upsert({tenant, bucket_id, window, ''}, {{':', NORM.NORMS, at, cut, bytes}})
end

---Append the entries of newly indexed passages.
---@param tenant string
---@param bucket_id integer
---@param from integer corpus.indexed_until so far
---@param first integer number of the first entry, not below `from`
---@param entries ffi.cdata* struct lycosa_norm[count], dead where a number was not indexed
---@param count integer
function norms.append(tenant, bucket_id, from, first, entries, count)
    local stop = first + count
    local at = first
    while at < stop do
        local window = math.floor(at / WINDOW)
        local start = window * WINDOW
        local upto = math.min(stop, start + WINDOW)
        local bytes = ffi.string(entries + (at - first), (upto - at) * SIZE)
        if box.space.document_norm:count{tenant, window} == 0 then
            box.space.document_norm:insert{tenant, bucket_id, window, ('\0'):rep((at - start) * SIZE) .. bytes}
        else
            local held = math.max(from, start)
            splice(tenant, bucket_id, window, -1, 0, ('\0'):rep((at - held) * SIZE) .. bytes)
        end
        at = upto
    end
end

local function kill_in_window(tenant, window, spans)
    local row, entries, count = norms.window(tenant, window)
    if row == nil then
        return
    end
    local low, high = math.huge, 0
    for _, span in ipairs(spans) do
        low, high = math.min(low, span[1]), math.max(high, math.min(span[2], count))
    end
    if low >= high then
        return
    end
    local copy = packed.norms_of_size(high - low)
    ffi.copy(copy, entries + low, (high - low) * SIZE)
    for _, span in ipairs(spans) do
        for at = span[1], math.min(span[2], high) - 1 do
            copy[at - low].length = 0
        end
    end
    splice(tenant, row[NORM.BUCKET], window, low * SIZE + 1, (high - low) * SIZE, ffi.string(copy, (high - low) * SIZE))
end

---Make passages invisible at once. One write a window, however many passages of it die.
---@param tenant string
---@param ranges integer[][] {first, stop} each
function norms.kill(tenant, ranges)
    local windows = {}
    for _, range in ipairs(ranges) do
        local at = range[1]
        while at < range[2] do
            local window = math.floor(at / WINDOW)
            local start = window * WINDOW
            local upto = math.min(range[2], start + WINDOW)
            windows[window] = windows[window] or {}
            table.insert(windows[window], {at - start, upto - start})
            at = upto
        end
    end
    for window, spans in pairs(windows) do
        kill_in_window(tenant, window, spans)
    end
end

---Drop the rows of windows from `first` to `last` in which nothing lives any more.
---@param tenant string
---@param first integer number of a passage
---@param last integer number of a passage
---@param indexed_until integer the window that still grows stays
function norms.drop_dead(tenant, first, last, indexed_until)
    local newest = math.floor(indexed_until / WINDOW)
    for window = math.floor(first / WINDOW), math.min(math.floor(last / WINDOW), newest - 1) do
        local row, entries, count = norms.window(tenant, window)
        local alive = false
        for at = 0, (count or 0) - 1 do
            if entries[at].length > 0 then
                alive = true
                break
            end
        end
        if row ~= nil and not alive then
            box.space.document_norm:delete{tenant, window}
        end
    end
end

return norms
