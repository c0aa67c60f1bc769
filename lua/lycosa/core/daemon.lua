-- One supervised loop for all background work: expire, evict, retain, index.
--
-- A step does at most `limit` units and returns whether work is left and, optionally, when work will be due.
-- The loop runs ready steps in turn with a yield between slices, sleeps until the earliest due time, and wakes
-- on demand. A step that raises is logged and tried again after a growing pause; it never stops the others.

local fiber = require('fiber')
local log = require('log')
local clock = require('lycosa.core.clock')

local daemon = {}

local IDLE_SECONDS = 60
local FIRST_PAUSE = 0.5
local LONGEST_PAUSE = 30

local steps, order = {}, {}
local worker, bell, running

---Register a step. Called once by lycosa.start, before daemon.start.
---@param step {name: string, run: fun(limit: integer): (boolean|number|nil, number?), limit: integer}
function daemon.register(step)
    assert(steps[step.name] == nil, 'step ' .. step.name .. ' is registered twice')
    steps[step.name] = {
        name = step.name, run = step.run, limit = step.limit,
        due = 0, pause = 0, runs = 0, failures = 0, seconds = 0, slowest = 0, last_error = nil,
    }
    table.insert(order, step.name)
end

-- Run one slice of a step and set when it is due again. Due times are of the monotonic clock.
local function run_slice(step)
    local started = clock.monotonic()
    -- A wake that comes while the slice waits for its commit must not be lost.
    step.woken = false
    local ok, more, next_due = pcall(step.run, step.limit)
    local finished = clock.monotonic()
    step.runs = step.runs + 1
    step.seconds = step.seconds + (finished - started)
    step.slowest = math.max(step.slowest, finished - started)
    if not ok then
        box.rollback()
        step.failures = step.failures + 1
        step.last_error = tostring(more)
        step.pause = math.min(LONGEST_PAUSE, math.max(FIRST_PAUSE, step.pause * 2))
        step.due = finished + step.pause
        log.error('daemon step %s failed, again in %.1f s: %s', step.name, step.pause, step.last_error)
        return
    end
    step.pause = 0
    if step.woken or more == true or (type(more) == 'number' and more > 0) then
        step.due = 0
    elseif next_due ~= nil then
        step.due = finished + math.max(0, math.min(IDLE_SECONDS, next_due - clock.now()))
    else
        step.due = finished + IDLE_SECONDS
    end
end

local function next_due()
    local earliest = math.huge
    for _, name in ipairs(order) do
        earliest = math.min(earliest, steps[name].due)
    end
    return earliest
end

local function loop()
    fiber.name('lycosa.daemon')
    while running do
        if box.info.ro then
            -- A replica does no background writes; they arrive from the leader.
            bell:wait(1)
        else
            local now = clock.monotonic()
            for _, name in ipairs(order) do
                if running and steps[name].due <= now then
                    run_slice(steps[name])
                    fiber.yield()
                end
            end
            local wait = next_due() - clock.monotonic()
            if running and wait > 0 then
                bell:wait(wait)
            end
        end
    end
end

---Start the loop. Restarted by itself should the fiber die of anything unforeseen.
function daemon.start()
    running, bell = true, fiber.cond()
    worker = fiber.new(function()
        while running do
            local ok, problem = pcall(loop)
            if not ok and running then
                fiber.testcancel()
                log.error('the daemon loop failed and starts again: %s', tostring(problem))
                fiber.sleep(FIRST_PAUSE)
            end
        end
    end)
    worker:set_joinable(true)
end

---Stop the loop after the slice it is in.
function daemon.stop()
    if worker == nil then
        return
    end
    running = false
    bell:broadcast()
    worker:join()
    worker, steps, order = nil, {}, {}
end

---Make a step due now. Cheap and safe inside a transaction: the loop runs it after the next yield.
---@param name string
function daemon.wake(name)
    local step = steps[name]
    if step ~= nil and step.pause == 0 then
        step.due, step.woken = 0, true
        if bell ~= nil then
            bell:signal()
        end
    end
end

---Run a step's slices here and now until nothing is left: for tests and for maintenance from the console.
---@param name string
---@param most integer? slices at the most, 1,000 when absent
---@return integer slices run
function daemon.drain(name, most)
    local step = assert(steps[name], 'there is no step ' .. tostring(name))
    for slice = 1, most or 1000 do
        local more = step.run(step.limit)
        if not (more == true or (type(more) == 'number' and more > 0)) then
            return slice
        end
        fiber.yield()
    end
    return most or 1000
end

---Figures of every step, in order of registration. Times in seconds.
---@return table[]
function daemon.figures()
    local answer = {}
    for i, name in ipairs(order) do
        local step = steps[name]
        answer[i] = {
            name = name, runs = step.runs, failures = step.failures, seconds = step.seconds,
            slowest = step.slowest, last_error = step.last_error or box.NULL,
            due_in = math.max(0, step.due - clock.monotonic()),
        }
    end
    return answer
end

return daemon
