"""The real Tarantool for every test that needs a store."""

import asyncio
import gc
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
import structlog

from lycosa.client import Client
from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.settings import Settings

# `ci` keeps the model tests within CI's minutes; `HYPOTHESIS_PROFILE=long` looks for hours.
hypothesis.settings.register_profile(
    "ci", max_examples=25, stateful_step_count=30, deadline=None, derandomize=True
)
hypothesis.settings.register_profile("default", max_examples=50, stateful_step_count=40, deadline=None)
hypothesis.settings.register_profile("long", max_examples=5000, stateful_step_count=100, deadline=None)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default")
)

ROOT = Path(__file__).resolve().parents[1]
TARANTOOL = os.environ.get("TARANTOOL") or "tarantool"

# Whoever runs the tests may have settings of their own in the environment: no test sees them.
for _name in [name for name in os.environ if name.startswith(("LYCOSA_", "TARANTOOL_"))]:
    del os.environ[_name]


class Store:
    """A Tarantool of our own in a directory of its own, reached by a unix socket."""

    script = ROOT / "instance.lua"

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.socket = data / "store.sock"
        self.log = data / "log"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until calls are taken. Raises RuntimeError with the log's end when that fails."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        # A test decides about every setting; what the caller's shell holds must not.
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("LYCOSA_", "TARANTOOL"))
        }
        environment = inherited | {
            "LYCOSA_DATA": str(self.data),
            "TARANTOOL_HOST": str(self.socket),
            "LYCOSA_TESTING": "1",
            **self._environment,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [TARANTOOL, str(self.script)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 30
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(self.log.read_text(errors="replace")[-3000:])
            time.sleep(0.01)

    def settings(self, **overrides: object) -> Settings:
        """Settings of a client of this store."""
        given: dict[str, object] = {
            "data": self.data,
            "tarantool_host": str(self.socket),
            "llm": "extractive",
        }
        return Settings(_env_file=None, **(given | overrides))  # type: ignore[arg-type]

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Freeze the process."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw the process."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def console(self, line: str) -> str:
        """Say one line to the admin console; its answer in YAML, or what there was of it when the process died."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.data / "console.sock"))
            connection.recv(128)
            connection.sendall(line.encode() + b"\n")
            received = b""
            while b"\n...\n" not in received:
                part = connection.recv(65536)
                if not part:
                    break
                received += part
        return received.decode()

    def wait_killed(self) -> None:
        """Wait until the process has died by itself of kill -9."""
        assert self._process is not None
        assert self._process.wait(10) == -signal.SIGKILL

    def stop(self) -> None:
        """SIGTERM, then wait."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for the session, in testing mode. Tests keep apart by tenant."""
    store = Store(tmp_path_factory.mktemp("store"))
    store.start()
    yield store
    store.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Store]:
    """A store that the test may kill. Socket paths are short: a deep temporary directory would not fit."""
    data = Path(f"/tmp/lycosa-{secrets.token_hex(4)}")
    store = Store(data)
    store.start()
    yield store
    store.stop()
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def settings(server: Store) -> Settings:
    return server.settings()


@pytest_asyncio.fixture(scope="session")
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with connect(settings) as client:
        yield client


@pytest.fixture(scope="session")
def procedures(client: Client) -> Procedures:
    return Procedures(client)


@pytest.fixture
def tenant() -> str:
    return f"t-{secrets.token_hex(6)}"


@pytest.fixture
def identity(tenant: str) -> Identity:
    return Identity(tenant=tenant)


@pytest_asyncio.fixture
async def frozen(client: Client) -> AsyncIterator["Clock"]:
    """The server's clock in the test's hands."""
    clock = Clock(client)
    await clock.freeze()
    yield clock
    await clock.release()


class Clock:
    """Moves the server's time. Only in testing mode."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def freeze(self, at: float | None = None) -> None:
        await self._call("freeze", at)

    async def advance(self, seconds: float) -> None:
        await self._call("advance", seconds)

    async def release(self) -> None:
        await self._call("release")

    async def drain(self, step: str) -> None:
        """Run a daemon step until it has nothing left."""
        await self._call("drain", step)

    async def _call(self, name: str, *args: object) -> None:
        # Testing procedures take plain arguments and are not part of the contract.
        connection = self._client._connection
        assert connection is not None
        await connection.call(f"lycosa.testing.{name}", list(args))


# Directories whose tests run lines that others run, too: counting them would cost a third of their time.
_NOT_COUNTED = frozenset({"chaos", "migration", "model"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is run apart, without counting lines."""
    for item in items:
        if item.path.parent.name in _NOT_COUNTED or item.path.name == "tidy_test.py":
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True)
def _log_settings() -> Iterator[None]:
    """What a test sets of the log ends with it: a command run in this process lets only errors through."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True, scope="session")
def _collector() -> None:
    """asynctnt leaves a reference cycle a call; without the collector tuned the suite spends its time in it."""
    gc.set_threshold(700, 10, 1000)


async def until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Wait until `condition()` is true. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.01)
