"""The composition root of the components: the services and who asks, for async code and for code that is not.

A connection to the store belongs to one event loop, so every loop that asks gets its own. Code without a loop runs its
work on one that the connection owns, in a thread of its own.
"""

import asyncio
import atexit
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from lycosa.client import Client
from lycosa.errors import Invalid, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services import Services
from lycosa.settings import Settings

__all__ = ["LycosaConnection"]

T = TypeVar("T")

# What closing waits for: the flush of what is still to be written, then the thread.
_CLOSE_SECONDS = 5.0


class _Opened(NamedTuple):
    client: Client
    services: Services

    async def aclose(self) -> None:
        try:
            await self.services.aclose()
        finally:
            await self.client.close()


class LycosaConnection:
    """The services of one tenant, for any number of event loops and threads.

    Nothing is opened before it is used. A loop that ends should close the connection first, as `async with` does; what
    a loop left behind when it was closed is dropped.
    """

    def __init__(self, settings: Settings | None = None, *, identity: Identity | None = None) -> None:
        """`settings` are those of the environment unless given; `identity` is the local caller unless given."""
        self._settings = settings or Settings()
        self.identity = identity or Identity.local(self._settings)
        self._opened: dict[asyncio.AbstractEventLoop, _Opened] = {}
        self._lock = threading.Lock()
        self._background: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    async def services(self) -> Services:
        """The services of the running event loop, over a client of its own, made on first use.

        It connects in the background; calls wait for it within their deadline. Raises Invalid when no password is to
        be found, Unavailable when the connection was closed.
        """
        loop = asyncio.get_running_loop()
        opened = self._opened.get(loop)
        return opened.services if opened is not None else self._open(loop).services

    def _open(self, loop: asyncio.AbstractEventLoop) -> _Opened:
        """To be called on the loop. No two tasks of it come here at once: nothing is awaited."""
        self._settings.store_password()  # says at once what the client would try again
        with self._lock:
            self._check_open()
            for ended in [other for other in self._opened if other.is_closed()]:
                del self._opened[ended]
            client = connect(self._settings)
            opened = self._opened[loop] = _Opened(client, Services(Procedures(client), self._settings))
        client.start()
        return opened

    def run(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Do `work` on the background loop and wait for it: for callers without an event loop.

        Raises what `work` raises, Unavailable when the connection is closed meanwhile, and Invalid when called on the
        background loop itself, which would wait for ever. Another event loop stands still meanwhile; await `services`
        there.
        """
        loop = self._background_loop()
        try:
            is_inside = asyncio.get_running_loop() is loop
        except RuntimeError:
            is_inside = False
        if is_inside:
            raise Invalid(
                "a synchronous method was called on the event loop that would have to do its work; "
                "await its asynchronous twin",
                code="SYNC_IN_LOOP",
            )
        doing = asyncio.run_coroutine_threadsafe(self._do(work), loop)
        try:
            return doing.result()
        except CancelledError:
            # `work` was given up: closing ends what still goes on.
            with self._lock:
                self._check_open()
            raise
        except BaseException:
            # An interrupt ends the waiting: nobody is left to take what the work would give.
            doing.cancel()
            raise

    async def _do(self, work: Callable[[Services], Awaitable[T]]) -> T:
        return await work(await self.services())

    def _background_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            self._check_open()
            if self._background is None:
                self._background = asyncio.new_event_loop()
                # A daemon, closed at the end of a program that never closes the connection.
                atexit.register(self.close)
                self._thread = threading.Thread(
                    target=_serve, args=(self._background,), name="lycosa-connection", daemon=True
                )
                self._thread.start()
            return self._background

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the connection is closed", code="CONNECTION_CLOSED")

    def close(self) -> None:
        """Write what waits to be written and let go of everything, on every loop. Repeating it does nothing.

        On a loop that is running, `aclose` does so in order; here its part is begun and not waited for.
        """
        taken = self._taken()
        try:
            for loop, opened in taken.items():
                if loop is self._background:
                    continue
                if loop.is_running():
                    loop.call_soon_threadsafe(_close_in_background, loop, opened)
                elif not loop.is_closed():
                    loop.run_until_complete(opened.aclose())
        finally:
            self._end_background(taken)

    async def aclose(self) -> None:
        """`close`, waiting for the part of the running loop as well."""
        here = asyncio.get_running_loop()
        with self._lock:
            self._closed = True
            opened = self._opened.pop(here, None)
        try:
            if opened is not None:
                await opened.aclose()
        finally:
            # The background loop needs its thread, and this one is not to stand still.
            await asyncio.to_thread(self.close)

    def _taken(self) -> dict[asyncio.AbstractEventLoop, _Opened]:
        with self._lock:
            self._closed = True
            taken, self._opened = self._opened, {}
            return taken

    def _end_background(self, taken: Mapping[asyncio.AbstractEventLoop, _Opened]) -> None:
        """Close what the background loop opened, then the loop and its thread."""
        loop, thread = self._background, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        opened = taken.get(loop)
        try:
            if opened is not None:
                asyncio.run_coroutine_threadsafe(opened.aclose(), loop).result(_CLOSE_SECONDS)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_CLOSE_SECONDS)
            atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


# A loop holds its tasks weakly.
_closing: set[asyncio.Task[None]] = set()


def _close_in_background(loop: asyncio.AbstractEventLoop, opened: _Opened) -> None:
    task = loop.create_task(opened.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
