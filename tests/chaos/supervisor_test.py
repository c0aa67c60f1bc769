"""`lycosa up` as a process: what it survives, what it refuses, and that it leaves nothing behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lycosa import startup
from lycosa.settings import Settings
from lycosa.supervisor import Store
from tests.conftest import ROOT, TARANTOOL

# The machine may be busy with other work; what is promised is checked against this many seconds.
STOP_SECONDS = 5.0
START_SECONDS = 5.0
PATIENCE = 30.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Up:
    """One `lycosa up` of a data directory."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        store, web = free_ports(2)
        self.address = f"http://127.0.0.1:{web}"
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("LYCOSA_", "TARANTOOL"))
        }
        self.environment = inherited | {
            "TARANTOOL": TARANTOOL,
            "TARANTOOL_PORT": str(store),
            "LYCOSA_HTTP_PORT": str(web),
            "LYCOSA_DATA": str(data),
            "LYCOSA_LLM": "extractive",
            "PYTHONPATH": str(ROOT / "python"),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self, *words: str, stderr: int = subprocess.STDOUT) -> "Up":
        """Start it without waiting."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lycosa.cli", "up", *words],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        return self

    def until(self, text: str) -> str:
        """Read lines until one holds the text. Raises AssertionError with all of them when it ends before."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError("".join(self.lines))

    def refused(self) -> tuple[int, str]:
        """Start it, expecting a refusal: exit status and the one line."""
        done = subprocess.run(
            [sys.executable, "-m", "lycosa.cli", "up"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1, done.stderr
        assert self.store() is None
        return done.returncode, done.stderr

    def store(self) -> int | None:
        """Process id of the Tarantool that runs on the data directory, which it works in, whoever its parent is."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "comm").read_text() == "tarantool\n" and (path / "cwd").readlink() == self.data:
                    return int(path.name)
            except OSError:  # it ended meanwhile; a zombie has no directory
                continue
        return None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal, wait for the end, and give the seconds it took. Raises unless the exit status is 0."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=PATIENCE)
        took = time.monotonic() - began
        self.lines.append(rest)
        assert self.process.returncode == 0, "".join(self.lines)
        return took

    def get(self, path: str) -> Any:
        """The JSON of an answer of REST."""
        with urllib.request.urlopen(self.address + path, timeout=PATIENCE) as answer:
            return json.load(answer)

    def end(self) -> None:
        """Leave nothing running, whatever the test did."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        store = self.store()
        if store is not None:
            os.kill(store, signal.SIGKILL)


Start = Callable[..., Up]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Start]:
    started: list[Up] = []

    def make(data: str = "var", **environment: str) -> Up:
        started.append(Up(tmp_path / data, **environment))
        return started[-1]

    yield make
    for one in started:
        one.end()


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.seconds
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_both_in_time_with_status_0(up: Start, number: signal.Signals) -> None:
    pair = up().start()
    pair.until("console")
    assert pair.get("/healthz")
    store = pair.store()
    assert store is not None
    assert os.getsid(store) != os.getsid(pair.process.pid), "Ctrl-C must not reach Tarantool"  # type: ignore[union-attr]
    assert pair.stop(number) < STOP_SECONDS
    assert pair.store() is None


@pytest.mark.seconds
def test_the_second_start_is_quick_and_keeps_the_data(up: Start) -> None:
    pair = up().start("--demo")
    pair.until("loaded 60 customers")
    pair.until("loaded 134 documents")
    pair.until("from the cache: no")
    pair.until("total ")
    assert pair.get("/v1/customers/S-015")["name"] == "Kaspi.kz"
    pair.stop()
    began = time.monotonic()
    pair.start("--demo")
    pair.until("is ready")
    assert time.monotonic() - began < START_SECONDS
    pair.until("from the cache: yes")
    assert sum("loaded" in line for line in pair.lines) == 2
    assert pair.get("/v1/customers/S-015")["version"] == 1
    pair.stop()


@pytest.mark.seconds
def test_a_store_that_is_killed_is_started_again_with_what_was_acknowledged(up: Start) -> None:
    pair = up().start()
    pair.until("console")
    rows = json.dumps({"rows": [{"id": "c1", "name": "Анна"}]}).encode()
    request = urllib.request.Request(
        f"{pair.address}/v1/customers", rows, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.status == 200
    for turn in (1, 2):
        store = pair.store()
        assert store is not None
        os.kill(store, signal.SIGKILL)
        pair.until(f"({turn} of 5)")
        pair.until("runs again")
        assert pair.get("/v1/customers/c1")["name"] == "Анна"
    assert pair.stop() < STOP_SECONDS


def test_a_store_that_dies_again_and_again_ends_the_pair_with_its_status(up: Start) -> None:
    pair = up().start()
    pair.until("console")
    for turn in range(6):
        if turn:
            pair.until("runs again")
        store = pair.store()
        assert store is not None
        os.kill(store, signal.SIGKILL)
    pair.until("error: STORE_DIES: Tarantool ended 6 times within 60 s")
    assert pair.process is not None
    assert pair.process.wait(PATIENCE) == 7
    assert pair.store() is None


@pytest.mark.seconds
def test_no_store_is_left_when_the_supervisor_is_killed(up: Start) -> None:
    pair = up().start()
    pair.until("console")
    assert pair.store() is not None
    assert pair.process is not None
    pair.process.kill()
    wait_for(lambda: pair.store() is None, STOP_SECONDS)
    pair.start().until("console")
    pair.stop()


@pytest.mark.seconds
def test_a_store_that_does_not_stop_is_killed_in_time(up: Start) -> None:
    pair = up().start()
    pair.until("console")
    store = pair.store()
    assert store is not None
    os.kill(store, signal.SIGSTOP)
    assert pair.stop() < STOP_SECONDS
    assert pair.store() is None


async def test_a_log_that_cannot_be_written_keeps_no_store_from_being_ready(tmp_path: Path) -> None:
    (tmp_path / "tarantool.log").symlink_to("/dev/full")
    settings = Settings(_env_file=None, data=tmp_path, tarantool_host=str(tmp_path / "s"))
    store = Store(settings, startup.find_tarantool(os.environ), ROOT)
    try:
        await asyncio.wait_for(store.start(), START_SECONDS)
        assert store.ready
    finally:
        await store.stop()


def test_ports_and_directories_in_use_are_refused_in_one_line(up: Start) -> None:
    pair = up().start()
    pair.until("console")
    other = up("other")
    other.environment["TARANTOOL_PORT"] = pair.environment["TARANTOOL_PORT"]
    status, line = other.refused()
    assert (status, line.startswith("error: PORT_IN_USE: ")) == (5, True)
    assert "TARANTOOL_PORT" in line
    other = up("other")
    other.environment["LYCOSA_HTTP_PORT"] = pair.environment["LYCOSA_HTTP_PORT"]
    status, line = other.refused()
    assert (status, "LYCOSA_HTTP_PORT" in line) == (5, True)
    pair.stop()


def test_a_directory_of_a_newer_schema_is_refused_in_one_line(up: Start, tmp_path: Path) -> None:
    pair = up().start()
    pair.until("console")
    pair.stop()
    newer = "box.cfg{work_dir = arg[1]} box.space.schema_ledger:insert{900, 'future', 'x', 0} os.exit(0)"
    script = tmp_path / "newer.lua"
    script.write_text(newer)
    subprocess.run([TARANTOOL, script, pair.data], check=True, capture_output=True, timeout=PATIENCE)
    status, line = up().refused()
    assert status == 5
    assert line.startswith("error: SCHEMA_NEWER: the data directory has schema 900, this code knows ")
    assert "start a newer Lycosa" in line


def test_what_is_missing_or_wrong_is_said_in_one_line(up: Start, tmp_path: Path) -> None:
    assert up(TARANTOOL="/nowhere/tarantool").refused()[0] == 4
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho Tarantool 2.5.3-0-gf93e480\n")
    old.chmod(0o755)
    status, line = up(TARANTOOL=str(old)).refused()
    assert (status, "2.5.3" in line, "2.6 or newer" in line) == (5, True, True)
    status, line = up(LYCOSA_HOME=str(tmp_path)).refused()
    assert (status, "LYCOSA_HOME" in line) == (4, True)
    (tmp_path / "file").touch()
    status, line = up("file/var").refused()
    assert (status, "cannot write to the data directory" in line) == (3, True)
    status, line = up(LYCOSA_MEMORY_MB="1").refused()
    assert (status, "LYCOSA_MEMORY_MB" in line) == (2, True)
    status, line = up(LYCOSA_HTTP_HOST="0.0.0.0").refused()
    assert (status, "LYCOSA_AUTHENTICATION=required" in line) == (3, True)


def test_with_json_every_line_is_an_object(up: Start) -> None:
    pair = up().start("--demo", "--json")
    pair.until('"event": "report"')
    pair.stop()
    events = [json.loads(line) for text in pair.lines for line in text.splitlines()]
    assert events[0]["event"] == "ready"
    assert events[0]["documentation"] == f"{pair.address}/docs"
    assert {"log", "source", "token", "fact", "report"} <= {event["event"] for event in events}
