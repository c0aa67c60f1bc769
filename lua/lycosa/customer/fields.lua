-- What a customer is made of: numbers of the stored fields, what each may hold, and how input becomes it.

local msgpack = require('msgpack')
local utf8 = require('utf8')
local T = require('lycosa.core.types')

local fields = {
    TENANT = 1, BUCKET = 2, ID = 3, VERSION = 4, EXTERNAL_ID = 5, NAME = 6, NAME_KEY = 7, EMAIL = 8, SEGMENT = 9,
    TAGS = 10, COUNTRY = 11, INDUSTRY = 12, REVENUE = 13, ORDERS = 14, SINCE = 15, CREATED_AT = 16, UPDATED_AT = 17,
    PROFILE = 18,
}

-- 1,000 rows of the greatest revenue still add up exactly in a double (below 2^53).
local MAX_REVENUE = 9e12
local MAX_ORDERS = 1e9
local MAX_NAME_BYTES = 512
local MAX_EMAIL_BYTES = 254
local MAX_TAGS = 32
local MAX_PROFILE_KEYS = 32
local MAX_PROFILE_BYTES = 8192

-- A profile of fewer keys cannot reach the limit: a key has 128 bytes, a value 1,024.
local SURELY_SMALL_KEYS = 6
local SPACE, AT = (' '):byte(), ('@'):byte()

local EMPTY_MAP = setmetatable({}, {__serialize = 'map'})

---Case-folded form of a name or of a prefix of one: lower case, ё as е, runs of white space as one space, none in
---front. Decomposed ё and й (as macOS writes them) are the same letters. Imports fold every row, hence the searches
---in front of the replacements: they cost a tenth.
---@param text string valid UTF-8
---@return string
local function fold(text)
    if text:find('[\128-\255]') then
        text = utf8.lower(text)
        if text:find('\204', 1, true) then
            text = text:gsub('\208\181\204\136', 'е'):gsub('\208\184\204\134', 'й')
        end
        if text:find('\209\145', 1, true) then
            text = text:gsub('\209\145', 'е')
        end
        if text:find('\194\160', 1, true) then
            text = text:gsub('\194\160', ' ')
        end
    else
        text = text:lower()
    end
    if text:find('  ', 1, true) or text:find('[\9-\13]') then
        text = text:gsub('%s+', ' ')
    end
    return text:byte() == SPACE and text:sub(2) or text
end

---A prefix as it begins a name_key: a space at its end stays, so that 'ivan ' does not find 'ivanov'.
fields.fold_prefix = fold

---The key under which a name is found and ordered.
---@param name string
---@return string
function fields.name_key(name)
    local key = fold(name)
    return key:byte(-1) == SPACE and key:sub(1, -2) or key
end

---@param email string
---@return string
function fields.fold_email(email)
    return email:find('[\128-\255]') and utf8.lower(email) or email:lower()
end

local text_name = T.text{min = 1, max = MAX_NAME_BYTES}
local text_email = T.text{min = 1, max = MAX_EMAIL_BYTES}
local tag_list = T.list(T.name, {max = MAX_TAGS})
local profile_map = T.map(T.scalar, {max = MAX_PROFILE_KEYS})
local revenue = T.integer{min = 0, max = MAX_REVENUE}
local orders = T.integer{min = 0, max = MAX_ORDERS}
local version = T.integer{min = 0}

local function check_name(value)
    local name, problem = text_name.check(value)
    if name == nil then
        return nil, problem
    elseif name:find('%c') then
        return nil, 'holds control characters'
    elseif not name:find('[^ \194\160]') then
        return nil, 'is blank'
    end
    return name
end

local function check_email(value)
    local email, problem = text_email.check(value)
    if email == nil then
        return nil, problem
    end
    local at = email:find('@', 2, true)
    if at == nil or at == #email or email:find('@', at + 1, true) or email:byte() == AT or email:find('[%s%c]') then
        return nil, 'is not an e-mail address'
    end
    return fields.fold_email(email)
end

local function check_segment(value)
    if value == '' then
        return ''
    end
    return T.name.check(value)
end

local function check_tags(value)
    local tags, problem, path = tag_list.check(value)
    if tags == nil then
        return nil, problem, path
    end
    table.sort(tags)
    local kept = 0
    for i = 1, #tags do
        local tag = tags[i]
        if tag ~= tags[kept] then
            kept = kept + 1
            tags[kept] = tag
        end
    end
    for i = #tags, kept + 1, -1 do
        tags[i] = nil
    end
    return tags
end

local function check_profile(value)
    local profile, problem, path = profile_map.check(value)
    if profile == nil then
        return nil, problem, path
    end
    local keys = 0
    for _ in pairs(profile) do
        keys = keys + 1
    end
    if keys > SURELY_SMALL_KEYS and #msgpack.encode(profile) > MAX_PROFILE_BYTES then
        return nil, ('is larger than %d bytes'):format(MAX_PROFILE_BYTES)
    end
    return profile
end

---How each field of a row is read, in the order of the record. `cleared` is what null stores: nil where null is as
---good as absent; `kept` marks what null cannot clear.
---@type {name: string, number: integer, check: function, cleared: any, kept: boolean?}[]
fields.INPUT_RULES = {
    {name = 'id', number = fields.ID, check = T.name.check},
    {name = 'external_id', number = fields.EXTERNAL_ID, check = T.name.check, cleared = box.NULL},
    {name = 'name', number = fields.NAME, check = check_name, kept = true},
    {name = 'email', number = fields.EMAIL, check = check_email, cleared = box.NULL},
    {name = 'segment', number = fields.SEGMENT, check = check_segment, cleared = ''},
    {name = 'tags', number = fields.TAGS, check = check_tags, cleared = {}},
    {name = 'country', number = fields.COUNTRY, check = T.name.check, cleared = box.NULL},
    {name = 'industry', number = fields.INDUSTRY, check = T.name.check, cleared = box.NULL},
    {name = 'revenue_cents', number = fields.REVENUE, check = revenue.check, cleared = 0},
    {name = 'orders', number = fields.ORDERS, check = orders.check, cleared = 0},
    {name = 'since', number = fields.SINCE, check = T.time.check, kept = true},
    {name = 'profile', number = fields.PROFILE, check = check_profile, cleared = EMPTY_MAP},
    {name = 'version', number = fields.VERSION, check = version.check},
}

---One row of an upsert, as documentation and for generated clients: the domain reads rows by INPUT_RULES.
fields.INPUT = T.record('CustomerInput', {
    {'id', T.name, optional = true, doc = 'key within the tenant; the external id when absent on insert'},
    {'external_id', T.name, nullable = true, doc = 'key in the system the row comes from; unique within the tenant'},
    {'name', T.text{min = 1, max = MAX_NAME_BYTES}, optional = true, doc = 'needed for an insert'},
    {'email', T.text{min = 1, max = MAX_EMAIL_BYTES}, nullable = true, doc = 'kept in lower case'},
    {'segment', T.text{max = 128}, nullable = true},
    {'tags', tag_list, nullable = true, doc = 'replaces all tags; kept sorted, each once'},
    {'country', T.name, nullable = true},
    {'industry', T.name, nullable = true},
    {'revenue_cents', revenue, nullable = true, doc = 'what the customer bought in total, in cents'},
    {'orders', orders, nullable = true, doc = 'how many orders that was'},
    {'since', T.time, optional = true, doc = 'when the relation began, unix seconds; the moment of insert when absent'},
    {'profile', profile_map, nullable = true, doc = 'replaces the whole profile; at most 8 KiB'},
    {'version', version, optional = true,
        doc = 'the version the stored row must have, 0 for none stored; otherwise the outcome is conflict'},
})

---A stored customer.
fields.RECORD = T.record('Customer', {
    {'tenant', T.name},
    {'bucket_id', T.integer{min = 1}},
    {'id', T.name},
    {'version', T.integer{min = 1}, doc = '1 at insert, one more with every change'},
    {'external_id', T.nullable(T.name), nullable = true},
    {'name', T.text{min = 1, max = MAX_NAME_BYTES}},
    {'name_key', T.text{max = 2 * MAX_NAME_BYTES}, doc = 'the name case-folded, ё as е'},
    {'email', T.nullable(T.text{max = 2 * MAX_EMAIL_BYTES}), nullable = true},
    {'segment', T.text{max = 128}, doc = 'empty when the customer is in none'},
    {'tags', tag_list},
    {'country', T.nullable(T.name), nullable = true},
    {'industry', T.nullable(T.name), nullable = true},
    {'revenue_cents', revenue},
    {'orders', orders},
    {'since', T.time},
    {'created_at', T.time},
    {'updated_at', T.time},
    {'profile', profile_map},
}, {form = 'tuple'})

return fields
