"""A redis-server of our own, for what is built on one."""

import contextlib
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = shutil.which("redis-server")


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[str]:
    """Start one on a unix socket; gives its URL. Skips the test where redis-server is not installed."""
    if PROGRAM is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    directory = Path(f"/tmp/lycosa-redis-{secrets.token_hex(4)}")
    directory.mkdir()
    address = directory / "redis.sock"
    process = subprocess.Popen(
        [PROGRAM, "--port", "0", "--unixsocket", address, "--dir", directory, "--save", "", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 10
        while not address.exists():
            assert process.poll() is None, "redis-server did not start"
            assert time.monotonic() < until, "redis-server did not start"
            time.sleep(0.01)
        yield f"unix://{address}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)
