-- Types of arguments and answers: data that checks values and describes itself.
--
-- A type is a table {kind = ..., check = function(value) -> checked | nil, problem, field}. `check` returns the value
-- to use, or nil with a problem that reads after the argument's name ("is longer than 64 bytes") and, inside records,
-- the path of the field.

local new_table = require('table.new')
local remembered = require('lycosa.core.remembered')
local text = require('lycosa.core.text')

local types = {}

local MAX_EXACT = 2 ^ 53

---@class lycosa.Type
---@field kind string
---@field check fun(value: any): any, string?, string?

local function define(fields)
    return fields
end

local function text_type(kind, min, max, multiline)
    return define{
        kind = kind, min = min, max = max,
        check = function(value)
            if type(value) ~= 'string' then
                return nil, 'is not a string'
            elseif #value < min then
                return nil, min == 1 and 'is empty' or ('is shorter than %d bytes'):format(min)
            elseif #value > max then
                return nil, ('is longer than %d bytes'):format(max)
            end
            local problem = text.problem(value, multiline)
            if problem then
                return nil, problem
            end
            return value
        end,
    }
end

---A key or label: 1..128 bytes of UTF-8 without control characters.
types.name = text_type('name', 1, 128, false)
types.name.check = remembered(types.name.check)

---Text of `min`..`max` bytes, valid UTF-8; of control characters only newline, tab and carriage return.
---@param bounds {min: integer?, max: integer}
---@return lycosa.Type
function types.text(bounds)
    return text_type('text', bounds.min or 0, bounds.max, true)
end

-- From 3.0 on the wire's binary strings arrive as objects of a kind of their own.
local has_varbinary, varbinary = pcall(require, 'varbinary')

---A string of any bytes, `min`..`max` of them.
---@param bounds {min: integer?, max: integer}
---@return lycosa.Type
function types.bytes(bounds)
    local min, max = bounds.min or 0, bounds.max
    return define{
        kind = 'bytes', min = min, max = max,
        check = function(value)
            if type(value) == 'cdata' and has_varbinary and varbinary.is(value) then
                value = tostring(value)
            end
            if type(value) ~= 'string' then
                return nil, 'is not a string of bytes'
            elseif #value < min then
                return nil, min == 1 and 'is empty' or ('is shorter than %d bytes'):format(min)
            elseif #value > max then
                return nil, ('is longer than %d bytes'):format(max)
            end
            return value
        end,
    }
end

local function as_number(value)
    if type(value) == 'number' then
        return value
    elseif type(value) == 'cdata' and value ~= nil then
        -- 64-bit integers arrive as cdata when they need more than 53 bits.
        return tonumber(value)
    end
    return nil
end

local function number_type(kind, min, max, integral)
    return define{
        kind = kind, min = min, max = max,
        check = function(value)
            local number = as_number(value)
            if number == nil then
                return nil, 'is not a number'
            elseif number ~= number or number == math.huge or number == -math.huge then
                return nil, 'is not a finite number'
            elseif integral and (number % 1 ~= 0 or number > MAX_EXACT or number < -MAX_EXACT) then
                return nil, 'is not a whole number'
            elseif min ~= nil and number < min then
                return nil, ('is below %s'):format(min)
            elseif max ~= nil and number > max then
                return nil, ('is above %s'):format(max)
            end
            return number
        end,
    }
end

---A finite number within optional bounds. NaN and infinities are refused.
---@param bounds {min: number?, max: number?}?
---@return lycosa.Type
function types.number(bounds)
    bounds = bounds or {}
    return number_type('number', bounds.min, bounds.max, false)
end

---A whole number of at most 53 bits.
---@param bounds {min: integer?, max: integer?}?
---@return lycosa.Type
function types.integer(bounds)
    bounds = bounds or {}
    return number_type('integer', bounds.min, bounds.max, true)
end

---Seconds since the epoch, up to the year 9999.
types.time = number_type('time', 0, 253402300799, false)

types.boolean = define{
    kind = 'boolean',
    check = function(value)
        if type(value) ~= 'boolean' then
            return nil, 'is not a boolean'
        end
        return value
    end,
}

---A string, finite number or boolean of at most 1,024 bytes.
types.scalar = define{
    kind = 'scalar',
    check = function(value)
        local kind = type(value)
        if kind == 'boolean' then
            return value
        elseif kind == 'string' then
            if #value > 1024 then
                return nil, 'is longer than 1024 bytes'
            end
            local problem = text.problem(value, true)
            if problem then
                return nil, problem
            end
            return value
        end
        local number = as_number(value)
        if number == nil then
            return nil, 'is not a string, number or boolean'
        elseif number ~= number or number == math.huge or number == -math.huge then
            return nil, 'is not a finite number'
        end
        return number
    end,
}

---The answer of a procedure that has nothing to say.
types.none = define{
    kind = 'none',
    check = function()
        return nil, 'is not expected'
    end,
}

---One of the given strings.
---@param values string[]
---@return lycosa.Type
function types.enum(values)
    local known = {}
    for _, value in ipairs(values) do
        known[value] = true
    end
    local problem = 'is not one of ' .. table.concat(values, ', ')
    return define{
        kind = 'enum', values = values,
        check = function(value)
            if type(value) ~= 'string' or not known[value] then
                return nil, problem
            end
            return value
        end,
    }
end

-- An array has keys 1..n and no others. Returns n, or nil. One that came as such over the wire need not be counted.
local function array_length(value)
    local length, count, meta = type(value) == 'table' and #value or nil, 0, getmetatable(value)
    if length == nil or (meta ~= nil and meta.__serialize == 'seq') then
        return length
    end
    for _ in pairs(value) do
        count = count + 1
    end
    return count == length and length or nil
end

---A list of min..max items of one type. With `unchecked` items the whole is refused only for its size.
---@param item lycosa.Type
---@param bounds {min: integer?, max: integer}
---@return lycosa.Type
function types.list(item, bounds)
    local min, max = bounds.min or 0, bounds.max
    return define{
        kind = 'list', of = item, min = min, max = max,
        check = function(value)
            local length = array_length(value)
            if length == nil then
                return nil, 'is not a list'
            elseif length > max then
                return nil, ('holds %d items, at most %d are taken in one call'):format(length, max)
            elseif length < min then
                return nil, ('holds fewer than %d items'):format(min)
            end
            if item.kind == 'unchecked' then
                return value
            end
            local checked = new_table(length, 0)
            for i = 1, length do
                local item_checked, problem, field = item.check(value[i])
                if item_checked == nil then
                    return nil, problem, ('[%d]%s'):format(i, field or '')
                end
                checked[i] = item_checked
            end
            return checked
        end,
    }
end

---A map of string keys (names) to values of one type, at most `max` of them.
---@param item lycosa.Type
---@param bounds {max: integer}
---@return lycosa.Type
function types.map(item, bounds)
    return define{
        kind = 'map', of = item, max = bounds.max,
        check = function(value)
            if type(value) ~= 'table' then
                return nil, 'is not a map'
            end
            local checked, count = setmetatable({}, {__serialize = 'map'}), 0
            for key, raw in pairs(value) do
                local name, problem = types.name.check(key)
                if name == nil then
                    return nil, 'has a key that ' .. problem
                end
                count = count + 1
                if count > bounds.max then
                    return nil, ('holds more than %d keys'):format(bounds.max)
                end
                local inner, inner_problem, path = item.check(raw)
                if inner == nil then
                    return nil, inner_problem, ('.%s%s'):format(name, path or '')
                end
                checked[name] = inner
            end
            return checked
        end,
    }
end

---A value that may also be absent from an answer or null in a row.
---@param inner lycosa.Type
---@return lycosa.Type
function types.nullable(inner)
    return define{
        kind = 'nullable', of = inner,
        check = function(value)
            if value == nil then
                return box.NULL
            end
            return inner.check(value)
        end,
    }
end

---Documents a type whose check the domain does itself, row by row.
---@param inner lycosa.Type
---@return lycosa.Type
function types.unchecked(inner)
    return define{
        kind = 'unchecked', of = inner,
        check = function(value)
            return value
        end,
    }
end

---A declared field or argument: {name, type, optional =, nullable =, default =, doc =}.
---@class lycosa.Field
---@field [1] string
---@field [2] lycosa.Type

-- Check named fields of a map against declarations; shared by records and by argument binding.
---@param fields lycosa.Field[]
---@return fun(value: table): table?, string?, string?
function types.binder(fields)
    local names, checks, optional, nullable, defaults, known = {}, {}, {}, {}, {}, {}
    for i, field in ipairs(fields) do
        names[i], checks[i] = field[1], field[2].check
        optional[i] = field.optional or field.nullable or field.default ~= nil
        nullable[i], defaults[i] = field.nullable, field.default
        known[field[1]] = true
    end
    local count = #names
    return function(value)
        local bound = new_table(0, count)
        for i = 1, count do
            local name = names[i]
            local given = value[name]
            if given ~= nil then
                local checked, problem, path = checks[i](given)
                if checked == nil then
                    return nil, problem, path and name .. path or name
                end
                bound[name] = checked
            elseif not optional[i] then
                return nil, 'is missing', name
            elseif nullable[i] and type(given) == 'cdata' then
                bound[name] = box.NULL
            else
                bound[name] = defaults[i]
            end
        end
        for name in pairs(value) do
            if not known[name] then
                -- A key is the caller's: only one that could be a name is sent back.
                local sent = type(name) == 'number' or types.name.check(name) ~= nil
                return nil, 'is not known', sent and tostring(name) or '?'
            end
        end
        return bound
    end
end

---A record of named fields. As an argument it is always a map; in answers `form` says how it stands on the wire:
---`tuple` and `array` by position, `map` (default) by name.
---@param name string its class name in generated code
---@param fields lycosa.Field[]
---@param options {form: string?}?
---@return lycosa.Type
function types.record(name, fields, options)
    local bind = types.binder(fields)
    return define{
        kind = 'record', name = name, fields = fields, form = options and options.form or 'map',
        check = function(value)
            if type(value) ~= 'table' then
                return nil, 'is not a map'
            end
            local bound, problem, field = bind(value)
            if bound == nil then
                return nil, problem, '.' .. field
            end
            return bound
        end,
    }
end

---The type as plain data, for describe and for generated code.
---@param type_ lycosa.Type
---@return table
function types.describe(type_)
    local described = {
        kind = type_.kind, min = type_.min, max = type_.max, values = type_.values,
        name = type_.name, form = type_.form,
    }
    if type_.of then
        described.of = types.describe(type_.of)
    end
    if type_.fields then
        described.fields = types.describe_fields(type_.fields)
    end
    return described
end

---@param fields lycosa.Field[]
---@return table[]
function types.describe_fields(fields)
    local described = {}
    for i, field in ipairs(fields) do
        described[i] = {
            name = field[1], type = types.describe(field[2]), doc = field.doc,
            optional = (field.optional or field.nullable or field.default ~= nil) and true or nil,
            nullable = field.nullable or nil, default = field.default,
        }
    end
    return described
end

return types
