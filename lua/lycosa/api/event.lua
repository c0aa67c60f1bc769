local T = require('lycosa.core.types')
local event = require('lycosa.event')

local NUMBER = T.integer{min = 0, max = 1000000}
local DATA = T.text{max = 1048576}

local EVENT_INPUT = T.record('EventInput', {
    {'kind', T.name, doc = 'what it is, such as token or report'}, {'data', DATA, doc = 'its content, as JSON'},
})

local EVENT = T.record('Event', {{'number', NUMBER}, {'kind', T.name}, {'data', DATA}}, {form = 'array'})

local TENANT = {'tenant', T.name, doc = 'whose stream it is'}
local STREAM = {'stream', T.name, doc = 'such as the id of the request'}

return {
    {
        name = 'event.append', access = 'app', mode = 'write', idempotent = true,
        doc = 'Append events to a stream, beginning it with the first call; without events, say that the writer is still '
            .. 'there. They must follow the last one; the same call repeated writes nothing.',
        args = {
            TENANT, STREAM,
            {'writer', T.name, doc = 'who writes the stream: nobody else may'},
            {'first', T.integer{min = 1, max = 1000000}, doc = 'number of the first of these events'},
            {'events', T.list(EVENT_INPUT, {max = 64}), default = {}},
            {'ended', T.boolean, default = false, doc = 'whether these are the last'},
            {'keep', T.number{min = 1, max = 86400}, default = 600, doc = 'seconds until the stream expires, from now'},
        },
        returns = T.record('EventAppended', {{'last', NUMBER, doc = 'number of the last event'}}),
        errors = {'INVALID_ARGUMENT', 'EVENT_OUT_OF_ORDER', 'EVENT_STREAM_FULL', 'MEMORY_FULL'}, run = event.append,
    },
    {
        name = 'event.read', access = 'read', mode = 'read',
        doc = 'The events of a stream after a number, in order: as many as the limit and 256 KiB allow.',
        args = {
            TENANT, STREAM,
            {'after', NUMBER, default = 0, doc = 'the last event that the caller knows'},
            {'limit', T.integer{min = 1, max = 256}, default = 256},
        },
        returns = T.record('EventPage', {
            {'events', T.list(EVENT, {max = 256})},
            {'last', NUMBER, doc = 'number of the last event there is'},
            {'ended', T.boolean, doc = 'whether none will follow it'},
            {'silent', T.number{min = 0}, doc = 'seconds since the writer was seen'},
        }),
        errors = {'EVENT_STREAM_NOT_FOUND'}, run = event.read,
    },
}
