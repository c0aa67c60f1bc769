-- Documents: texts cut into passages, and the packed index that searches them.

-- Passages ("chunks") carry numbers that grow within a tenant and are never used twice.
local function create_document()
    local space = box.schema.space.create('document', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'id', 'string'},
        {'title', 'string'},
        {'source', 'string', is_nullable = true},
        {'language', 'string'},
        {'kind', 'string'},
        {'customer_id', 'string', is_nullable = true},
        {'created_at', 'number'},
        {'stored_at', 'number'},
        {'bytes', 'unsigned'},
        {'first_chunk', 'unsigned'},
        {'chunks', 'unsigned'},
        {'hash', 'string'},
    }})
    space:create_index('id', {parts = {{1, 'string'}, {3, 'string'}}})
    space:create_index('customer', {parts = {{1, 'string'}, {8, 'string', is_nullable = true}, {3, 'string'}}})
    space:create_index('chunk', {parts = {{1, 'string'}, {12, 'unsigned'}}})

    local chunk = box.schema.space.create('document_chunk', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'chunk', 'unsigned'},
        {'text', 'string'},
    }})
    chunk:create_index('chunk', {parts = {{1, 'string'}, {3, 'unsigned'}}})

    local corpus = box.schema.space.create('document_corpus', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'documents', 'unsigned'},
        {'waiting', 'unsigned'},
        {'next_chunk', 'unsigned'},
        {'indexed_until', 'unsigned'},
        {'chunks', 'unsigned'},
        {'words', 'unsigned'},
        {'terms', 'unsigned'},
        {'postings', 'unsigned'},
    }})
    corpus:create_index('tenant', {parts = {{1, 'string'}}})
end

-- Documents that wait to be indexed, and passages of deleted documents that wait to leave the index.
local function create_work()
    local waiting = box.schema.space.create('document_waiting', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'first_chunk', 'unsigned'},
        {'next_chunk', 'unsigned'},
        {'until_chunk', 'unsigned'},
        {'since', 'number'},
    }})
    waiting:create_index('chunk', {parts = {{1, 'string'}, {3, 'unsigned'}}})
    waiting:create_index('age', {parts = {{6, 'number'}, {1, 'string'}, {3, 'unsigned'}}})

    local removal = box.schema.space.create('document_removal', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'first_chunk', 'unsigned'},
        {'next_chunk', 'unsigned'},
        {'indexed_until', 'unsigned'},
        {'until_chunk', 'unsigned'},
        {'since', 'number'},
        {'title', 'string'},
    }})
    removal:create_index('chunk', {parts = {{1, 'string'}, {3, 'unsigned'}}})
    removal:create_index('age', {parts = {{7, 'number'}, {1, 'string'}, {3, 'unsigned'}}})
end

-- The index. A term's newest postings stand in its own row, older ones in full blocks; both are packed.
local function create_index()
    local term = box.schema.space.create('document_term', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'term', 'string'},
        {'frequency', 'unsigned'},
        {'base', 'unsigned'},
        {'most', 'unsigned'},
        {'shortest', 'unsigned'},
        {'postings', 'string'},
    }})
    term:create_index('term', {parts = {{1, 'string'}, {3, 'string'}}})

    local posting = box.schema.space.create('document_posting', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'term', 'string'},
        {'base', 'unsigned'},
        {'most', 'unsigned'},
        {'shortest', 'unsigned'},
        {'postings', 'string'},
    }})
    posting:create_index('base', {parts = {{1, 'string'}, {3, 'string'}, {4, 'unsigned'}}})

    local norm = box.schema.space.create('document_norm', {format = {
        {'tenant', 'string'},
        {'bucket_id', 'unsigned'},
        {'window', 'unsigned'},
        {'norms', 'string'},
    }})
    norm:create_index('window', {parts = {{1, 'string'}, {3, 'unsigned'}}})
end

return {
    id = 4, name = 'document',
    up = function()
        create_document()
        create_work()
        create_index()
    end,
}
