-- Requests for the specs of their history, and what their pages must hold.

local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local fiber = require('fiber')
local request = require('lycosa.request')
local support = require('tests.lua.support')

local history = {}

---Arguments of request.append with what a test changes.
---@param changes table?
---@return table
function history.ask(changes)
    local args = {tenant = 'acme', id = 'r-1', kind = 'analysis', status = 'done', question = 'What is new?'}
    return support.with(args, changes)
end

---The day it is, as days since 1970.
---@return integer
function history.today()
    return math.floor(clock.now() / 86400)
end

---Sums of a tenant's requests, those of today unless `changes` say otherwise, as plain numbers.
---@param changes table? of the arguments of request.totals
---@return table<string, number>
function history.totals(changes)
    local today = history.today()
    local sums = lycosa.request.totals(support.with({tenant = 'acme', from_day = today, until_day = today + 1}, changes))
    for name, value in pairs(sums) do
        sums[name] = tonumber(value)
    end
    return sums
end

---Append 60 requests of two tenants, three customers and every status; some share their moment.
---@return table[] their arguments with `created_at`
function history.fill()
    local all = {}
    math.randomseed(7)
    for i = 1, 60 do
        local args = history.ask{
            id = ('r-%03d'):format(math.random(0, 9) * 100 + i), customer_id = 'c-' .. math.random(3),
            status = ({'done', 'degraded', 'failed', 'cancelled'})[math.random(4)],
            tenant = i % 6 == 0 and 'other' or 'acme',
        }
        lycosa.request.append(args)
        args.created_at = clock.now()
        if math.random(3) > 1 then
            clock.advance(1 + math.random(3))
        end
        table.insert(all, args)
    end
    return all
end

---Ids of the first tenant's requests that are wanted, in order: what a look-up must find, by brute force.
---@param all table[] as history.fill gave them
---@param wanted fun(args: table): boolean
---@param order string asc or desc
---@return string[]
function history.expected(all, wanted, order)
    local ids = {}
    local chosen = {}
    for _, args in ipairs(all) do
        if args.tenant == 'acme' and wanted(args) then
            table.insert(chosen, args)
        end
    end
    table.sort(chosen, function(left, right)
        if order == 'desc' then
            left, right = right, left
        end
        return left.created_at < right.created_at
            or (left.created_at == right.created_at and left.id < right.id)
    end)
    for i, args in ipairs(chosen) do
        ids[i] = args.id
    end
    return ids
end

---Walk all pages forwards, then back from the last to the first.
---@param query table arguments of request.list
---@return string[] forwards ids
---@return string[] backwards ids, in the same order
---@return integer pages
function history.walk(query)
    local forwards, backwards = {}, {}
    local pages, page = 0
    query.cursor = nil
    repeat
        page = lycosa.request.list(query)
        for _, row in ipairs(page.rows) do
            table.insert(forwards, row[1])
        end
        query.cursor = page.next ~= nil and page.next or nil
        pages = pages + 1
    until page.next == nil or pages > 100
    while true do
        for i = #page.rows, 1, -1 do
            table.insert(backwards, 1, page.rows[i][1])
        end
        if page.previous == nil then
            break
        end
        query.cursor = page.previous
        page = lycosa.request.list(query)
    end
    return forwards, backwards, pages
end

-- The daemon's steps of requests: how often they ran in all, and whether all of them rest.
local function steps_run()
    local runs, resting = 0, true
    for _, figure in ipairs(daemon.figures()) do
        if figure.name:find('^request%.') then
            runs, resting = runs + figure.runs, resting and figure.due_in > 0
        end
    end
    return runs, resting
end

---Configure the domain. The daemon is woken by it; its slices come before the test's. What is due already it moves; where
---nothing is, it rests for a minute whatever the frozen clock says then.
---@param settings table as of request.configure
function history.configure(settings)
    local before, deadline = steps_run(), clock.monotonic() + 10
    request.configure(settings)
    local runs, resting
    repeat
        assert(clock.monotonic() < deadline, 'the steps of requests do not come to rest')
        fiber.sleep(0.001)
        runs, resting = steps_run()
    until resting and runs >= before + #request.steps
end

---A daemon step of requests, to be run by hand.
---@param name string
---@return fun(limit: integer): boolean, number?
function history.step(name)
    for _, one in ipairs(request.steps) do
        if one.name == name then
            return one.run
        end
    end
end

---Requests in memory, their sources there, and requests on disk.
---@return integer[]
function history.counts()
    return {box.space.request:len(), box.space.request_source:len(), #box.space.request_cold:select()}
end

return history
