-- Which provider buys the answer.
--
-- The rule: the first candidate in order that may be called and whose quotas have the units; they are reserved at once.
-- One of whose budgets 80 % are taken gives way to a cheaper candidate behind it that may be called, too. One that claims
-- nothing is no cheaper one but the last resort: the rest of a budget is spent before it is asked.

local errors = require('lycosa.core.errors')
local quota = require('lycosa.quota')
local health = require('lycosa.lookup.health')

local routing = {}

-- Candidates in their order: an administrator's place goes before the caller's.
local function in_order(account, candidates)
    local order, places = {}, {}
    for i, candidate in ipairs(candidates) do
        order[i] = i
        places[i] = health.place(account, candidate.provider) or math.huge
    end
    table.sort(order, function(left, right)
        if places[left] ~= places[right] then
            return places[left] < places[right]
        end
        return left < right
    end)
    for i, at in ipairs(order) do
        order[i] = candidates[at]
    end
    return order
end

-- Reserve what a candidate costs. Gives the reservation's id, null where it costs nothing; or nothing, and why not.
local function reserve(account, candidate, id, seconds)
    if #candidate.claims == 0 then
        return true, box.NULL
    end
    -- A refused reservation has changed nothing.
    local ok, raised = pcall(quota.reserve, {tenant = account, id = id, claims = candidate.claims, lease = seconds})
    if ok then
        return true, id
    end
    local code, details = errors.parse(raised)
    if code ~= 'QUOTA_EXCEEDED' then
        error(raised, 0)
    end
    return false, {
        provider = candidate.provider, reason = 'quota', detail = details.quota, retry_after = details.retry_after,
    }
end

-- Whether a cheaper candidate stands behind one whose budgets are nearly spent, and may be called.
local function cheaper_behind(account, order, at, tried, now)
    if not quota.is_near(account, order[at].claims) then
        return false
    end
    for i = at + 1, #order do
        local other = order[i]
        if not tried[other.provider] and other.cost < order[at].cost and #other.claims > 0
            and health.obstacle(account, other.provider, now) == nil then
            return true
        end
    end
    return false
end

---@class lycosa.LookupCandidate
---@field provider string
---@field claims {quota: string, amount: integer}[] what one call takes
---@field cost number what one call costs, in any one unit: only compared

---Choose a candidate and reserve its units.
---@param account string the tenant whose quotas and breakers they are
---@param candidates lycosa.LookupCandidate[]
---@param tried table<string, boolean> providers that have failed this lease
---@param lease {id: string, token: string, ends_at: number} id for the reservation
---@param now number
---@return {provider: string, reservation_id: string?, reason: string}? nil when nobody can be asked
---@return {provider: string, reason: string, detail: string?, retry_after: number?}[] who was passed over, and why
function routing.choose(account, candidates, tried, lease, now)
    local order, skipped, saved = in_order(account, candidates), {}, nil
    local function take(candidate, reason)
        local reserved, found = reserve(account, candidate, lease.id, lease.ends_at - now)
        if not reserved then
            table.insert(skipped, found)
            return nil
        end
        health.call(account, candidate.provider, lease.token, lease.ends_at, now)
        return {provider = candidate.provider, reservation_id = found, reason = reason}
    end
    for i, candidate in ipairs(order) do
        if not tried[candidate.provider] then
            local obstacle, retry_after = health.obstacle(account, candidate.provider, now)
            if obstacle ~= nil then
                table.insert(skipped, {provider = candidate.provider, reason = obstacle, retry_after = retry_after})
            elseif saved == nil and cheaper_behind(account, order, i, tried, now) then
                saved = candidate
                table.insert(skipped, {provider = candidate.provider, reason = 'near_limit'})
            else
                local chosen
                if saved ~= nil and #candidate.claims == 0 then
                    chosen, saved = take(saved, 'first'), nil
                end
                chosen = chosen or take(candidate, saved and 'near_limit' or i == 1 and 'first' or 'fallback')
                if chosen then
                    return chosen, skipped
                end
            end
        end
    end
    -- Nobody cheaper could be had after all.
    return saved and take(saved, 'first') or nil, skipped
end

---The denial that follows from who was passed over and who failed: what to wait for, if waiting helps anybody.
---@param failed table[] of health.failed
---@param skipped table[] of routing.choose
---@return {kind: string, reason: string, retry_after: number?}
function routing.denial(failed, skipped)
    local kind, words, soonest = 'unavailable', {}, nil
    for _, list in ipairs{failed, skipped} do
        for _, one in ipairs(list) do
            if one.reason == 'quota' or one.reason == 'throttled' or one.reason == 'exhausted' then
                kind = 'exhausted'
            end
            if one.retry_after ~= nil and (soonest == nil or one.retry_after < soonest) then
                soonest = one.retry_after
            end
            table.insert(words, ('%s: %s'):format(one.provider, one.detail and one.reason .. ' ' .. one.detail or one.reason))
        end
    end
    return {kind = kind, reason = table.concat(words, ', '), retry_after = soonest}
end

return routing
