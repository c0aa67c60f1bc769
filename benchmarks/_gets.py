"""Paced gets from a process of their own, so that their times are those of the store and not of other work's client."""

import asyncio
import gc
import json
import subprocess
import sys
import time
from pathlib import Path

import uvloop

from lycosa.procedures import Procedures, connect
from lycosa.settings import Settings
from tests.conftest import ROOT, Store

READERS, PAUSE_SECONDS = 8, 0.002


class Gets:
    """The process: 8 callers who read keys k0, k1, ... of a tenant, with 2 ms between calls, until it is stopped."""

    def __init__(self, store: Store, tenant: str, keys: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._gets", store.data, store.socket, tenant, str(keys)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise SystemExit("the process of the gets has failed")

    async def stop(self, since: float = 0.0) -> dict[str, float]:
        """Gets begun after a moment (unix seconds): how many, p50, p99 and the worst, in ms."""
        answered, _ = await asyncio.to_thread(self._process.communicate, str(since))
        if self._process.returncode != 0:
            raise SystemExit("the process of the gets has failed")
        figures: dict[str, float] = json.loads(answered)
        return figures


async def main(data: Path, socket: str, tenant: str, keys: int) -> None:
    """Get until stdin ends."""
    gc.set_threshold(700, 10, 1000)
    settings = Settings(_env_file=None, data=data, tarantool_host=socket)
    loop = asyncio.get_running_loop()
    taken: list[tuple[float, float]] = []
    async with connect(settings) as client:
        procedures = Procedures(client)
        await procedures.cache_get(tenant=tenant, key="k0")
        print("ready", flush=True)
        ended = loop.run_in_executor(None, sys.stdin.read)

        async def read(number: int) -> None:
            while not ended.done():
                number = (number * 7919 + 1) % keys
                asked = time.perf_counter()
                await procedures.cache_get(tenant=tenant, key=f"k{number}")
                taken.append((time.perf_counter() - asked, time.time()))
                await asyncio.sleep(PAUSE_SECONDS)

        await asyncio.gather(*(read(number) for number in range(READERS)))
    since = float(ended.result())
    seconds = sorted(took for took, at in taken if at - took >= since)
    places = {"p50": len(seconds) // 2, "p99": len(seconds) * 99 // 100, "worst": len(seconds) - 1}
    figures = {name: seconds[place] * 1000 for name, place in places.items()}
    print(json.dumps({"gets": len(seconds), **figures}))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
