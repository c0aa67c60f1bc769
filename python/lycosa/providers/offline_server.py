"""The offline model's process: `python -I offline_server.py WEIGHTS`.

Reads the key that callers must show as one line from standard input, loads the weights, prints its address and serves
until standard input ends - which it does when the parent goes, however it goes.
"""

import importlib
import os
import sys
from typing import Any, Final

# Tokens of prompt and answer together.
_CONTEXT: Final = 2_048


def serve(weights: str, key: str) -> Any:
    """Start the engine with one slot and one thread on a free port of loopback; it lives as long as the answer."""
    engine = importlib.import_module("xllamacpp")
    params = engine.CommonParams()
    params.model.path = weights
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_ctx = _CONTEXT
    params.n_parallel = 1
    # More threads are slower where cores are shared.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 4
    params.cache_ram_mib = 0
    params.verbosity = -1
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False
    return engine.Server(params)


def main() -> None:
    """Serve until standard input ends."""
    key = sys.stdin.readline().strip()
    if not key:
        return
    # The store and the surfaces share the cores with it and go first.
    os.nice(5)
    server = serve(sys.argv[1], key)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # Its last reference: the engine stops and its threads are joined.
    del server


if __name__ == "__main__":
    main()
