"""Boot a throw-away server and ask it to describe itself."""

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from lycosa.client import Client
from lycosa.errors import Unavailable
from lycosa.settings import Settings


def describe(instance: Path, tarantool: str = "tarantool") -> dict[str, Any]:
    """The contract of the checkout whose `instance.lua` is given, sorted so that equal contracts are equal texts.

    Raises Unavailable with the server's own words when it does not start within 20 s.
    """
    with tempfile.TemporaryDirectory(prefix="lycosa-contract-") as directory:
        socket = Path(directory) / "store.sock"
        environment = os.environ | {
            "LYCOSA_DATA": directory,
            "TARANTOOL_HOST": str(socket),
            "LYCOSA_TESTING": "",
        }
        environment.pop("LYCOSA_PASSWORD", None)
        log = Path(directory) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [tarantool, str(instance)],
                env=environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        try:
            until = time.monotonic() + 20
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise Unavailable(
                        f"the server did not start: {log.read_text(errors='replace')[-2000:]}",
                        code="NOT_STARTED",
                    )
                time.sleep(0.02)
            settings = Settings(data=Path(directory), tarantool_host=str(socket), password=None)
            return asyncio.run(_ask(settings))
        finally:
            process.terminate()
            process.wait(10)


async def _ask(settings: Settings) -> dict[str, Any]:
    async with Client(settings) as client:
        answer: dict[str, Any] = await client.call("lycosa.system.describe", {})
    return {
        "digest": answer["digest"],
        "errors": dict(sorted(answer["errors"].items())),
        "procedures": [_ordered(procedure) for procedure in answer["procedures"]],
    }


def _ordered(value: Any) -> Any:
    """Maps by key; lists as they are. An empty Lua table is an empty list on the wire, and is dropped nowhere."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value
