-- Values that come again and again: tenants, quotas, whom to ask. A look into a table is cheaper than one at every byte,
-- so what was made lately of some that were found good is kept.

local new_table = require('table.new')

-- Of one type.
local MOST = 1024

---A check that knows what it has found good lately. What it refuses is checked each time.
---@param check fun(value: any): any, string?, string? lets nothing but strings pass, so that no other value is ever found
---@return fun(value: any): any, string?, string? the same; what it gives is shared by all who give the same string
return function(check)
    local known, count = new_table(0, MOST), 0
    return function(value)
        local checked, problem, path = known[value]
        if checked ~= nil then
            return checked
        end
        checked, problem, path = check(value)
        if checked ~= nil then
            if count == MOST then
                known, count = new_table(0, MOST), 0
            end
            known[value], count = checked, count + 1
        end
        return checked, problem, path
    end
end
