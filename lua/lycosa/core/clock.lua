-- The only reader of time. Tests freeze it, so nothing in the project sleeps to see time pass.

local system = require('clock')

local clock = {}

local frozen

---Seconds since the epoch.
---@return number
function clock.now()
    return frozen or system.realtime()
end

---Seconds of a clock that never goes back and is never frozen: for durations.
---@return number
clock.monotonic = system.monotonic

---Seconds since the epoch, never frozen: for deadlines that callers sent with their own clock.
---@return number
clock.wall = system.realtime

---Stop time. Only in testing mode (see lycosa.start), where it is exposed.
---@param at number? seconds since the epoch; the present moment when absent
function clock.freeze(at)
    -- An absent argument arrives from the network as a null, which is no nil.
    frozen = at ~= nil and at or system.realtime()
end

---Move frozen time.
---@param seconds number
function clock.advance(seconds)
    assert(frozen, 'freeze the clock first')
    frozen = frozen + seconds
end

---Let time run again.
function clock.release()
    frozen = nil
end

return clock
