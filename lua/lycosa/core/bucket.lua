-- Where a tenant's data lives once it is spread over machines: one tenant, one bucket.

local digest = require('digest')

local bucket = {}

-- Frozen for ever: stored in every row.
bucket.COUNT = 30000

---Bucket of a tenant, 1..30000: 1 + crc32c(tenant) mod 30000.
---@param tenant string
---@return integer
function bucket.of(tenant)
    return 1 + digest.crc32(tenant) % bucket.COUNT
end

return bucket
