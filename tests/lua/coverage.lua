-- Statement coverage of lua/lycosa inside Tarantool: files are loaded with a mark before each statement, so that compiled
-- code is counted too. (A line hook turns the JIT compiler off and makes the specs five times slower.)

local decoder = require('luacheck.decoder')
local fio = require('fio')
local parser = require('luacheck.parser')

local coverage = {}

-- Of each file, by its path: [line of a statement] = whether one that begins there ran.
local files = {}

-- Where the loaded code finds the marks of its file. Not a word that code would use.
local MARKS = '__statement_marks'

-- Offsets are of characters; the byte at which each begins.
local function byte_offsets(source)
    local offsets = {}
    for offset in source:gmatch('()[^\128-\191]') do
        table.insert(offsets, offset)
    end
    return offsets
end

local statements_of

-- Which children of a node are blocks; all others are expressions, which hold blocks only in functions.
local function is_block(node, index)
    local tag = node.tag
    if tag == 'If' then
        return index % 2 == 0 or index == #node
    elseif tag == 'While' or tag == 'Function' then
        return index == 2
    elseif tag == 'Forin' then
        return index == 3
    elseif tag == 'Fornum' then
        return index == #node
    end
    return tag == 'Repeat' and index == 1
end

local function walk(node, found)
    if node.tag == 'Do' then
        return statements_of(node, found)
    end
    for index, child in ipairs(node) do
        if type(child) == 'table' then
            if is_block(node, index) then
                statements_of(child, found)
            else
                walk(child, found)
            end
        end
    end
end

function statements_of(block, found)
    for _, statement in ipairs(block) do
        -- A label has to stay the last of its block.
        if statement.tag ~= 'Label' then
            table.insert(found, statement)
        end
        walk(statement, found)
    end
    return found
end

-- The source with its marks, every line where it was, and the table they are kept in.
local function marked(source)
    local statements, marks = statements_of(parser.parse(decoder.decode(source)), {}), {}
    table.sort(statements, function(one, other) return one.offset < other.offset end)
    local offsets, parts, from = byte_offsets(source), {}, 1
    for _, statement in ipairs(statements) do
        local at = offsets[statement.offset]
        table.insert(parts, source:sub(from, at - 1))
        table.insert(parts, ('%s[%d] = true; '):format(MARKS, statement.line))
        marks[statement.line], from = false, at
    end
    table.insert(parts, source:sub(from))
    return ('local %s = ...; '):format(MARKS) .. table.concat(parts), marks
end

local function sources(root)
    local found = {}
    for _, name in ipairs(fio.listdir(root)) do
        local path = fio.pathjoin(root, name)
        if fio.path.is_dir(path) then
            for _, inner in ipairs(sources(path)) do
                table.insert(found, inner)
            end
        elseif name:match('%.lua$') then
            table.insert(found, path)
        end
    end
    table.sort(found)
    return found
end

local function read(path)
    local file = assert(fio.open(path, {'O_RDONLY'}))
    local text = file:read()
    file:close()
    return text
end

---Count what is loaded from now on. A module that is loaded again goes on where it was.
---@param root string absolute path of the directory to be counted; its last part is the first of the modules' names
function coverage.start(root)
    for _, path in ipairs(sources(root)) do
        local code, marks = marked(read(path))
        files[path] = {code = code, marks = marks}
    end
    local directory = fio.dirname(root)
    table.insert(package.loaders, 2, function(name)
        local path = fio.pathjoin(directory, (name:gsub('%.', '/')))
        path = files[path .. '.lua'] and path .. '.lua' or path .. '/init.lua'
        local file = files[path]
        if file then
            local chunk = assert(load(file.code, '@' .. path))
            return function() return chunk(file.marks) end
        end
    end)
end

local function ranges(lines)
    local parts, first, last = {}, nil, nil
    for _, line in ipairs(lines) do
        if last and line == last + 1 then
            last = line
        else
            if first then
                table.insert(parts, first == last and tostring(first) or first .. '-' .. last)
            end
            first, last = line, line
        end
    end
    if first then
        table.insert(parts, first == last and tostring(first) or first .. '-' .. last)
    end
    return table.concat(parts, ' ')
end

---Print a table of what ran.
---@param root string as given to start
---@return number percent of the lines on which a statement begins, with one that ran
function coverage.report(root)
    local total, covered = 0, 0
    print(('%-40s %6s %6s  %s'):format('Lua file', 'lines', '%', 'not run'))
    for _, path in ipairs(sources(root)) do
        local missed, count = {}, 0
        for line, ran in pairs(files[path].marks) do
            count = count + 1
            if not ran then
                table.insert(missed, line)
            end
        end
        table.sort(missed)
        total, covered = total + count, covered + count - #missed
        print(('%-40s %6d %6.1f  %s'):format(path:sub(#root + 2), count, 100 * (count - #missed) / math.max(count, 1),
            ranges(missed)))
    end
    local percent = 100 * covered / math.max(total, 1)
    print(('Lua coverage: %.1f %% of %d lines'):format(percent, total))
    return percent
end

return coverage
