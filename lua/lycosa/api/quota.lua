local T = require('lycosa.core.types')
local cursor = require('lycosa.core.cursor')
local fields = require('lycosa.quota.fields')
local quota = require('lycosa.quota')

local KIND = T.enum{'rate', 'window', 'slots'}
local WINDOW = T.enum{'minute', 'hour', 'day', 'month', 'total'}
local STATE = T.enum{'reserved', 'unknown', 'lapsed', 'settled', 'refunded', 'reconciled'}
-- Whole numbers of the smallest unit: a millionth of a dollar at scale 6.
local LIMIT = T.integer{min = 0, max = fields.MAX_LIMIT}
local AMOUNT = T.integer{min = 1, max = fields.MAX_CLAIM}
local SPENT = T.integer{min = 0, max = fields.MAX_CLAIM}
local SCALE = T.integer{min = 0, max = 9}
local PERIOD = T.number{min = 0.001, max = 31536000}
local LEASE = T.number{min = 0.001, max = 604800}
local MINUTES = T.integer{min = -1440, max = 1440}
local COUNT = T.integer{min = 0}
local UNIT = T.text{max = 32}

local CLAIMS = T.list(T.record('QuotaClaim', {
    {'quota', T.name, doc = 'name of a limit'},
    {'amount', AMOUNT, doc = 'whole number of its smallest unit'},
}), {min = 1, max = fields.MAX_CLAIMS})

local AMOUNTS = T.list(T.record('QuotaAmount', {
    {'quota', T.name, doc = 'name of a limit of the reservation'},
    {'amount', SPENT, doc = 'what was really spent of it'},
}), {max = fields.MAX_CLAIMS})

local OFFSETS = T.list(T.record('UtcOffsetInput', {
    {'starts_at', T.integer{min = 0, max = 253402300799}, doc = 'unix seconds from which it holds'},
    {'minutes', MINUTES, doc = 'minutes that local time is ahead of UTC'},
}), {min = 1, max = 64})

local QUOTA_LIMIT = T.record('QuotaLimit', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'quota', T.name}, {'kind', KIND}, {'amount', LIMIT},
    {'unit', UNIT}, {'scale', SCALE}, {'shadow', T.boolean}, {'period', T.nullable(PERIOD)},
    {'burst', T.nullable(LIMIT)}, {'window', T.nullable(WINDOW)}, {'time_zone', T.nullable(T.name)},
    {'utc_offsets', T.nullable(T.list(T.list(T.integer(), {min = 2, max = 2}), {max = 64}))},
    {'created_at', T.time}, {'updated_at', T.time},
}, {form = 'tuple'})

local QUOTA_STATE = T.record('QuotaState', {
    {'quota', T.name}, {'left', COUNT, doc = 'whole units, after the claim'}, {'limit', COUNT},
    {'near', T.boolean, doc = 'whether 80 % are taken'},
    {'reset', T.nullable(T.time), doc = 'when a rate is whole again or the window ends'},
}, {form = 'array'})

local QUOTA_RESERVATION = T.record('QuotaReservation', {
    {'id', T.name}, {'state', STATE}, {'created_at', T.time}, {'lapses_at', T.time},
    {'closed_at', T.nullable(T.time)},
    {'claims', T.list(T.record('QuotaHeld', {
        {'quota', T.name}, {'kind', KIND}, {'amount', AMOUNT},
        {'spent', T.nullable(SPENT), doc = 'null until it is closed'},
    }, {form = 'array'}), {max = fields.MAX_CLAIMS})},
}, {form = 'array'})

local FIGURES = {
    {'quota', T.name}, {'kind', KIND}, {'limit', COUNT, doc = 'the amount, the burst of a rate'}, {'unit', UNIT},
    {'scale', SCALE}, {'shadow', T.boolean}, {'window', T.nullable(WINDOW)},
    {'used', COUNT, doc = 'spent in this window; of a rate: not yet flowed off, rounded up'},
    {'reserved', COUNT, doc = 'held by open reservations'},
    {'unknown', COUNT, doc = 'of reservations whose lease ended unsettled; counts as spent'},
    {'left', COUNT, doc = 'limit - used - reserved - unknown, at least 0'},
    {'over', COUNT, doc = 'how far the limit is passed: in shadow mode, by settling more than was reserved, by lowering it'},
    {'near', T.boolean, doc = 'whether 80 % are taken'},
    {'near_count', COUNT, doc = 'claims that left it with 80 % taken or more, since it was defined or reset'},
    {'shadowed', COUNT, doc = 'claims let through in shadow mode that would have been refused'},
    {'since', T.time, doc = 'what the figures count from'},
    {'reset', T.nullable(T.time), doc = 'when a rate is whole again or the window ends; null where time changes nothing'},
}

local QUOTA_REPORT = T.record('QuotaReport', FIGURES)
local TENANT_QUOTA = T.record('TenantQuota', {{'tenant', T.name}, unpack(FIGURES)})

local TENANT = {'tenant', T.name, doc = 'whose limits'}
local QUOTA = {'quota', T.name, doc = 'name of the limit'}
local RESERVATION_ID = {'id', T.name, doc = 'as given to quota.reserve'}
local CURSOR = {'cursor', cursor.TYPE, optional = true, doc = 'next or previous of another page of the same query'}
local PAGE_LIMIT = {'limit', T.integer{min = 1, max = 100}, default = 20, doc = 'rows in a page'}

local function page_of(name, record)
    return T.record(name, {
        {'rows', T.list(record, {max = 100})}, {'next', T.nullable(cursor.TYPE)}, {'previous', T.nullable(cursor.TYPE)},
    })
end

return {
    {
        name = 'quota.define', access = 'app', mode = 'write', idempotent = true,
        doc = 'Define a limit of a tenant, or change one; a change keeps its counters. A rate lets `amount` units flow in '
            .. 'every `period` seconds and `burst` at once; a window holds `amount` for a minute, hour, day or month of '
            .. 'the calendar, or in total; slots are held by `amount` reservations at a time. Amounts are whole numbers '
            .. 'of the smallest unit: `scale` tells how many decimals that has. In shadow mode it counts and refuses '
            .. 'nothing.',
        args = {
            TENANT, QUOTA,
            {'kind', KIND, doc = 'rate, window or slots; it cannot be changed'},
            {'amount', LIMIT, doc = 'the limit, in smallest units'},
            {'unit', UNIT, default = '', doc = 'what is counted, such as request, token or USD'},
            {'scale', SCALE, default = 0, doc = 'decimals of the smallest unit; it cannot be changed'},
            {'shadow', T.boolean, default = false, doc = 'count and report, never refuse'},
            {'period', PERIOD, optional = true, doc = 'of a rate: seconds in which the amount flows'},
            {'burst', T.integer{min = 1, max = fields.MAX_LIMIT}, optional = true,
                doc = 'of a rate: units at once; the amount when absent'},
            {'window', WINDOW, optional = true, doc = 'of a window: how long it counts'},
            {'time_zone', T.name, optional = true, doc = 'of a window: the name of its zone; UTC when absent'},
            {'utc_offsets', OFFSETS, optional = true,
                doc = 'of a window: the zone itself, ascending; the first entry holds before its moment, too'},
        },
        returns = QUOTA_LIMIT, errors = {'INVALID_ARGUMENT', 'QUOTA_KIND_FIXED', 'MEMORY_FULL'}, run = quota.define,
    },
    {
        name = 'quota.list', access = 'read', mode = 'read',
        doc = 'A page of a tenant\'s limits by name, as they were defined.',
        args = {
            TENANT, {'prefix', T.text{max = 128}, optional = true, doc = 'how names begin, byte by byte'},
            CURSOR, PAGE_LIMIT,
        },
        returns = page_of('QuotaLimitPage', QUOTA_LIMIT), errors = {'INVALID_CURSOR'}, run = quota.list,
    },
    {
        name = 'quota.report', access = 'read', mode = 'read',
        doc = 'What is used, reserved, unknown and left of limits: of those named, or of a page of all by name.',
        args = {
            TENANT,
            {'quotas', T.list(T.name, {max = 100}), optional = true, doc = 'names of limits; pages of all when absent'},
            CURSOR, PAGE_LIMIT,
        },
        returns = page_of('QuotaReportPage', QUOTA_REPORT), errors = {'QUOTA_UNKNOWN', 'INVALID_CURSOR'},
        run = quota.report,
    },
    {
        name = 'quota.survey', access = 'read', mode = 'read',
        doc = 'Figures of the first limits of all tenants, by tenant and name, and how many limits there are.',
        args = {{'limit', T.integer{min = 1, max = 1000}, default = 100, doc = 'rows at most'}},
        returns = T.record('QuotaSurvey', {
            {'rows', T.list(TENANT_QUOTA, {max = 1000})}, {'limits', COUNT, doc = 'of all tenants'},
        }),
        errors = {}, run = quota.survey,
    },
    {
        name = 'quota.zoned', access = 'app', mode = 'read',
        doc = 'Limits of all tenants whose windows follow a time zone other than UTC, among a page of all limits.',
        args = {CURSOR, {'limit', T.integer{min = 1, max = 1000}, default = 1000, doc = 'limits looked at'}},
        returns = T.record('ZonedQuotaPage', {
            {'rows', T.list(QUOTA_LIMIT, {max = 1000})}, {'next', T.nullable(cursor.TYPE)},
            {'previous', T.nullable(cursor.TYPE)},
        }),
        errors = {'INVALID_CURSOR'}, run = quota.zoned,
    },
    {
        name = 'quota.renew_zone', access = 'app', mode = 'write', idempotent = true,
        doc = 'Give a limit its time zone anew, as a zone database tells it now. Nothing is done where the limit is gone '
            .. 'or has another zone by now.',
        args = {
            TENANT, QUOTA, {'time_zone', T.name, doc = 'the name that the limit has'},
            {'utc_offsets', OFFSETS, doc = 'as of quota.define'},
        },
        returns = T.record('ZoneRenewed', {{'renewed', T.boolean}}),
        errors = {'INVALID_ARGUMENT', 'MEMORY_FULL'}, run = quota.renew_zone,
    },
    {
        name = 'quota.reset', access = 'app', mode = 'write',
        doc = 'Forget what was used and what is unknown of a limit; what is reserved stays.',
        args = {TENANT, QUOTA}, returns = QUOTA_LIMIT, errors = {'QUOTA_UNKNOWN'}, run = quota.reset,
    },
    {
        name = 'quota.remove', access = 'app', mode = 'write', idempotent = true,
        doc = 'Remove a limit and its counters. One that open reservations hold is not removed.',
        args = {TENANT, QUOTA},
        returns = T.record('QuotaRemoved', {{'removed', T.boolean, doc = 'false when there was none'}}),
        errors = {'QUOTA_IN_USE'}, run = quota.remove,
    },
    {
        name = 'quota.take', access = 'app', mode = 'write', coalesce = 'quota.take_many',
        doc = 'Take units from every named limit, all or nothing. A refusal changes nothing; it names the limit that '
            .. 'has to be waited for longest, what is left of it and how long. Slots are not taken but reserved.',
        args = {TENANT, {'claims', CLAIMS, doc = 'what to take, each limit once'}},
        returns = T.list(QUOTA_STATE, {max = fields.MAX_CLAIMS}),
        errors = {'INVALID_ARGUMENT', 'QUOTA_UNKNOWN', 'QUOTA_EXCEEDED'}, run = quota.take,
    },
    {
        name = 'quota.take_many', access = 'app', mode = 'write',
        doc = 'Many takes, each decided alone in their order, in one transaction. One that is refused changes nothing '
            .. 'and undoes no other: its outcome holds the error instead of the answer.',
        args = {TENANT, {'takes', T.list(CLAIMS, {max = 64}), doc = 'the claims of each'}},
        returns = T.list(T.record('QuotaTaken', {
            {'answer', T.nullable(T.list(QUOTA_STATE, {max = fields.MAX_CLAIMS}))},
            {'refused', T.nullable(T.text{max = 511}), doc = 'an error of quota.take as it crosses the wire'},
        }, {form = 'array'}), {max = 64}),
        errors = {}, run = quota.take_many,
    },
    {
        name = 'quota.reserve', access = 'app', mode = 'write', idempotent = true,
        doc = 'Hold units of every named limit until the true amounts are known, all or nothing. When the lease ends '
            .. 'unsettled, slots go back and what may have been spent of windows counts as unknown. The same id with '
            .. 'the same claims answers the reservation that is there.',
        args = {
            TENANT,
            {'id', T.name, doc = 'given by the caller, unique within the tenant'},
            {'claims', CLAIMS, doc = 'the most that may be spent, each limit once'},
            {'lease', LEASE, doc = 'seconds in which it is to be settled, at most a week'},
        },
        returns = QUOTA_RESERVATION,
        errors = {
            'INVALID_ARGUMENT', 'QUOTA_UNKNOWN', 'QUOTA_EXCEEDED', 'QUOTA_RESERVATION_EXISTS',
            'QUOTA_RESERVATION_STATE', 'MEMORY_FULL',
        },
        run = quota.reserve,
    },
    {
        name = 'quota.settle', access = 'app', mode = 'write', idempotent = true,
        doc = 'Close a reservation with what was really spent. More than was reserved is counted, too, even beyond the '
            .. 'limit; less goes back, but for rates. It is taken after the end of the lease as well.',
        args = {
            TENANT, RESERVATION_ID,
            {'amounts', AMOUNTS, default = {}, doc = 'what was spent where it differs from what was reserved'},
        },
        returns = QUOTA_RESERVATION,
        errors = {'INVALID_ARGUMENT', 'QUOTA_RESERVATION_NOT_FOUND', 'QUOTA_RESERVATION_STATE'}, run = quota.settle,
    },
    {
        name = 'quota.refund', access = 'app', mode = 'write', idempotent = true,
        doc = 'Close a reservation of which nothing was spent. Units of rates do not come back.',
        args = {TENANT, RESERVATION_ID},
        returns = QUOTA_RESERVATION,
        errors = {'QUOTA_RESERVATION_NOT_FOUND', 'QUOTA_RESERVATION_STATE'}, run = quota.refund,
    },
    {
        name = 'quota.reconcile', access = 'app', mode = 'write', idempotent = true,
        doc = 'Say what was really spent of a reservation that is unknown, as its provider\'s account tells.',
        args = {
            TENANT, RESERVATION_ID,
            {'amounts', AMOUNTS, default = {}, doc = 'what was spent where it differs from what was reserved'},
        },
        returns = QUOTA_RESERVATION,
        errors = {'INVALID_ARGUMENT', 'QUOTA_RESERVATION_NOT_FOUND', 'QUOTA_RESERVATION_STATE'},
        run = quota.reconcile,
    },
    {
        name = 'quota.reservation', access = 'read', mode = 'read',
        doc = 'One reservation: its state, its lease and its claims. Closed ones are kept for a day, unknown '
            .. 'ones while a limit counts them and 90 days at least.',
        args = {TENANT, RESERVATION_ID},
        returns = QUOTA_RESERVATION, errors = {'QUOTA_RESERVATION_NOT_FOUND'}, run = quota.reservation,
    },
    {
        name = 'quota.reservations', access = 'read', mode = 'read',
        doc = 'A page of the reservations in one state, those whose lease ends first at the top. A lease that has just '
            .. 'ended stands among the reserved, with its true state, until the next step has moved it.',
        args = {TENANT, {'state', STATE, default = 'unknown', doc = 'which reservations'}, CURSOR, PAGE_LIMIT},
        returns = page_of('QuotaReservationPage', QUOTA_RESERVATION), errors = {'INVALID_CURSOR'},
        run = quota.reservations,
    },
}
