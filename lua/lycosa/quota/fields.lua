-- Numbers of the fields of the quota spaces, and the bounds of amounts.

local fields = {}

-- Fields of `quota_limit`: the definition, then the counters.
fields.TENANT, fields.QUOTA, fields.KIND, fields.AMOUNT, fields.UNIT, fields.SCALE, fields.SHADOW = 1, 3, 4, 5, 6, 7, 8
fields.PERIOD, fields.BURST, fields.WINDOW, fields.TIME_ZONE, fields.OFFSETS = 9, 10, 11, 12, 13
fields.CREATED, fields.UPDATED = 14, 15
fields.USED, fields.RESERVED, fields.UNKNOWN, fields.SINCE, fields.ENDS = 16, 17, 18, 19, 20
fields.NEAR, fields.SHADOWED, fields.GENERATION = 21, 22, 23

-- The kinds of a limit.
fields.RATE, fields.PERIODIC, fields.SLOTS = 'rate', 'window', 'slots'

-- Limits and claims are whole numbers of the smallest unit. Counters stay exact up to MOST, which is below 2^53.
fields.MAX_LIMIT = 1e15
fields.MAX_CLAIM = 1e12
fields.MOST = 9e15

-- Limits that one take or reservation may claim.
fields.MAX_CLAIMS = 16

-- Later than every moment: the end of a window that never ends.
fields.NEVER = 1e12

return fields
