-- What is used, reserved, unknown and left of limits.

local clock = require('lycosa.core.clock')
local claims = require('lycosa.quota.claims')
local fields = require('lycosa.quota.fields')
local limits = require('lycosa.quota.limits')
local standing = require('lycosa.quota.standing')

local report = {}

local max, ceil = math.max, math.ceil

-- One limit's figures, by kind: used + reserved + unknown is what counts against it.
local function figures(row, now)
    local s = standing.at(row, now, {row[fields.TENANT], row[fields.QUOTA]})
    local used, reserved, unknown = s.used, s.reserved - s.lapsed, s.unknown + s.counted
    if s.kind == fields.RATE then
        used = ceil(s.taken)
    elseif s.kind == fields.SLOTS then
        unknown = 0
    end
    return {
        quota = row[fields.QUOTA], kind = s.kind, limit = s.limit, unit = row[fields.UNIT], scale = row[fields.SCALE],
        shadow = row[fields.SHADOW], window = row[fields.WINDOW], used = used, reserved = reserved, unknown = unknown,
        left = max(0, s.left), over = max(0, -s.left), near = standing.is_near(s), near_count = row[fields.NEAR],
        shadowed = row[fields.SHADOWED], since = s.since, reset = standing.reset_at(s) or box.NULL,
    }
end

---Figures of the first limits of all tenants by tenant and name, for whoever watches the server.
---@param args {limit: integer}
---@return {rows: table[], limits: integer} rows and how many limits there are
function report.survey(args)
    local now, rows = clock.now(), {}
    local space = box.space.quota_limit
    for i, row in ipairs(space:select({}, {limit = args.limit})) do
        rows[i] = figures(row, now)
        rows[i].tenant = row[fields.TENANT]
    end
    return {rows = rows, limits = space:len()}
end

---The figures of named limits, or of a page of all by name.
---@param args {tenant: string, quotas: string[]?, cursor: string?, limit: integer}
---@return {rows: table[], next: string?, previous: string?}
function report.run(args)
    local now, rows, next_text, previous_text = clock.now(), {}, nil, nil
    if args.quotas ~= nil then
        for i, quota in ipairs(args.quotas) do
            rows[i] = claims.limit(args.tenant, quota)
        end
    else
        rows, next_text, previous_text = limits.page(args)
    end
    for i = 1, #rows do
        rows[i] = figures(rows[i], now)
    end
    return {rows = rows, next = next_text or box.NULL, previous = previous_text or box.NULL}
end

return report
