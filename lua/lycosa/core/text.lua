-- Whether bytes are text: valid UTF-8 without control characters. Linear, and cheap enough for whole documents:
-- pattern matching costs 20 ns a byte, the C functions used here 1 ns.

local ffi = require('ffi')
local utf8 = require('utf8')

ffi.cdef('size_t strcspn(const char *text, const char *reject);')

local text = {}

local C, byte = ffi.C, string.byte

local function characters(first, last, but)
    local found = {}
    for code = first, last do
        if not but:find(string.char(code), 1, true) then
            table.insert(found, string.char(code))
        end
    end
    return table.concat(found)
end

-- A zero byte ends a C string, so it is always found.
local CONTROLS = characters(1, 31, '') .. '\127'
local CONTROLS_BUT_LINES = characters(1, 31, '\n\t\r') .. '\127'
local SHORT = 64
-- U+0080 to U+009F, controls as well, are this byte and one below the second.
local LATIN_LEAD, FIRST_LATIN = '\194', 0xA0

---@param value string valid UTF-8
local function has_latin_controls(value)
    local at = value:find(LATIN_LEAD, 1, true)
    while at do
        if value:byte(at + 1) < FIRST_LATIN then
            return true
        end
        at = value:find(LATIN_LEAD, at + 2, true)
    end
    return false
end

-- Byte by byte, which is compiled; a pattern is not.
local function is_printable_ascii(value)
    for i = 1, #value do
        local code = byte(value, i)
        if code < 32 or code > 126 then
            return false
        end
    end
    return true
end

---What keeps bytes from being text, in words that follow an argument's name.
---@param value string
---@param multiline boolean? whether newline, tab and carriage return are text
---@return string? problem nil when there is none
function text.problem(value, multiline)
    -- Short printable ASCII is the common case and needs no decoding.
    if #value <= SHORT and is_printable_ascii(value) then
        return nil
    end
    if utf8.len(value) == nil then
        return 'is not valid UTF-8'
    end
    local clean = tonumber(C.strcspn(value, multiline and CONTROLS_BUT_LINES or CONTROLS))
    if clean < #value or has_latin_controls(value) then
        return 'holds control characters'
    end
    return nil
end

return text
