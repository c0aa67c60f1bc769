-- Keyset cursors and the pages they lead to.
--
-- A cursor is an opaque URL-safe text: where a page ended, in which direction it goes on, and a checksum over both
-- and over the query. It holds only the part of an index key that varies within the query: the leading parts (the
-- tenant first) are always the caller's own, so even a forged cursor never leaves the caller's rows.

local digest = require('digest')
local msgpack = require('msgpack')
local borrowed = require('lycosa.core.borrowed')
local errors = require('lycosa.core.errors')
local types = require('lycosa.core.types')

local cursor = {}

local crc32 = digest.crc32
local base64_encode, base64_decode = digest.base64_encode, digest.base64_decode
local msgpack_encode, msgpack_decode = msgpack.encode, msgpack.decode
local BASE64 = {urlsafe = true, nopad = true, nowrap = true}

-- Longest text: three names of 128 bytes and their numbers fit in far less.
local MAX_BYTES = 2048

---The type of a `cursor` argument: declare it as {'cursor', cursor.TYPE, optional = true}.
cursor.TYPE = types.text{max = MAX_BYTES}

-- Seen along the order of the query. The inclusive ones lead back from a page that turned out to be empty.
local AFTER, BEFORE, FROM, UPTO = 1, 2, 3, 4
local GOES_BACK = {[BEFORE] = true, [UPTO] = true}

---Text of a query's identity, for encode and decode: whatever must not change between two pages.
---@param parts (string|number|boolean)[] without nil; names hold no control characters, so a zero byte parts them
---@return string
function cursor.fingerprint(parts)
    for i = 1, #parts do
        parts[i] = tostring(parts[i])
    end
    return table.concat(parts, '\0')
end

---Encode a place in a query's order.
---@param fingerprint string see cursor.fingerprint
---@param direction integer 1 after the key, 2 before it, 3 from it on, 4 up to it
---@param key (string|number)[] the varying parts of the index key
---@return string
function cursor.encode(fingerprint, direction, key)
    local body = msgpack_encode({direction, key})
    return base64_encode(msgpack_encode(crc32(fingerprint .. body)) .. body, BASE64)
end

local function broken()
    errors.raise('INVALID_CURSOR', {problem = 'is broken or belongs to another query'})
end

local function take_apart(text)
    local packed = base64_decode(text)
    local checksum, at = msgpack_decode(packed)
    local body = packed:sub(at)
    local place, stop = msgpack_decode(body)
    assert(stop == #body + 1)
    return checksum, body, place
end

---Decode a cursor. Raises INVALID_CURSOR for a broken one and for one of another query.
---@param text string
---@param fingerprint string
---@param kinds string[] 'string' or 'number' for each part of the key
---@return integer direction
---@return (string|number)[] key
function cursor.decode(text, fingerprint, kinds)
    if #text > MAX_BYTES or text:find('[^%w_-]') then
        broken()
    end
    local ok, checksum, body, place = pcall(take_apart, text)
    if not ok or checksum ~= crc32(fingerprint .. body) or type(place) ~= 'table' then
        broken()
    end
    local direction, key = place[1], place[2]
    if type(direction) ~= 'number' or direction % 1 ~= 0 or direction < AFTER or direction > UPTO
        or type(key) ~= 'table' or #key ~= #kinds then
        broken()
    end
    for i = 1, #kinds do
        if type(key[i]) == 'cdata' then
            key[i] = tonumber(key[i])
        end
        if type(key[i]) ~= kinds[i] or key[i] ~= key[i] then
            broken()
        end
    end
    return direction, key
end

---What a query walks: a contiguous range of one tree index.
---@class lycosa.Scan
---@field index table a tree index
---@field anchor any[] key parts that all rows share, the tenant first
---@field first any[] key (may be partial) at which the ascending order begins, inclusive
---@field last any[] key (may be partial) at which the ascending order ends; the same table as `first` where the range is
---what matches that key
---@field last_inclusive boolean whether rows that match `last` belong to the range
---@field fields integer[] numbers of the tuple fields that make up the rest of the key, to its very end
---@field kinds string[] 'string' or 'number' for each of `fields`
---@field inside fun(tuple: box.tuple, scan: lycosa.Scan): boolean whether a row belongs to the range
---@field read nil|fun(scan: lycosa.Scan, start: any[], iterator: integer, limit: integer): box.tuple[] what selects the rows
---where they are in more places than the index
---@field borrows boolean? set where the page is packed before anything can yield: its rows are borrowed
---@field rising boolean? set for a multikey index: `inside` then only says that the row carries the item
---@field fingerprint string
---@field descending boolean

local function key_of(tuple, fields)
    local key = {}
    for i = 1, #fields do
        key[i] = tuple[fields[i]]
    end
    return key
end

local function start_of(scan, place, key, upwards)
    if place == nil then
        if scan.first == scan.last then
            -- One key for both ends: the engine stops at the end of the range by itself.
            return scan.first, upwards and box.index.EQ or box.index.REQ
        elseif upwards then
            return scan.first, box.index.GE
        end
        return scan.last, scan.last_inclusive and box.index.LE or box.index.LT
    end
    local whole = {}
    for i = 1, #scan.anchor do
        whole[i] = scan.anchor[i]
    end
    for i = 1, #key do
        whole[#whole + 1] = key[i]
    end
    if place == AFTER or place == BEFORE then
        return whole, upwards and box.index.GT or box.index.LT
    end
    return whole, upwards and box.index.GE or box.index.LE
end

local function read(scan, start, iterator, limit)
    if scan.read ~= nil then
        return scan.read(scan, start, iterator, limit)
    elseif scan.borrows then
        return borrowed.select(scan.index, start, iterator, limit)
    end
    return scan.index:select(start, {iterator = iterator, limit = limit})
end

-- How many of the rows, from the first on, lie inside the range. The range is contiguous: ends inside, all inside.
local function count_inside(scan, rows)
    local count, inside = #rows, scan.inside
    if count == 0 or (inside(rows[1], scan) and inside(rows[count], scan)) then
        return count
    end
    for i = 1, count do
        if not inside(rows[i], scan) then
            return i - 1
        end
    end
    return count
end

-- The same for a multikey index, whose rows of other items may satisfy `inside`, too: within the range the first of
-- `fields` strictly rises (or falls), and a row of another item that lies inside never continues that.
local function count_rising(scan, rows, place, key, upwards)
    local number = scan.fields[1]
    local last = key and key[1]
    local strict = place == AFTER or place == BEFORE
    local count = #rows
    for i = 1, #rows do
        local value = rows[i][number]
        if last ~= nil and (upwards and value < last or not upwards and value > last
                or value == last and (i > 1 or strict)) then
            count = i - 1
            break
        end
        last = value
    end
    if count == 0 or scan.inside(rows[count], scan) then
        return count
    end
    for i = 1, count do
        if not scan.inside(rows[i], scan) then
            return i - 1
        end
    end
    return count
end

local function reverse(rows)
    local count = #rows
    for i = 1, (count - count % 2) / 2 do
        rows[i], rows[count + 1 - i] = rows[count + 1 - i], rows[i]
    end
end

-- Valid UTF-8 holds no byte 255, so this is above every text that begins with a prefix. Two bytes, because the JIT
-- compiler of Tarantool 2.6.0 crashes on appending the one-byte constant 255 (it takes it for its own mark -1).
local ABOVE = '\255\255'

local function with(anchor, part)
    local key = {}
    for i = 1, #anchor do
        key[i] = anchor[i]
    end
    key[#key + 1] = part
    return key
end

---Narrow a scan of all rows of its anchor to those whose next part of the key, a text, begins with a prefix.
---@param scan lycosa.Scan
---@param prefix string
---@return lycosa.Scan the same
function cursor.narrow(scan, prefix)
    local inside, number = scan.inside, scan.fields[1]
    scan.first, scan.last, scan.last_inclusive = with(scan.anchor, prefix), with(scan.anchor, prefix .. ABOVE), false
    scan.inside = function(tuple)
        return inside(tuple, scan) and tuple[number]:startswith(prefix)
    end
    return scan
end

---One page of a range: at most limit + 1 rows are read, however large the range. Pages are stable: a row that is
---there during the whole walk stands on exactly one page, whatever else is inserted or deleted meanwhile.
---@param scan lycosa.Scan
---@param text string? cursor of the page; the first page when absent
---@param limit integer
---@return box.tuple[] rows in the order of the query; borrowed where the scan says so
---@return string? next cursor of the page that follows, nil at the end
---@return string? previous cursor of the page before, nil at the beginning
function cursor.page(scan, text, limit)
    local place, key
    if text ~= nil then
        place, key = cursor.decode(text, scan.fingerprint, scan.kinds)
    end
    local back = GOES_BACK[place] or false
    local upwards = scan.descending == back
    local start, iterator = start_of(scan, place, key, upwards)
    local rows = read(scan, start, iterator, limit + 1)
    local found = scan.rising and count_rising(scan, rows, place, key, upwards) or count_inside(scan, rows)
    for i = #rows, math.min(found, limit) + 1, -1 do
        rows[i] = nil
    end
    local beyond = found > limit
    local fingerprint, fields = scan.fingerprint, scan.fields
    if #rows == 0 then
        -- What stood here is gone: lead back to where the cursor came from, its own row included.
        if place == nil then
            return rows, nil, nil
        elseif back then
            return rows, cursor.encode(fingerprint, FROM, key), nil
        end
        return rows, nil, cursor.encode(fingerprint, UPTO, key)
    end
    if back then
        reverse(rows)
    end
    local next_text, previous_text
    if back or beyond then
        next_text = cursor.encode(fingerprint, AFTER, key_of(rows[#rows], fields))
    end
    if place ~= nil and (not back or beyond) then
        previous_text = cursor.encode(fingerprint, BEFORE, key_of(rows[1], fields))
    end
    return rows, next_text, previous_text
end

return cursor
