-- The surface of chat histories.

local T = require('lycosa.core.types')
local cursor = require('lycosa.core.cursor')
local session = require('lycosa.session')

local ROLE = T.enum{'user', 'assistant', 'system', 'tool'}
-- 256 KiB.
local CONTENT = T.text{max = 262144}
local NUMBER = T.integer{min = 0, max = 1000000000}
local TOKENS = T.integer{min = 0, max = 10000000}
local SUM = T.integer{min = 0}
local IDLE = T.number{min = 0, max = 315360000}
local AGENT = T.text{max = 128}
local EXTRA = T.map(T.scalar, {max = 32})

local SESSION = T.record('Session', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'id', T.name},
    {'generation', NUMBER, doc = 'counts sessions of this id that ended and are still being cleaned away'},
    {'current_agent', T.nullable(AGENT), doc = 'which agent has the word'},
    {'metadata', EXTRA}, {'created_at', T.time}, {'last_active_at', T.time},
    {'idle', IDLE, doc = 'seconds without activity after which it ends, 0 for ever'},
    {'ends_at', T.time}, {'messages', NUMBER, doc = 'how many; also the number of the last one'},
    {'bytes', SUM}, {'tokens', SUM},
}, {form = 'tuple'})

local MESSAGE = T.record('SessionMessage', {
    {'tenant', T.name}, {'bucket_id', T.integer{min = 1}}, {'session', T.name}, {'generation', NUMBER},
    {'number', NUMBER, doc = 'its place in the session, from 1'},
    {'id', T.name}, {'role', ROLE}, {'content', CONTENT}, {'body', T.nullable(CONTENT)}, {'tokens', TOKENS},
    {'created_at', T.time}, {'extra', EXTRA},
}, {form = 'tuple'})

local MESSAGE_INPUT = T.record('SessionMessageInput', {
    {'id', T.name, doc = 'given by the writer, unique within the session: a repeated one is not written again'},
    {'role', ROLE}, {'content', CONTENT},
    {'body', CONTENT, optional = true, doc = 'the message in its writer\'s own form, where content does not hold all of it'},
    {'tokens', TOKENS, optional = true, doc = 'counted by the writer; estimated at four bytes each when absent'},
    {'created_at', T.time, optional = true, doc = 'when it was said; now when absent'},
    {'extra', EXTRA, optional = true, doc = 'such as the agent, the model or the tool call answered'},
})

local TENANT = {'tenant', T.name, doc = 'whose session it is'}
local ID = {'id', T.name, doc = 'given by the caller, unique within the tenant'}
local IDLE_DOC = 'seconds without activity after which it ends, 0 for ever'

return {
    {
        name = 'session.create', access = 'app', mode = 'write', idempotent = true,
        doc = 'Begin a session. Repeated while it has no messages it answers the same session.',
        args = {
            TENANT, ID,
            {'current_agent', T.name, optional = true, doc = 'which agent has the word'},
            {'metadata', EXTRA, optional = true, doc = 'whatever the caller wants to know of it'},
            {'idle', IDLE, default = 2592000, doc = IDLE_DOC},
        },
        returns = SESSION, errors = {'SESSION_EXISTS', 'MEMORY_FULL'}, run = session.create,
    },
    {
        name = 'session.append', access = 'app', mode = 'write', idempotent = true,
        doc = 'Append up to 1,000 messages, 4,000,000 bytes, to any number of sessions in one transaction, with an '
            .. 'outcome for every batch in order. Sessions that do not exist begin. Messages whose id is there already '
            .. 'are not written again. A batch that cannot be appended says why and stops no other.',
        args = {
            TENANT,
            {'batches', T.list(T.record('SessionBatch', {
                {'session', T.name}, {'messages', T.list(MESSAGE_INPUT, {min = 1, max = 1000})},
            }), {min = 1, max = 1000})},
        },
        returns = T.list(T.record('SessionAppended', {
            {'session', T.name},
            {'last', NUMBER, doc = 'number of its last message'},
            {'appended', NUMBER},
            {'repeated', NUMBER, doc = 'messages that were there already'},
            {'code', T.nullable(T.enum{'SESSION_MESSAGE_EXISTS', 'SESSION_FULL'}), nullable = true,
                doc = 'why nothing of the batch was appended'},
            {'problem', T.nullable(T.text{max = 256}), nullable = true},
        }, {form = 'array'}), {max = 1000}),
        errors = {'INVALID_ARGUMENT', 'MEMORY_FULL'}, run = session.append,
    },
    {
        name = 'session.get', access = 'read', mode = 'read',
        doc = 'One session without its messages.',
        args = {TENANT, ID},
        returns = SESSION, errors = {'SESSION_NOT_FOUND'}, run = session.get,
    },
    {
        name = 'session.history', access = 'read', mode = 'read', packs = 'messages',
        doc = 'A session and some of its messages in their order: those that follow `after`, else the last ones before '
            .. '`before` or the end, as many as the limit, the tokens and a megabyte allow.',
        args = {
            TENANT, ID,
            {'after', NUMBER, optional = true, doc = 'number of the message before the first wanted'},
            {'before', NUMBER, optional = true, doc = 'number of the message after the last wanted'},
            {'limit', T.integer{min = 1, max = 1000}, default = 100},
            {'tokens', SUM, optional = true, doc = 'that the messages may have together'},
        },
        returns = T.record('SessionHistory', {
            {'session', SESSION}, {'messages', T.list(MESSAGE, {max = 1000})},
            {'more', T.boolean, doc = 'whether other messages lie beyond, in the direction read'},
        }),
        errors = {'INVALID_ARGUMENT', 'SESSION_NOT_FOUND'}, run = session.history,
    },
    {
        name = 'session.update', access = 'app', mode = 'write', idempotent = true,
        doc = 'Change what is given of a session and leave the rest. It counts as activity.',
        args = {
            TENANT, ID,
            {'current_agent', AGENT, optional = true, doc = 'which agent has the word; empty for none'},
            {'metadata', EXTRA, optional = true, doc = 'in place of what was there'},
            {'idle', IDLE, optional = true, doc = IDLE_DOC},
        },
        returns = SESSION, errors = {'SESSION_NOT_FOUND', 'MEMORY_FULL'}, run = session.update,
    },
    {
        name = 'session.delete', access = 'app', mode = 'write', idempotent = true,
        doc = 'Delete a session with its messages. It is gone at once; the memory comes back by and by.',
        args = {TENANT, ID},
        returns = T.record('SessionDeleted', {{'deleted', T.boolean, doc = 'whether there was one'}}),
        errors = {}, run = session.delete,
    },
    {
        name = 'session.list', access = 'read', mode = 'read', packs = 'rows',
        doc = 'A page of sessions without their messages, the one last active first.',
        args = {
            TENANT,
            {'cursor', cursor.TYPE, optional = true, doc = 'next or previous of another page'},
            {'limit', T.integer{min = 1, max = 1000}, default = 20},
        },
        returns = T.record('SessionPage', {
            {'rows', T.list(SESSION, {max = 1000})},
            {'next', T.nullable(cursor.TYPE), nullable = true, doc = 'cursor of the page that follows, null at the end'},
            {'previous', T.nullable(cursor.TYPE), nullable = true, doc = 'cursor of the page before, null at the beginning'},
        }),
        errors = {'INVALID_CURSOR'}, run = session.list,
    },
}
