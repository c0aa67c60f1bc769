-- The Russian Snowball stemmer, by its published description.
--
-- Words are UTF-8 of two-byte Cyrillic letters, in lower case and with е for ё, so a suffix of n letters is the last
-- 2n bytes. Every rule looks only at RV, the part after the first vowel; `limit` is the number of bytes before it.

local sub = string.sub

local VOWEL = {}
for letter in ('а е и о у ы э ю я'):gmatch('%S+') do
    VOWEL[letter] = true
end

-- A rule set: suffix -> true, or 'after_a' when it counts only after а or я. `longest` is in letters.
local function rules(plain, after_a)
    local set, longest = {}, 0
    local function add(text, value)
        for suffix in text:gmatch('%S+') do
            set[suffix] = value
            longest = math.max(longest, #suffix / 2)
        end
    end
    add(plain, true)
    add(after_a or '', 'after_a')
    return {set = set, longest = longest}
end

local PERFECTIVE_GERUND = rules('ив ивши ившись ыв ывши ывшись', 'в вши вшись')
local ADJECTIVE = rules('ее ие ое ые ими ыми ей ий ой ый ем им ом ым его ого ему ому их ых ую юю ая яя ою ею')
local PARTICIPLE = rules('ивш ывш ующ', 'ем нн вш ющ щ')
local REFLEXIVE = rules('ся сь')
local VERB = rules(
    'ила ыла ена ейте уйте ите или ыли ей уй ил ыл им ым ен ило ыло ено ят ует уют ит ыт ены ить ыть ишь ую ю',
    'ла на ете йте ли й л ем н ло но ет ют ны ть ешь нно')
local NOUN = rules('а ев ов ие ье е иями ями ами еи ии и ией ей ой ий й иям ям ием ем ам ом о у ах иях ях ы ь ию ью ю '
    .. 'ия ья я')
local SUPERLATIVE = rules('ейш ейше')
local DERIVATIONAL = rules('ост ость')

-- Without the longest suffix of the set; nil when there is none, or the longest one is not after а or я as it must be.
local function without(word, limit, set_of_rules)
    local set, size = set_of_rules.set, #word
    local most = math.min(set_of_rules.longest, (size - limit) / 2)
    for letters = most, 1, -1 do
        local found = set[sub(word, size - 2 * letters + 1)]
        if found then
            local rest = size - 2 * letters
            if found == 'after_a' then
                local before = sub(word, rest - 1, rest)
                if rest - 2 < limit or (before ~= 'а' and before ~= 'я') then
                    return nil
                end
            end
            return sub(word, 1, rest)
        end
    end
    return nil
end

-- Bytes before the next letter that is (or is not) a vowel, that letter included; nil at the end of the word.
local function past(word, from, vowel)
    for at = from + 1, #word - 1, 2 do
        if (VOWEL[sub(word, at, at + 1)] or false) == vowel then
            return at + 1
        end
    end
    return nil
end

local function regions(word)
    local rv = past(word, 0, true)
    if rv == nil then
        return nil
    end
    local place = past(word, rv, false)
    place = place and past(word, place, true)
    place = place and past(word, place, false)
    return rv, place or #word
end

local function adjectival(word, limit)
    local stem = without(word, limit, ADJECTIVE)
    return stem and (without(stem, limit, PARTICIPLE) or stem)
end

-- Whether the last `size` bytes are `ending`, all inside RV.
local function ends(word, limit, ending)
    return #word - #ending >= limit and sub(word, -#ending) == ending
end

local function tidy(word, limit)
    local shorter = without(word, limit, SUPERLATIVE)
    if shorter then
        word = shorter
    elseif ends(word, limit, 'ь') then
        return sub(word, 1, -3)
    end
    if ends(word, limit, 'нн') then
        return sub(word, 1, -3)
    end
    return word
end

---Stem of a Russian word.
---@param word string lower case Cyrillic letters of two bytes each, ё already е
---@return string
return function(word)
    local limit, r2 = regions(word)
    if limit == nil then
        return word
    end
    local stem = without(word, limit, PERFECTIVE_GERUND)
    if stem == nil then
        stem = without(word, limit, REFLEXIVE) or word
        stem = adjectival(stem, limit) or without(stem, limit, VERB) or without(stem, limit, NOUN) or stem
    end
    if ends(stem, limit, 'и') then
        stem = sub(stem, 1, -3)
    end
    local root = without(stem, limit, DERIVATIONAL)
    if root and #root >= r2 then
        stem = root
    end
    return tidy(stem, limit)
end
