-- Checkpoints of graphs of agents, as LangGraph keeps them: threads, the states they went through, and what tasks wrote
-- on top of a state before the next one was stored.
--
-- A state holds the versions of its channels; the value of a version is stored once, however many states have it. States,
-- values and metadata are bytes that mean nothing here. `threads` says which rows belong to a thread and lets it end
-- whole, `values` keeps what is too large for a row, `writing`, `reading`, `removal` and `copying` are the procedures.

local copying = require('lycosa.checkpoint.copying')
local reading = require('lycosa.checkpoint.reading')
local removal = require('lycosa.checkpoint.removal')
local threads = require('lycosa.checkpoint.threads')
local values = require('lycosa.checkpoint.values')
local writing = require('lycosa.checkpoint.writing')

return {
    put = writing.put, put_writes = writing.put_writes, put_parts = values.put_parts,
    get = reading.get, list = reading.list, parts = values.parts,
    delete_thread = removal.delete_thread, delete_for_runs = removal.delete_for_runs, prune = removal.prune,
    copy_thread = copying.run,
    steps = {threads.step},
}
