-- Rows read by index lie anywhere in the arena. In pages of 4 KiB nearly every one of them costs a walk through page tables
-- that no longer fit the processor's cache; in pages of 2 MiB they do. Linux gives those to who asks where
-- /sys/kernel/mm/transparent_hugepage/enabled says `madvise` (most distributions) or `always`. There is no fork here, so
-- nothing is ever copied for a snapshot.

local ffi = require('ffi')

local huge_pages = {}

ffi.cdef[[int madvise(void *address, size_t length, int advice);]]
local MADV_HUGEPAGE = 14

---Ask for huge pages where the arena stands. Of use between its making and its filling: box.ctl.on_schema_init.
---@param least number bytes: no smaller mapping is touched
---@return integer mappings that were advised; 0 where the system has no such pages
function huge_pages.advise(least)
    local maps = io.open('/proc/self/maps')
    if maps == nil then
        return 0
    end
    local advised = 0
    for line in maps:lines() do
        -- Only anonymous memory: inode 0, and nothing named behind it.
        local first, last = line:match('^(%x+)%-(%x+) rw%-p %x+ %x+:%x+ 0%s*$')
        local from = first and tonumber(first, 16)
        local length = first and tonumber(last, 16) - from
        if first and length >= least then
            local address = ffi.cast('void *', ffi.cast('uintptr_t', from))
            advised = advised + (ffi.C.madvise(address, length, MADV_HUGEPAGE) == 0 and 1 or 0)
        end
    end
    maps:close()
    return advised
end

return huge_pages
