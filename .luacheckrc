-- Tarantool runs LuaJIT; `lycosa` is the one global of the project.
std = 'luajit'
max_line_length = 140
codes = true
globals = { 'lycosa' }
read_globals = {
    'box',
    '_TARANTOOL',
    'dostring',
    'tonumber64',
    string = { fields = { 'endswith', 'fromhex', 'hex', 'lstrip', 'rstrip', 'split', 'startswith', 'strip' } },
    os = { fields = { 'environ', 'setenv' } },
    table = { fields = { 'clear', 'copy', 'deepcopy', 'new' } },
    utf8 = { fields = { 'casecmp', 'char', 'cmp', 'isalpha', 'isdigit', 'islower', 'isupper', 'len', 'lower', 'next', 'sub', 'upper' } },
}
files['tests/lua'] = { std = 'luajit+busted' }
