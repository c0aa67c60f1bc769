-- What lycosa.help() shows: the contract, for a person at the console.

local errors = require('lycosa.core.errors')
local printed = require('lycosa.console.table')

local help = {}

local NEAREST = 5
-- What the wrapper of every procedure may raise, whatever the declaration says.
local ALWAYS = {'INVALID_ARGUMENT', 'UNKNOWN_ARGUMENT', 'DEADLINE_EXCEEDED'}
local OF_WRITES = {'READ_ONLY', 'MEMORY_FULL', 'COMMIT_FAILED'}

local function byte_range(type_)
    return ('%s %s..%s bytes'):format(type_.kind, printed.whole(type_.min), printed.whole(type_.max))
end

local function number_range(type_)
    local function shown(bound)
        return bound and (bound % 1 == 0 and printed.whole(bound) or ('%.14g'):format(bound))
    end
    local min, max = shown(type_.min), shown(type_.max)
    if min and max then
        return ('%s %s..%s'):format(type_.kind, min, max)
    end
    return type_.kind .. (min and ' from ' .. min or '') .. (max and ' up to ' .. max or '')
end

local describe

local DESCRIBE = {
    name = byte_range,
    text = byte_range,
    bytes = byte_range,
    integer = number_range,
    number = number_range,
    time = function() return 'unix seconds' end,
    scalar = function() return 'text, number or boolean' end,
    none = function() return 'nothing' end,
    enum = function(type_) return table.concat(type_.values, ' | ') end,
    list = function(type_) return ('list of %s, up to %s'):format(describe(type_.of), printed.whole(type_.max)) end,
    map = function(type_) return ('map of %s, up to %s keys'):format(describe(type_.of), printed.whole(type_.max)) end,
    nullable = function(type_) return describe(type_.of) .. ' or null' end,
    unchecked = function(type_) return describe(type_.of) end,
    repeated = function(type_) return describe(type_.of) end,
    record = function(type_) return type_.name end,
}

---A type in words, bounds included.
---@param type_ table as the contract describes it
---@return string
describe = function(type_)
    local words = DESCRIBE[type_.kind]
    return words and words(type_) or type_.kind
end

local function default_of(field)
    local value = field.default
    if value == nil then
        return field.optional and '' or 'required'
    elseif type(value) == 'table' then
        return '{}'
    elseif type(value) == 'string' then
        return ("'%s'"):format(value)
    end
    return tostring(value)
end

-- A line of a declaration's text that fits a table.
local function first_sentence(doc)
    local line = doc:match('^[^\n]*')
    return line:match('^(.-%.)%s') or line
end

-- Text in lines of at most `most` characters, broken between words.
local function wrapped(text, most)
    local lines, line = {}, ''
    for word in text:gmatch('%S+') do
        if line ~= '' and printed.width(line) + 1 + printed.width(word) > most then
            table.insert(lines, line)
            line = ''
        end
        line = line == '' and word or line .. ' ' .. word
    end
    table.insert(lines, line)
    return lines
end

local function argument_lines(fields)
    local rows = {}
    for i, field in ipairs(fields) do
        rows[i] = {field.name, describe(field.type), default_of(field), field.doc or ''}
    end
    return printed.lines({{'name'}, {'type'}, {'default'}, {'meaning'}}, rows)
end

local function field_lines(fields)
    local rows = {}
    for i, field in ipairs(fields) do
        rows[i] = {field.name, describe(field.type), field.doc or ''}
    end
    return printed.lines({{'field'}, {'type'}, {'meaning'}}, rows)
end

-- Every record type within a type, the outermost first, each once.
local function records(type_, found, seen)
    if type_.kind == 'record' and not seen[type_.name] then
        seen[type_.name] = true
        table.insert(found, type_)
    end
    if type_.of then
        records(type_.of, found, seen)
    end
    for _, field in ipairs(type_.fields or {}) do
        records(field.type, found, seen)
    end
    return found
end

local function error_lines(described)
    local rows, seen = {}, {}
    local function add(codes)
        for _, code in ipairs(codes) do
            local declared = errors.catalogue[code]
            if declared ~= nil and not seen[code] then
                seen[code] = true
                table.insert(rows, {code, declared.kind, declared.message})
            end
        end
    end
    add(described.errors)
    add(ALWAYS)
    if described.mode == 'write' then
        add(OF_WRITES)
    end
    return printed.lines({{'code'}, {'kind'}, {'message'}}, rows)
end

local sample

-- One, or what the bounds allow; the end of a range comes after its beginning.
local function sample_number(type_, name)
    local number = math.max(type_.min or 1, math.min(1, type_.max or 1))
    return ('%.14g'):format(name:find('^until') and number + 1 or number)
end

local SAMPLE = {
    name = function(_, name) return name == 'tenant' and "'default'" or ("'%s-1'"):format(name) end,
    text = function(type_, name) return ("'%s'"):format(name .. ('.'):rep(type_.min - #name)) end,
    bytes = function(_, name) return ("'%s'"):format(name) end,
    integer = sample_number,
    number = sample_number,
    time = function() return '1700000000' end,
    boolean = function() return 'true' end,
    scalar = function() return "'value'" end,
    enum = function(type_) return ("'%s'"):format(type_.values[1]) end,
    list = function(type_, name) return ('{%s}'):format(sample(type_.of, name)) end,
    map = function(type_, name) return ('{key = %s}'):format(sample(type_.of, name)) end,
    nullable = function(type_, name) return sample(type_.of, name) end,
    unchecked = function(type_, name) return sample(type_.of, name) end,
    repeated = function(type_, name) return sample(type_.of, name) end,
    record = function(type_)
        local parts = {}
        for _, field in ipairs(type_.fields) do
            if not field.optional then
                table.insert(parts, ('%s = %s'):format(field.name, sample(field.type, field.name)))
            end
        end
        return ('{%s}'):format(table.concat(parts, ', '))
    end,
}

sample = function(type_, name)
    local make = SAMPLE[type_.kind]
    return make and make(type_, name) or 'nil'
end

---A call of a procedure with its required arguments, as one types it.
---@param described table
---@return string
function help.example(described)
    return ('lycosa.%s%s'):format(described.name, SAMPLE.record({fields = described.args}))
end

local function one(described)
    local sections = {{'', wrapped(described.doc, 100)}}
    table.insert(sections, {'Call', {'  ' .. help.example(described)}})
    if #described.args > 0 then
        table.insert(sections, {'Arguments', argument_lines(described.args)})
    end
    for _, argument in ipairs(described.args) do
        for _, record in ipairs(records(argument.type, {}, {})) do
            table.insert(sections, {'Argument ' .. record.name, field_lines(record.fields)})
        end
    end
    table.insert(sections, {'Answer', {'  ' .. describe(described.returns)}})
    for _, record in ipairs(records(described.returns, {}, {})) do
        table.insert(sections, {'Answer ' .. record.name, field_lines(record.fields)})
    end
    table.insert(sections, {'Errors', error_lines(described)})
    local heading = ('lycosa.%s (access %s, mode %s%s)'):format(
        described.name, described.access, described.mode, described.idempotent and ', may be repeated' or ''
    )
    return printed.text(heading, sections)
end

local function listed(descriptions, heading, domain)
    local domains, order = {}, {}
    for _, described in ipairs(descriptions) do
        local name = described.name:match('^[^.]+')
        if domain == nil or name == domain then
            if domains[name] == nil then
                domains[name] = {}
                table.insert(order, name)
            end
            table.insert(domains[name], {described.name, described.access, described.mode, first_sentence(described.doc)})
        end
    end
    -- One width for all domains, so that the whole reads as one table.
    local rows, ends = {}, {}
    for _, name in ipairs(order) do
        for _, row in ipairs(domains[name]) do
            table.insert(rows, row)
        end
        ends[#rows] = true
    end
    local lines = printed.lines({{'procedure'}, {'access'}, {'mode'}, {'what it does'}}, rows)
    local parted = {lines[1], lines[2]}
    for i = 1, #rows do
        table.insert(parted, lines[i + 2])
        if ends[i] and i < #rows then
            table.insert(parted, '')
        end
    end
    return printed.text(heading, {{'', parted}})
end

-- Edits that lead from one name to another.
local function distance(left, right)
    local before = {}
    for j = 0, #right do
        before[j] = j
    end
    for i = 1, #left do
        local now = {[0] = i}
        for j = 1, #right do
            local swap = left:byte(i) == right:byte(j) and 0 or 1
            now[j] = math.min(before[j] + 1, now[j - 1] + 1, before[j - 1] + swap)
        end
        before = now
    end
    return before[#right]
end

local function unknown(descriptions, name)
    local ranked = {}
    for i, described in ipairs(descriptions) do
        local contains = described.name:find(name, 1, true) ~= nil
        local near = contains and 0 or distance(name:lower():sub(1, 64), described.name)
        ranked[i] = {near, described.name, first_sentence(described.doc)}
    end
    table.sort(ranked, function(left, right)
        return left[1] < right[1] or (left[1] == right[1] and left[2] < right[2])
    end)
    local rows = {}
    for i = 1, math.min(NEAREST, #ranked) do
        rows[i] = {ranked[i][2], ranked[i][3]}
    end
    return printed.text(
        ("There is no procedure '%s'. The nearest names:"):format(name:gsub('%c', ' ')),
        {{'', printed.lines({{'procedure'}, {'what it does'}}, rows)}}
    )
end

---Help as one text: every procedure, those of a domain, or one with its arguments, answer, errors and an example.
---@param descriptions table[] lycosa.contract()
---@param name string? a procedure or a domain; everything when absent
---@return string
function help.text(descriptions, name)
    if name == nil then
        return listed(descriptions, "Procedures of Lycosa. lycosa.help('request.list') tells all about one.")
    end
    name = tostring(name):gsub('^lycosa%.', '')
    local domain_known = false
    for _, described in ipairs(descriptions) do
        if described.name == name then
            return one(described)
        end
        domain_known = domain_known or described.name:match('^[^.]+') == name
    end
    if domain_known then
        return listed(descriptions, ('Procedures of lycosa.%s.'):format(name), name)
    end
    return unknown(descriptions, name)
end

return help
