-- What lycosa.quotas() shows: limits and what counts against them, those near their end marked.

local printed = require('lycosa.console.table')
local report = require('lycosa.quota.report')

local quota_tables = {}

-- Rows of the table; a tenant's further limits are had by quota.report, page by page.
local MOST_SHOWN = 100

local COLUMNS = {
    {'tenant'}, {'quota'}, {'kind'}, {'limit', right = true}, {'used', right = true}, {'reserved', right = true},
    {'unknown', right = true}, {'left', right = true}, {'unit'}, {'resets in', right = true}, {'marks'},
}

local function kind_of(figures)
    return figures.kind == 'window' and figures.window or figures.kind
end

local function marks_of(figures)
    local marks = {}
    if figures.over > 0 then
        table.insert(marks, 'over by ' .. printed.decimal(figures.over, figures.scale))
    elseif figures.near then
        table.insert(marks, 'near')
    end
    if figures.shadow then
        table.insert(marks, 'shadow')
    end
    return table.concat(marks, ', ')
end

local function row_of(figures, now)
    local function amount(name)
        return printed.decimal(figures[name], figures.scale)
    end
    return {
        figures.tenant, figures.quota, kind_of(figures), amount('limit'), amount('used'), amount('reserved'),
        amount('unknown'), amount('left'), figures.unit,
        figures.reset ~= nil and printed.duration(math.max(0, figures.reset - now)) or '', marks_of(figures),
    }
end

---Limits as one text: those of a tenant, or the first of all tenants.
---@param tenant string? everyone's when absent
---@param now number unix seconds
---@return string
function quota_tables.text(tenant, now)
    local found, heading, more
    if tenant ~= nil then
        found = report.run{tenant = tostring(tenant), limit = MOST_SHOWN}
        heading, more = ('Quotas of tenant %s'):format((tostring(tenant):gsub('%c', ' '))), found.next ~= nil
    else
        found = report.survey{limit = MOST_SHOWN}
        heading, more = ('Quotas: %s of all tenants'):format(printed.whole(found.limits)), found.limits > #found.rows
    end
    local rows = {}
    for i, figures in ipairs(found.rows) do
        figures.tenant = figures.tenant or tostring(tenant)
        rows[i] = row_of(figures, now)
    end
    local sections = {{'', printed.lines(COLUMNS, rows)}}
    if more then
        table.insert(sections, {'', {('The first %d are shown.'):format(MOST_SHOWN)}})
    end
    return printed.text(heading, sections)
end

return quota_tables
