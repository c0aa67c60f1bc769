-- Raising and recognising catalogued errors.
--
-- On Tarantool 2.6 only type, code and message of an error cross the wire, and the message is cut at 511 bytes.
-- So code and details travel inside the message in one fixed form that never reaches that limit:
--     CODE: human message {"detail": ...}
-- The human message holds no brace, hence the first ' {' begins the details.

local json = require('json').new()
local utf8 = require('utf8')
local catalogue = require('lycosa.core.errors_catalogue')

json.cfg{encode_invalid_numbers = true, encode_use_tostring = true}

local errors = {catalogue = catalogue}

-- One number for all: the code that matters is in the message. User codes begin at 5000 on no version of Tarantool.
local WIRE_CODE = 5000
local MAX_MESSAGE = 240
local MAX_DETAILS = 230
local MAX_DETAIL_TEXT = 80

-- Cut a string to at most `max` bytes without splitting a UTF-8 character.
local function cut(text, max)
    if #text <= max then
        return text
    end
    local last = max
    while last > 0 and text:byte(last + 1) >= 0x80 and text:byte(last + 1) < 0xC0 do
        last = last - 1
    end
    return text:sub(1, last)
end

-- Details are numbers, booleans and strings; control characters and invalid UTF-8 never leave.
local function clean(value)
    if type(value) == 'string' then
        if utf8.len(value) == nil then
            value = value:gsub('[\128-\255]', '?')
        end
        return cut((value:gsub('%c', ' ')), MAX_DETAIL_TEXT)
    elseif type(value) == 'number' or type(value) == 'boolean' then
        return value
    end
    return cut(tostring(value), MAX_DETAIL_TEXT)
end

local function encode_details(details)
    local kept = setmetatable({}, {__serialize = 'map'})
    for name, value in pairs(details) do
        kept[name] = clean(value)
    end
    local encoded = json.encode(kept)
    if #encoded <= MAX_DETAILS then
        return encoded
    end
    for name, value in pairs(kept) do
        if type(value) == 'string' then
            kept[name] = cut(value, 16)
        end
    end
    encoded = json.encode(kept)
    return #encoded <= MAX_DETAILS and encoded or '{"cut":true}'
end

---The text that crosses the wire for a code and its details.
---@param code string a key of the catalogue
---@param details table<string, string|number|boolean>
---@return string at most 511 bytes
function errors.text(code, details)
    local declared = catalogue[code]
    local message = declared.message:gsub('{([%w_]+)}', function(name)
        return tostring(clean(details[name] == nil and '?' or details[name]))
    end)
    message = cut(message:gsub('[{}]', "'"), MAX_MESSAGE)
    return ('%s: %s %s'):format(code, message, encode_details(details))
end

---Raise a catalogued error. A procedure's transaction is undone by it.
---@param code string a key of the catalogue; any other is a programming error
---@param details table<string, string|number|boolean>? bounded texts; `retry_after` in seconds where waiting helps
function errors.raise(code, details)
    if catalogue[code] == nil then
        error('error code ' .. tostring(code) .. ' is not in the catalogue', 2)
    end
    box.error{code = WIRE_CODE, reason = errors.text(code, details or {})}
end

---Take a raised error apart.
---@param raised any what pcall returned
---@return string? code nil when it is not a catalogued error
---@return table? details
function errors.parse(raised)
    local message = tostring(raised)
    local code = message:match('^([A-Z_]+): ')
    if code == nil or catalogue[code] == nil then
        return nil
    end
    local at = message:find(' {', 1, true)
    local decoded, details = pcall(json.decode, at and message:sub(at + 1) or '{}')
    return code, decoded and details or {}
end

return errors
