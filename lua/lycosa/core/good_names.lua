-- Names come again and again: tenants, quotas, providers. A look into a table is cheaper than one at every byte, so some
-- that were found good lately are kept.

local new_table = require('table.new')

local good_names = {}

-- 128 bytes each at the most.
local MOST = 1024

---Let the type of names know those that it has found good lately. What it refuses is checked each time.
---@param type_ lycosa.Type whose check gives a string back as it is
---@return lycosa.Type the same
function good_names.remembered(type_)
    -- It holds nothing but strings, so that no other value is ever found in it.
    local check, good, count = type_.check, new_table(0, MOST), 0
    type_.check = function(value)
        if good[value] then
            return value
        end
        local checked, problem = check(value)
        if checked ~= nil then
            if count == MOST then
                good, count = new_table(0, MOST), 0
            end
            good[checked], count = true, count + 1
        end
        return checked, problem
    end
    return type_
end

return good_names
