-- Aligned tables for a terminal. Widths count characters, not bytes, so that Cyrillic stands as straight as Latin.

local utf8 = require('utf8')

local printed = {}

---Characters of a text; bytes when it is not valid UTF-8.
---@param text string
---@return integer
function printed.width(text)
    return utf8.len(text) or #text
end

---Bytes as people read them.
---@param bytes number
---@return string such as `12.5 MiB`
function printed.bytes(bytes)
    local units = {'B', 'KiB', 'MiB', 'GiB', 'TiB'}
    local unit, value = 1, tonumber(bytes)
    while value >= 1024 and unit < #units do
        unit, value = unit + 1, value / 1024
    end
    return unit == 1 and ('%d B'):format(value) or ('%.1f %s'):format(value, units[unit])
end

---A whole number with its thousands parted.
---@param number number
---@return string such as `1,000,000`
function printed.whole(number)
    local sign, digits = ('%.0f'):format(tonumber(number)):match('^(-?)(%d+)$')
    local parted = digits:reverse():gsub('(%d%d%d)', '%1,'):reverse():gsub('^,', '')
    return sign .. parted
end

---Seconds as milliseconds.
---@param seconds number
---@return string such as `0.125`
function printed.milliseconds(seconds)
    return ('%.3f'):format(seconds * 1000)
end

---A whole number of smallest units as people write it, with all its decimals.
---@param units number from 0, exact below 2^53
---@param scale integer decimals of the smallest unit
---@return string such as `1,250.00`
function printed.decimal(units, scale)
    local digits = ('%.0f'):format(tonumber(units))
    digits = ('0'):rep(scale + 1 - #digits) .. digits
    local whole = printed.whole(digits:sub(1, #digits - scale))
    return scale == 0 and whole or whole .. '.' .. digits:sub(-scale)
end

---Seconds as people read them, in the largest unit that fits.
---@param seconds number
---@return string such as `3.5 h`
function printed.duration(seconds)
    if seconds >= 2 * 86400 then
        return ('%.0f days'):format(seconds / 86400)
    elseif seconds >= 2 * 3600 then
        return ('%.1f h'):format(seconds / 3600)
    elseif seconds >= 120 then
        return ('%.0f min'):format(seconds / 60)
    end
    return ('%.0f s'):format(seconds)
end

local function pad(text, width, right)
    local space = (' '):rep(width - printed.width(text))
    return right and space .. text or text .. space
end

---Lines of an aligned table: titles, a rule, rows. No line ends in a space.
---@param columns {[1]: string, right: boolean?}[] titles, and which columns stand to the right
---@param rows string[][]
---@return string[]
function printed.lines(columns, rows)
    local widths = {}
    for i, column in ipairs(columns) do
        widths[i] = printed.width(column[1])
        for _, row in ipairs(rows) do
            widths[i] = math.max(widths[i], printed.width(row[i]))
        end
    end
    local function line(cells)
        local parts = {}
        for i, column in ipairs(columns) do
            parts[i] = pad(cells[i], widths[i], column.right)
        end
        return (table.concat(parts, '  '):gsub('%s+$', ''))
    end
    local titles, rules = {}, {}
    for i, column in ipairs(columns) do
        titles[i], rules[i] = column[1], ('-'):rep(widths[i])
    end
    local lines = {line(titles), line(rules)}
    for _, row in ipairs(rows) do
        table.insert(lines, line(row))
    end
    return lines
end

---One text of sections: each a title and lines, parted by empty lines. The console prints a text that holds an empty
---line, begins with no space and has no trailing ones as it stands, not as a quoted string.
---@param heading string first line
---@param sections {[1]: string, [2]: string[]}[] title ('' for none) and lines
---@return string
function printed.text(heading, sections)
    local lines = {heading}
    for _, section in ipairs(sections) do
        table.insert(lines, '')
        if section[1] ~= '' then
            table.insert(lines, section[1])
        end
        for _, line in ipairs(section[2]) do
            table.insert(lines, line)
        end
    end
    return table.concat(lines, '\n')
end

return printed
