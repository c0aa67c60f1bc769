"""What benchmarks share that measure beside a peer: its Python environment, its server, its process, rounds in turns.

A peer's packages stand in benchmarks/peers/<name>.txt and are installed into an environment of their own, never into
that of Lycosa. Its script, benchmarks/peers/<script>.py, reads a line of seconds from stdin and answers a line of JSON
with the figures of a round.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import time
import venv
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from tests.conftest import Store

PEERS = Path(__file__).with_name("peers")

Call = Callable[[], Awaitable[object]]


def peer_python(name: str = "redis") -> Path:
    """The interpreter of an environment with peers/<name>.txt, made when it is missing or its list has changed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lycosa/peers" / name
    requirements, installed = PEERS / f"{name}.txt", cache / "installed.txt"
    python = cache / "bin/python"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        venv.create(cache, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        shutil.copy(requirements, installed)
    return python


@contextlib.contextmanager
def redis_server(directory: Path, *arguments: str) -> Iterator[Path]:
    """A redis-server of our own that writes a log (appendonly, fsync every second); gives its unix socket.

    `arguments` are more of its options, such as "--maxmemory", "64mb"; later ones win. Raises SystemExit when there is
    no redis-server.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("no redis-server to measure beside; install the package redis-server")
    address = directory / "redis.sock"
    options = {
        "port": "0", "unixsocket": str(address), "dir": str(directory), "save": "", "appendonly": "yes",
        "appendfsync": "everysec", "daemonize": "no",
    }  # fmt: skip
    every = [
        *itertools.chain.from_iterable((f"--{name}", value) for name, value in options.items()),
        *arguments,
    ]
    process = subprocess.Popen([program, *every], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not address.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("redis-server did not start")
            time.sleep(0.02)
        yield address
    finally:
        process.terminate()
        process.wait(10)


class Peer:
    """A process that asks the peer's server: peers/<script> in the environment of peers/<name>.txt."""

    def __init__(self, script: str, *arguments: object, name: str = "redis") -> None:
        self._process = subprocess.Popen(
            [peer_python(name), PEERS / script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def measure(self, line: object) -> dict[str, float]:
        """One round: what it answers to a line. Raises SystemExit when the peer has failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answered = await asyncio.to_thread(self._process.stdout.readline)
        if not answered:
            raise SystemExit("the peer has failed")
        answer: dict[str, float] = json.loads(answered)
        return answer

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


async def closed_loop(make_call: Callable[[int], Call], callers: int, seconds: float) -> dict[str, float]:
    """Callers that wait for each answer: calls, rate (1/s), p50 and p99 (ms). An error ends the benchmark."""
    latencies: list[float] = []
    clock = time.perf_counter
    until = clock() + seconds

    async def caller(number: int) -> None:
        call = make_call(number)
        while (sent := clock()) < until:
            await call()
            latencies.append(clock() - sent)

    started = clock()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    elapsed = clock() - started
    latencies.sort()
    return {
        "calls": len(latencies),
        "rate": len(latencies) / elapsed,
        "p50": latencies[len(latencies) // 2] * 1000,
        "p99": latencies[len(latencies) * 99 // 100] * 1000,
    }


def process_id(store: Store) -> int:
    """Of the store, asked through its console."""
    with socket.socket(socket.AF_UNIX) as console:
        console.connect(str(store.data / "console.sock"))
        console.sendall(b"return box.info.pid\n")
        answer = b""
        while not answer.endswith(b"...\n"):
            answer += console.recv(4096)
    return int(answer.decode().split("- ")[-1].split()[0])


def transaction_seconds(process: int) -> float:
    """Processor time of a store's transaction thread, which is its first."""
    fields = Path(f"/proc/{process}/task/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(name: str, figures: dict[str, float], note: str = "") -> None:
    """One row."""
    rate, p50, p99 = figures["rate"], figures["p50"], figures["p99"]
    print(f"{name:<34} {rate:>9,.0f}/s  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  {note}".rstrip(), flush=True)


def judge(name: str, ratio: float, goal: float | None = None) -> None:
    """One ratio with its goal and ok or MISS; without a goal it is only shown."""
    verdict = "" if goal is None else f"    >= {goal:g}  {'ok' if ratio >= goal else 'MISS'}"
    print(f"{name:<34} {ratio:>9.2f}{verdict}", flush=True)


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The medians of rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def middle_ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> float:
    """The median of the rounds' ratios of rates."""
    return statistics.median(mine["rate"] / other["rate"] for mine, other in zip(ours, theirs, strict=True))
