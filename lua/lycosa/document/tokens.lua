-- Text -> terms, the same for documents and queries.
--
-- A word is a run of letters and digits, with apostrophes inside; hyphens and all other marks part words. Case is
-- folded, ё is е, accents written as combining marks fall away. The stemmer follows the word's own script: Cyrillic
-- letters the Russian one, ASCII letters the English one; anything else stays as it is. There are no stop words: a
-- frequent word weighs little anyway.
--
-- The rules are part of the stored index: a change of them needs a migration that indexes all documents anew.

local ffi = require('ffi')
local utf8 = require('utf8')
local stem_en = require('lycosa.document.stem_en')
local stem_ru = require('lycosa.document.stem_ru')

local tokens = {}

local find, gsub, sub = string.find, string.gsub, string.sub
local ffi_string = ffi.string

-- Longer words are cut: keys of the index stay short.
local MAX_WORD_BYTES = 64
-- Words whose term is remembered; then the memory starts anew, so it is bounded and its growth never stops the server.
local MAX_REMEMBERED = 16384
-- Bytes that the language of a text is told by.
local SAMPLE_BYTES = 4096

local remembered, remembered_count = {}, 0

local BYTES = ffi.typeof('const uint8_t *')

-- What a byte says about the character it begins. MARKED characters need a look at their other bytes.
local SEPARATOR, PLAIN, APOSTROPHE, LETTER_OF_2, MARKED = 0, 1, 2, 3, 4
-- What that look may also find: a character that stays inside a word but is dropped, or written otherwise.
local REWRITTEN = 5

local KINDS = ffi.new('uint8_t[256]')
for code = 0, 255 do
    local char = string.char(code)
    if find(char, '[%da-z]') then
        KINDS[code] = PLAIN
    elseif char == "'" then
        KINDS[code] = APOSTROPHE
    elseif code >= 0x80 then
        local marked = code < 0xC4 or code == 0xCC or code == 0xCD or code >= 0xE0
        KINDS[code] = marked and MARKED or LETTER_OF_2
    end
end

local function size_of(lead)
    return lead < 0xE0 and 2 or lead < 0xF0 and 3 or 4
end

local function kind_of(lead, second, third)
    if lead == 0xC2 then                                                -- soft hyphen goes; ª µ º are letters
        local letter = second == 0xAA or second == 0xB5 or second == 0xBA
        return second == 0xAD and REWRITTEN or letter and PLAIN or SEPARATOR
    elseif lead == 0xC3 then                                            -- × ÷
        return (second == 0x97 or second == 0xB7) and SEPARATOR or PLAIN
    elseif lead == 0xCC or lead == 0xCD then                            -- combining marks go
        return (lead == 0xCC or second < 0xB0) and REWRITTEN or PLAIN
    elseif lead == 0xE2 then                                            -- joiners go, ’ is an apostrophe
        local inside = second == 0x80 and (third == 0x99 or third == 0x8C or third == 0x8D)
            or second == 0x81 and third == 0xA0
        return inside and REWRITTEN or SEPARATOR                        -- U+2000..U+2FFF: punctuation, signs, arrows
    elseif lead == 0xE3 then
        return second == 0x80 and SEPARATOR or PLAIN                    -- CJK punctuation
    elseif lead == 0xEF then                                            -- byte order mark and variation selectors go
        local inside = second == 0xBB and third == 0xBF or second == 0xB8
        return inside and REWRITTEN or second == 0xBF and third == 0xBD and SEPARATOR or PLAIN
    end
    return lead == 0xF0 and second == 0x9F and SEPARATOR or PLAIN       -- pictographs
end

local function rewrite(word)
    word = gsub(gsub(word, 'и\204\134', 'й'), '\226\128\153', "'")
    word = gsub(gsub(word, '\194\173', ''), '[\204\205][\128-\191]', '')
    return (gsub(gsub(word, '\226[\128\129][\140\141\160]', ''), '\239[\184\187][\128-\191]', ''))
end

local function cut(word)
    local size = MAX_WORD_BYTES
    while find(word, '^[\128-\191]', size + 1) do
        size = size - 1
    end
    return sub(word, 1, size)
end

local function term_of(word)
    if #word > MAX_WORD_BYTES then
        word = cut(word)
    end
    if not find(word, "[^a-z']") then
        return stem_en((gsub(word, "'+$", '')))
    end
    word = gsub(gsub(word, "'+$", ''), 'ё', 'е')
    if not find(word, '[^\208\209\128-\191]') then
        return stem_ru(word)
    end
    return word
end

local function remember(word)
    local term = term_of(word)
    if remembered_count >= MAX_REMEMBERED then
        remembered, remembered_count = {}, 0
    end
    remembered[word] = term
    remembered_count = remembered_count + 1
    return term
end

---Terms of a text in their order, repeated as often as they occur.
---@param text string valid UTF-8
---@return string[] terms
---@return integer count
function tokens.terms(text)
    text = find(text, '[\128-\255]') and utf8.lower(text) or text:lower()
    local terms, count = {}, 0
    local bytes, size = ffi.cast(BYTES, text), #text
    local at, start, rewritten = 0, -1, false
    -- One step beyond the end: the zero byte there parts off the last word.
    while at <= size do
        local lead = bytes[at]
        local kind, step = KINDS[lead], 1
        if kind == LETTER_OF_2 then
            step = 2
        elseif kind == MARKED then
            kind, step = kind_of(lead, bytes[at + 1], bytes[at + 2]), size_of(lead)
        end
        if kind == SEPARATOR then
            if start >= 0 then
                local word = ffi_string(bytes + start, at - start)
                if rewritten then
                    word, rewritten = rewrite(word), false
                end
                count = count + 1
                terms[count] = remembered[word] or remember(word)
                start = -1
            end
        elseif start < 0 then
            if kind ~= APOSTROPHE and kind ~= REWRITTEN then
                start = at
            end
        elseif kind == REWRITTEN then
            rewritten = true
        end
        at = at + step
    end
    return terms, count
end

---How often each term occurs, added to `counts`.
---@param text string valid UTF-8
---@param counts table<string, integer>
---@return integer length number of words
function tokens.count(text, counts)
    local terms, length = tokens.terms(text)
    for i = 1, length do
        local term = terms[i]
        counts[term] = (counts[term] or 0) + 1
    end
    return length
end

---Different terms of a text, at most `limit`, in the order of their first occurrence.
---@param text string
---@param limit integer
---@return string[]
function tokens.distinct(text, limit)
    local terms, count = tokens.terms(text)
    local seen, answer = {}, {}
    for i = 1, count do
        local term = terms[i]
        if not seen[term] then
            seen[term] = true
            answer[#answer + 1] = term
            if #answer == limit then
                break
            end
        end
    end
    return answer
end

---The language most of a text's letters belong to, by script; English where there is neither.
---@param text string
---@return string language 'en' or 'ru'
function tokens.language(text)
    local bytes, latin, cyrillic = ffi.cast(BYTES, text), 0, 0
    for at = 0, math.min(#text, SAMPLE_BYTES) - 1 do
        local code = bytes[at]
        if code == 0xD0 or code == 0xD1 then
            cyrillic = cyrillic + 1
        elseif code >= 0x61 and code <= 0x7A or code >= 0x41 and code <= 0x5A then
            latin = latin + 1
        end
    end
    return cyrillic > 0 and cyrillic >= latin and 'ru' or 'en'
end

return tokens
