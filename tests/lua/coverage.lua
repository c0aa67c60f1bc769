-- Line coverage of lua/lycosa inside Tarantool: a line hook sees every fiber, because LuaJIT's hook belongs to the VM.
-- Which lines could run is read from the bytecode of every function prototype, loaded or not.

local fio = require('fio')
local jit_util = require('jit.util')

local coverage = {running = false}

local hits = {}

-- The table of lines hit for a function's file, false for files that are not counted. Asking for the source costs
-- several times what asking for the function does, so functions are remembered.
local by_function = setmetatable({}, {__mode = 'k'})

local function lines_of(func, prefix)
    local source = debug.getinfo(func, 'S').source
    if hits[source] == nil then
        hits[source] = source:sub(1, #prefix) == prefix and {} or false
    end
    by_function[func] = hits[source]
    return hits[source]
end

---Start counting. Turns the JIT compiler off: compiled code calls no hook.
---@param root string absolute path of the directory to be counted
function coverage.start(root)
    coverage.running = true
    jit.off()
    jit.flush()
    local prefix, getinfo = '@' .. root, debug.getinfo
    debug.sethook(function(_, line)
        local func = getinfo(2, 'f').func
        local lines = by_function[func]
        if lines == nil then
            lines = lines_of(func, prefix)
        end
        if lines then
            lines[line] = true
        end
    end, 'l')
end

-- Add the lines of one prototype and of those nested in it.
local function active_lines(prototype, lines)
    local info = jit_util.funcinfo(prototype)
    for pc = 1, info.bytecodes - 1 do
        local line = jit_util.funcinfo(prototype, pc).currentline
        if line and line > 0 then
            lines[line] = true
        end
    end
    if info.children then
        for n = -1, -1000, -1 do
            local constant = jit_util.funck(prototype, n)
            if constant == nil then
                break
            elseif type(constant) == 'proto' then
                active_lines(constant, lines)
            end
        end
    end
    return lines
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

---Stop counting and print a table.
---@param root string as given to start
---@return number percent of lines that ran
function coverage.report(root)
    debug.sethook()
    local total, covered = 0, 0
    print(('%-40s %6s %6s  %s'):format('Lua file', 'lines', '%', 'not run'))
    for _, path in ipairs(sources(root)) do
        local active = active_lines(assert(loadfile(path)), {})
        local run, missed, count = hits['@' .. path] or {}, {}, 0
        for line in pairs(active) do
            count = count + 1
            if not run[line] then
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
