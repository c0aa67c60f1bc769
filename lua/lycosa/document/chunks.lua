-- Cuts a text into passages of about 1,000 characters. Put together again, the passages are the text, byte for byte.

local ffi = require('ffi')

local chunks = {}

local sub = string.sub
local band, bnot, rshift = bit.band, bit.bnot, bit.rshift

-- Characters. A passage ends at the last border between the two: of a paragraph, else of a sentence, else of a line,
-- else of a word; where there is none, at the longest.
local SHORTEST = 500
local LONGEST = 1100

chunks.LONGEST = LONGEST

local NEWLINE, SPACE = 10, 32
local PARAGRAPH, SENTENCE, LINE, WORD = 4, 3, 2, 1

-- In the functions below `bytes` is the text and positions count from 0.
local BYTES = ffi.typeof('const uint8_t *')

-- Texts hold no other control characters than tab, newline and return.
local function is_space(code)
    return code <= SPACE
end

-- Position behind `count` characters from `at` on, or behind the text. A byte that continues a character is 10xxxxxx;
-- it is counted without a branch, which letters of two bytes would make as slow as can be.
local function advance(bytes, size, at, count)
    while at < size do
        local code = bytes[at]
        count = count - 1 + band(rshift(code, 7), rshift(bnot(code), 6))
        if count < 0 then
            break
        end
        at = at + 1
    end
    return at
end

-- Whether a sentence ends at the byte `at`: . ! ? or … and perhaps one closing quote or bracket behind it.
local function ends_sentence(bytes, at)
    local code = bytes[at]
    if code == 0x22 or code == 0x27 or code == 0x29 then                            -- " ' )
        at = at - 1
    elseif code == 0xBB and bytes[at - 1] == 0xC2 then                              -- »
        at = at - 2
    elseif code == 0x9D and bytes[at - 1] == 0x80 and bytes[at - 2] == 0xE2 then    -- ”
        at = at - 3
    end
    code = bytes[at]
    return code == 0x2E or code == 0x21 or code == 0x3F
        or code == 0xA6 and bytes[at - 1] == 0x80 and bytes[at - 2] == 0xE2
end

-- What kind of border stands behind the whitespace at `at`; looks back no further than `first`.
local function border(bytes, first, at)
    if bytes[at] == NEWLINE then
        local before = at - 1
        while before > first and is_space(bytes[before]) do
            if bytes[before] == NEWLINE then
                return PARAGRAPH
            end
            before = before - 1
        end
        return ends_sentence(bytes, before) and SENTENCE or LINE
    end
    return ends_sentence(bytes, at - 1) and SENTENCE or WORD
end

-- Position behind the passage that starts at `first`.
local function passage_end(bytes, size, first)
    local shortest = advance(bytes, size, first, SHORTEST)
    local longest = advance(bytes, size, shortest, LONGEST - SHORTEST)
    if longest == size then
        return size
    end
    local best, best_kind = longest, 0
    for at = longest - 1, shortest, -1 do
        local code = bytes[at]
        if code == NEWLINE or (code <= SPACE and best_kind < SENTENCE) then
            local kind = border(bytes, first, at)
            if kind > best_kind then
                best, best_kind = at + 1, kind
                if kind == PARAGRAPH then
                    break
                end
            end
        end
    end
    return best
end

---Passages of a text, in order.
---@param text string valid UTF-8
---@return string[]
function chunks.split(text)
    local passages, first, bytes = {}, 0, ffi.cast(BYTES, text)
    while first < #text do
        local last = passage_end(bytes, #text, first)
        passages[#passages + 1] = sub(text, first + 1, last)
        first = last
    end
    return passages
end

return chunks
