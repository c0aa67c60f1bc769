-- The surface of the customer domain.

local T = require('lycosa.core.types')
local cursor = require('lycosa.core.cursor')
local customer = require('lycosa.customer')

local MAX_BATCH = 1000

local OUTCOME = T.record('UpsertOutcome', {
    {'outcome', T.enum{'inserted', 'updated', 'unchanged', 'invalid', 'conflict'}},
    {'id', T.nullable(T.name), nullable = true, doc = 'null where the row names no valid id'},
    {'version', T.nullable(T.integer{min = 0}), nullable = true,
        doc = 'the stored version; with `conflict` the present one, 0 for none stored'},
    {'field', T.nullable(T.text{max = 256}), nullable = true, doc = 'which field is wrong'},
    {'problem', T.nullable(T.text{max = 256}), nullable = true, doc = 'what is wrong with it'},
}, {form = 'array'})

local PAGE = T.record('CustomerPage', {
    {'rows', T.list(customer.RECORD, {max = MAX_BATCH})},
    {'next', T.nullable(cursor.TYPE), nullable = true, doc = 'cursor of the page that follows, null at the end'},
    {'previous', T.nullable(cursor.TYPE), nullable = true, doc = 'cursor of the page before, null at the beginning'},
})

local SEGMENT = T.record('SegmentFigures', {
    {'tenant', T.name},
    {'bucket_id', T.integer{min = 1}},
    {'segment', T.text{max = 128}, doc = 'empty for the customers in none'},
    {'customers', T.integer{min = 1}},
    {'revenue_cents', T.integer{min = 0}},
    {'orders', T.integer{min = 0}},
    {'updated_at', T.time},
}, {form = 'tuple'})

local SEGMENT_PAGE = T.record('SegmentPage', {
    {'rows', T.list(SEGMENT, {max = MAX_BATCH})},
    {'next', T.nullable(cursor.TYPE), nullable = true, doc = 'cursor of the page that follows, null at the end'},
    {'previous', T.nullable(cursor.TYPE), nullable = true, doc = 'cursor of the page before, null at the beginning'},
})

return {
    {
        name = 'customer.upsert', access = 'app', mode = 'write', idempotent = true,
        doc = 'Insert and change up to 1,000 customers in one transaction, with an outcome for every row. '
            .. 'A row is a patch: an absent field keeps what is stored, null clears it. It is found by id, else by '
            .. 'external_id. Rows that say nothing new are written nowhere. An invalid row names its field and '
            .. 'stops no other; an id or external_id may stand in one row of a batch.',
        args = {
            {'tenant', T.name},
            {'rows', T.list(T.unchecked(customer.INPUT), {max = MAX_BATCH})},
        },
        returns = T.list(OUTCOME, {max = MAX_BATCH}),
        errors = {'MEMORY_FULL'},
        run = customer.upsert,
    },
    {
        name = 'customer.get', access = 'read', mode = 'read',
        doc = 'One customer by id.',
        args = {{'tenant', T.name}, {'id', T.name}},
        returns = customer.RECORD,
        errors = {'CUSTOMER_NOT_FOUND'},
        run = customer.get,
    },
    {
        name = 'customer.find', access = 'read', mode = 'read',
        packs = 'rows',
        doc = 'A page of customers by one of the indexes, with cursors to the next and the previous page. '
            .. 'Pages do not shift when customers are inserted or deleted meanwhile.',
        args = {
            {'tenant', T.name},
            {'by', T.enum{'id', 'external_id', 'email', 'segment', 'tag', 'name', 'all'},
                doc = 'segment orders by since, name by the folded name, the others by id'},
            {'value', T.text{max = 512}, optional = true,
                doc = 'what to look for: equal, for name a prefix in any case; none with by = all'},
            {'prefix', T.text{max = 128}, optional = true, doc = 'with by = all: how ids begin, byte by byte'},
            {'from', T.time, optional = true, doc = 'with by = segment: since at or after, unix seconds'},
            {'until', T.time, optional = true, doc = 'with by = segment: since before, unix seconds'},
            {'order', T.enum{'asc', 'desc'}, default = 'asc'},
            {'cursor', cursor.TYPE, optional = true, doc = 'next or previous of another page of the same query'},
            {'limit', T.integer{min = 1, max = 1000}, default = 20},
        },
        returns = PAGE,
        errors = {'INVALID_CURSOR'},
        run = customer.find,
    },
    {
        name = 'customer.delete', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete up to 1,000 customers by id in one transaction; unknown ids are passed over.',
        args = {{'tenant', T.name}, {'ids', T.list(T.name, {max = MAX_BATCH})}},
        returns = T.record('DeletedCustomers', {{'deleted', T.integer{min = 0}, doc = 'how many there were'}}),
        errors = {},
        run = customer.delete,
    },
    {
        name = 'customer.segments', access = 'read', mode = 'read',
        doc = 'Figures of the segments by name: customers, revenue in cents, orders. Kept by every write, read by key.',
        args = {
            {'tenant', T.name},
            {'prefix', T.text{max = 128}, optional = true, doc = 'how names begin, byte by byte'},
            {'cursor', cursor.TYPE, optional = true},
            {'limit', T.integer{min = 1, max = 1000}, default = 20},
        },
        returns = SEGMENT_PAGE,
        errors = {'INVALID_CURSOR'},
        run = customer.segments,
    },
    {
        name = 'customer.segment', access = 'read', mode = 'read',
        doc = 'Figures of one segment; the empty name stands for the customers in none.',
        args = {{'tenant', T.name}, {'segment', T.text{max = 128}}},
        returns = SEGMENT,
        errors = {'SEGMENT_NOT_FOUND'},
        run = customer.segment,
    },
    {
        name = 'customer.count', access = 'read', mode = 'read',
        doc = 'How many customers a tenant has. Kept by every write, not counted.',
        args = {{'tenant', T.name}},
        returns = T.integer{min = 0},
        errors = {},
        run = customer.count,
    },
}
