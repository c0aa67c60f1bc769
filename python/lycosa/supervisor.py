"""Tarantool and the Python server as one pair: started together, watched, stopped together.

Tarantool runs in a session of its own, so that Ctrl-C in a terminal reaches only this process, which then stops it in
order. The kernel kills it when this process dies in any other way, so there is never an orphan. A Tarantool that dies
is started again; acknowledged writes are in its log files already.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

from lycosa import startup
from lycosa.child_process import ended
from lycosa.errors import Internal, LycosaError, Unavailable
from lycosa.settings import Settings

Say = Callable[[str], None]
# Runs the Python server until the first event is set, and sets the second once it listens.
Serve = Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]

# Both must be down within 5 s. The server finishes what is in flight within 4 s by itself, the store needs
# milliseconds: one that takes longer does not listen.
_SERVER_STOP_SECONDS = 4.2
_BOTH_STOP_SECONDS = 4.2
_STORE_STOP_SECONDS = 2.5

# A store that dies more often than this is not helped by starting it again.
MOST_RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.1

_PR_SET_PDEATHSIG = 1
_READY = b"lycosa: ready"
_LOG_EXPLAINED_BYTES = 65536


def _bind_to_parent() -> Callable[[], None]:
    """What the child does between fork and exec: ask the kernel to be killed when its parent dies.

    SIGKILL, as it cannot be lost on a busy server; the store's logs are made for that. Resolved before the fork,
    because loading a library after it is not safe. Linux only; elsewhere the child is bound to nothing.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return bind


class Store:
    """One Tarantool process running instance.lua on the data directory of the settings."""

    def __init__(self, settings: Settings, tarantool: Path, home: Path) -> None:
        self._settings = settings
        self._command = (str(tarantool), str(home / "instance.lua"))
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self.log = settings.data.absolute() / "tarantool.log"
        self.ready = False

    @property
    def pid(self) -> int | None:
        """Process id, or None before the first start."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and wait until it takes calls, however long the recovery of its data takes.

        Raises what `startup.explain` makes of its last words when it ends instead.
        """
        with self.log.open("ab") as log:
            offset = log.tell()
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=startup.store_environment(self._settings, os.environ),
                start_new_session=True,
                preexec_fn=_bind_to_parent(),
            )
        self._process = process
        self.ready = False
        assert process.stdout is not None
        ready = asyncio.Event()
        self._drain = asyncio.create_task(self._copy_to_log(process.stdout, ready), name="tarantool-output")
        waits = {asyncio.create_task(ready.wait()), asyncio.create_task(process.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not ready.is_set():
            await self._drain
            ended = _ending(await process.wait())
            raise startup.explain(self._written_since(offset), self._settings, self.log, ended)
        self.ready = True

    async def _copy_to_log(self, output: asyncio.StreamReader, ready: asyncio.Event) -> None:
        """Standard output is only for being ready; whatever else is printed there goes to the log too."""
        with self.log.open("ab", buffering=0) as log:
            while chunk := await output.read(65536):
                if _READY in chunk:
                    ready.set()
                # A full disk costs these lines, not the pair: the pipe is read on.
                with contextlib.suppress(OSError):
                    log.write(chunk)

    def _written_since(self, offset: int) -> str:
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(offset, end - _LOG_EXPLAINED_BYTES))
            return log.read().decode(errors="replace")

    async def wait(self) -> int:
        """Wait for its end. Returns the exit status, negative for a signal."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self, seconds: float = _STORE_STOP_SECONDS) -> None:
        """SIGTERM, then SIGKILL after `seconds`. Returns when the process is gone; harmless when it already is."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            if not await ended(process, seconds):
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._drain is not None:
            await self._drain


class Supervisor:
    """Runs the pair until it is cancelled, or until one of them cannot be kept alive."""

    def __init__(self, store: Store, serve: Serve, say: Say) -> None:
        """`say` is given one line an event, for people."""
        self._store = store
        self._serve = serve
        self._say = say

    async def run(self, ready: Callable[[], Awaitable[None]]) -> None:
        """Start the store, then the server; await `ready` when both take calls, then stay.

        Cancelling is how it is told to stop. Both are down within 5 s of that, and whenever this raises: the reason the
        store did not start, Unavailable when it died too often, or what the server or `ready` raised.
        """
        server_stop, listening = asyncio.Event(), asyncio.Event()
        server: asyncio.Task[None] | None = None
        others: list[asyncio.Task[None]] = []
        try:
            await self._store.start()
            server = asyncio.create_task(_run(self._serve(server_stop, listening)), name="server")
            others = [asyncio.create_task(self._keep()), asyncio.create_task(_announce(listening, ready))]
            done, _ = await asyncio.wait({server, *others}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise Internal("the Python server ended by itself", code="SERVER_ENDED")
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._stop(server, server_stop)

    async def _stop(self, server: asyncio.Task[None] | None, server_stop: asyncio.Event) -> None:
        """First the server, which may need the store to finish what it has begun; then the store."""
        deadline = time.monotonic() + _BOTH_STOP_SECONDS
        server_stop.set()
        if server is not None:
            await asyncio.wait({server}, timeout=_SERVER_STOP_SECONDS)
            if not server.done():
                server.cancel()
                await asyncio.wait({server}, timeout=0.1)
            if server.done() and not server.cancelled():
                server.exception()  # raised already, or of no interest any more
        await self._store.stop(min(_STORE_STOP_SECONDS, max(0.2, deadline - time.monotonic())))

    async def _keep(self) -> None:
        """Start the store again whenever it dies. Never returns; raises when that does not help."""
        restarts: deque[float] = deque()
        while True:
            status = await self._store.wait()
            cause = _ending(status)
            problem: LycosaError = Unavailable(
                f"Tarantool ended {MOST_RESTARTS + 1} times within {RESTART_WINDOW_SECONDS:g} s, last with {cause}; "
                f"its log is {self._store.log}",
                code="STORE_DIES",
            )
            self._say(f"Tarantool ended with {cause}")
            while True:
                await self._pause(restarts, problem)
                try:
                    await self._store.start()
                except LycosaError as refused:
                    problem = refused
                    self._say(refused.message)
                else:
                    self._say(f"Tarantool runs again (process {self._store.pid})")
                    break

    async def _pause(self, restarts: deque[float], problem: LycosaError) -> None:
        """Wait longer before each start; raise `problem` when there were too many within the window."""
        now = time.monotonic()
        while restarts and restarts[0] < now - RESTART_WINDOW_SECONDS:
            restarts.popleft()
        if len(restarts) >= MOST_RESTARTS:
            raise problem
        pause = _FIRST_PAUSE_SECONDS * 2 ** len(restarts)
        restarts.append(now)
        self._say(f"starting Tarantool again in {pause:g} s ({len(restarts)} of {MOST_RESTARTS})")
        await asyncio.sleep(pause)


def _ending(status: int) -> str:
    """How a process ended, in words."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"


async def _run(awaitable: Awaitable[None]) -> None:
    await awaitable


async def _announce(listening: asyncio.Event, ready: Callable[[], Awaitable[None]]) -> None:
    await listening.wait()
    await ready()
    await asyncio.Event().wait()
