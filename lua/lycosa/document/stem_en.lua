-- The English Snowball stemmer ("Porter 2"), by its published description.
--
-- Words are ASCII, lower case, with apostrophes inside. Regions are kept as offsets: R1 is what follows the first `r1`
-- bytes. A y that works as a consonant is written Y until the end.

local sub, find, gsub = string.sub, string.find, string.gsub

local function set_of(text)
    local set = {}
    for word in text:gmatch('%S+') do
        set[word] = true
    end
    return set
end

local IRREGULAR = {
    skis = 'ski', skies = 'sky', dying = 'die', lying = 'lie', tying = 'tie', idly = 'idl', gently = 'gentl',
    ugly = 'ugli', early = 'earli', only = 'onli', singly = 'singl', sky = 'sky', news = 'news', howe = 'howe',
    atlas = 'atlas', cosmos = 'cosmos', bias = 'bias', andes = 'andes',
}
local INVARIANT_AFTER_1A = set_of('inning outing canning herring earring proceed exceed succeed')
local R1_PREFIXES = {'gener', 'commun', 'arsen'}
local DOUBLE = set_of('bb dd ff gg mm nn pp rr tt')

local STEP_2 = {
    tional = 'tion', enci = 'ence', anci = 'ance', abli = 'able', entli = 'ent', izer = 'ize', ization = 'ize',
    ational = 'ate', ation = 'ate', ator = 'ate', alism = 'al', aliti = 'al', alli = 'al', fulness = 'ful',
    ousli = 'ous', ousness = 'ous', iveness = 'ive', iviti = 'ive', biliti = 'ble', bli = 'ble', ogi = 'og',
    fulli = 'ful', lessli = 'less', li = '',
}
local STEP_3 = {
    tional = 'tion', ational = 'ate', alize = 'al', icate = 'ic', iciti = 'ic', ical = 'ic', ful = '', ness = '',
    ative = '',
}
local STEP_4 = set_of('al ance ence er ic able ible ant ement ment ent ism ate iti ous ive ize ion')

-- The longest suffix of at most 7 letters that the table knows, with its value.
local function longest(word, known)
    for size = math.min(7, #word), 2, -1 do
        local suffix = sub(word, -size)
        local value = known[suffix]
        if value then
            return suffix, value
        end
    end
    return nil
end

-- Offset after the first non-vowel that follows a vowel, looking from `from` on.
local function region(word, from)
    local _, stop = find(word, '[aeiouy][^aeiouy]', from + 1)
    return stop or #word
end

local function regions(word)
    local r1
    for _, prefix in ipairs(R1_PREFIXES) do
        if sub(word, 1, #prefix) == prefix then
            r1 = #prefix
        end
    end
    r1 = r1 or region(word, 0)
    return r1, region(word, r1)
end

local function ends_short(word)
    return find(word, '[^aeiouy][aeiouy][^aeiouywxY]$') ~= nil or find(word, '^[aeiouy][^aeiouy]$') ~= nil
end

local function step_1a(word)
    local possessive = word:match("'s'$") or word:match("'s$") or word:match("'$") or ''
    word = sub(word, 1, #word - #possessive)
    if find(word, 'sses$') then
        return sub(word, 1, -3)
    elseif find(word, 'ie[ds]$') then
        return sub(word, 1, #word > 4 and -3 or -2)
    elseif find(word, '[us]s$') then
        return word
    elseif find(word, '[aeiouy].+s$') then
        return sub(word, 1, -2)
    end
    return word
end

local function step_1b(word, r1)
    local eed = word:match('eed$') or word:match('eedly$')
    if eed then
        return #word - #eed >= r1 and sub(word, 1, #word - #eed) .. 'ee' or word
    end
    local suffix = word:match('ed$') or word:match('ing$') or word:match('edly$') or word:match('ingly$')
    if not suffix then
        return word
    end
    local stem = sub(word, 1, #word - #suffix)
    if not find(stem, '[aeiouy]') then
        return word
    end
    local tail = sub(stem, -2)
    if tail == 'at' or tail == 'bl' or tail == 'iz' then
        return stem .. 'e'
    elseif DOUBLE[tail] then
        return sub(stem, 1, -2)
    elseif #stem == r1 and ends_short(stem) then
        return stem .. 'e'
    end
    return stem
end

local function step_2(word, r1)
    local suffix, value = longest(word, STEP_2)
    if not suffix or #word - #suffix < r1 then
        return word
    end
    local stem = sub(word, 1, #word - #suffix)
    if (suffix == 'li' and not find(stem, '[cdeghkmnrt]$')) or (suffix == 'ogi' and not find(stem, 'l$')) then
        return word
    end
    return stem .. value
end

local function step_3(word, r1, r2)
    local suffix, value = longest(word, STEP_3)
    if not suffix or #word - #suffix < (suffix == 'ative' and math.max(r1, r2) or r1) then
        return word
    end
    return sub(word, 1, #word - #suffix) .. value
end

local function step_4(word, r2)
    local suffix = longest(word, STEP_4)
    if not suffix or #word - #suffix < r2 then
        return word
    end
    local stem = sub(word, 1, #word - #suffix)
    if suffix == 'ion' and not find(stem, '[st]$') then
        return word
    end
    return stem
end

local function step_5(word, r1, r2)
    local last, rest = sub(word, -1), sub(word, 1, -2)
    if last == 'e' and (#rest >= r2 or (#rest >= r1 and not ends_short(rest))) then
        return rest
    elseif last == 'l' and #rest >= r2 and sub(rest, -1) == 'l' then
        return rest
    end
    return word
end

---Stem of an English word.
---@param word string lower case ASCII letters, apostrophes allowed
---@return string
return function(word)
    if IRREGULAR[word] then
        return IRREGULAR[word]
    elseif #word < 3 then
        return word
    end
    word = gsub(word, "^'", '')
    word = gsub(gsub(word, '^y', 'Y'), '([aeiou])y', '%1Y')
    local r1, r2 = regions(word)
    word = step_1a(word)
    if not INVARIANT_AFTER_1A[word] then
        word = step_1b(word, r1)
        word = gsub(word, '^(.+[^aeiouy])[yY]$', '%1i')
        word = step_2(word, r1)
        word = step_3(word, r1, r2)
        word = step_4(word, r2)
        word = step_5(word, r1, r2)
    end
    return (gsub(word, 'Y', 'y'))
end
