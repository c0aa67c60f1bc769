-- Customers: who they are, in which segment, how they are found.
--
-- Owns the spaces customer, customer_segment and customer_total.

local clock = require('lycosa.core.clock')
local fields = require('lycosa.customer.fields')
local find = require('lycosa.customer.find')
local segments = require('lycosa.customer.segments')
local upsert = require('lycosa.customer.upsert')

local customer = {
    INPUT = fields.INPUT,
    RECORD = fields.RECORD,
    upsert = upsert,
    get = find.get,
    find = find.find,
    segments = segments.list,
    segment = segments.one,
    count = segments.count,
}

---Delete customers; unknown ids are passed over.
---@param args {tenant: string, ids: string[]}
---@return {deleted: integer}
function customer.delete(args)
    local space, tenant, ids = box.space.customer, args.tenant, args.ids
    local tally, deleted = segments.tally(), 0
    for i = 1, #ids do
        local stored = space:delete{tenant, ids[i]}
        if stored ~= nil then
            segments.remove(tally, stored)
            deleted = deleted + 1
        end
    end
    segments.write(tenant, tally, clock.now())
    return {deleted = deleted}
end

return customer
