-- Followers: callers that wait for somebody else's answer.

local fiber = require('fiber')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local metrics = require('lycosa.core.metrics')

local waiting = {}

-- Well below net_msg_max, so that waiters never keep other calls out.
local MOST_PARKED = 10000

local bells, parked, most = {}, 0, MOST_PARKED

---Declare what a scrape shows.
---@param settings {lookup_waiters: integer?}
function waiting.configure(settings)
    most = settings.lookup_waiters or MOST_PARKED
    metrics.gauge('lookup.waiting', function()
        return parked
    end)
end

-- Tenants are names, which hold no control characters.
local function name_of(tenant, key)
    return tenant .. '\0' .. key
end

---Wake the followers of a key once the present transaction is durable; at once outside of one.
---@param tenant string
---@param key string
function waiting.ring(tenant, key)
    local function ring()
        local bell = bells[name_of(tenant, key)]
        if bell ~= nil then
            bell.cond:broadcast()
        end
    end
    if box.is_in_txn() then
        box.on_commit(ring)
    else
        ring()
    end
end

-- Wait for the bell of a key, `seconds` at the most.
local function park(name, seconds)
    local bell = bells[name]
    if bell == nil then
        bell = {cond = fiber.cond(), waiters = 0}
        bells[name] = bell
    end
    bell.waiters = bell.waiters + 1
    parked = parked + 1
    local ok, problem = pcall(bell.cond.wait, bell.cond, seconds)
    parked = parked - 1
    bell.waiters = bell.waiters - 1
    if bell.waiters == 0 then
        bells[name] = nil
    end
    if not ok then
        error(problem, 0)
    end
end

---Ask again whenever something happens to a key, until the answer is no `pending` any more or the time is over.
---Raises LOOKUP_BUSY when too many wait already.
---@param tenant string
---@param key string
---@param seconds number
---@param decide fun(): table a decision, made in a transaction of its own; `ends_at` tells when the lease ends
---@return table the last decision
function waiting.follow(tenant, key, seconds, decide)
    local till, name = clock.monotonic() + seconds, name_of(tenant, key)
    while true do
        -- A pending decision has written nothing, so nothing yields between it and the wait: no bell is missed.
        local decision = decide()
        local left = till - clock.monotonic()
        if decision.outcome ~= 'pending' or left <= 0 then
            return decision
        elseif parked >= most then
            errors.raise('LOOKUP_BUSY', {waiting = parked, retry_after = 0.5})
        end
        -- A leader that died rings no bell.
        park(name, math.min(left, math.max(0.001, decision.ends_at - clock.now())))
    end
end

return waiting
