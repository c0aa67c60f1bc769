"""The connection to the store: deadlines, retries of what is idempotent, errors taken apart.

Only `lycosa.procedures` calls it. asynctnt pipelines by itself, so there is no pool; procedures that wait have a second
connection of their own, so that long polls never stand before other calls. Its own reconnect and pings are off (each
reconnect would leave a ping task behind); this module reconnects and compares contracts each time.
"""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import structlog
from asynctnt.exceptions import TarantoolDatabaseError, TarantoolError, TarantoolNotConnectedError

from lycosa.compatibility import differences
from lycosa.connection import Connection
from lycosa.deadlines import Deadlines
from lycosa.errors import Conflict, Denied, Internal, Invalid, LycosaError, TimedOut, Unavailable
from lycosa.receivers import FutureReceiver, ThenReceiver
from lycosa.sending import Then, sending
from lycosa.settings import Settings

_log = structlog.get_logger(__name__)

_CATALOGUE_CODE = 5000
_NO_SUCH_PROCEDURE = 33
# ER_ACCESS_DENIED, ER_NO_SUCH_USER, ER_PASSWORD_MISMATCH
_ACCESS_DENIED = frozenset({42, 45, 47})

# What asynctnt raises when the peer has gone, by the moment it notices.
_LOST = (TarantoolNotConnectedError, ConnectionError)

_CONTRACT = "lycosa.system.contract"
_DESCRIBE = "lycosa.system.describe"


class Client:
    """A connection that comes back by itself.

    `open` waits for the first connection; `start` returns at once and connects when the store is there. Every call has
    a deadline, `settings.call_timeout` seconds unless told otherwise, which also travels to the server.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        contract: Mapping[str, Any] | None = None,
        error_classes: Mapping[str, type[LycosaError]] | None = None,
    ) -> None:
        """`contract` is what the generated code was made from; None skips the comparison (for generating it)."""
        self._settings = settings
        self._contract = contract
        self._error_classes = error_classes or {}
        self._timeout = settings.call_timeout
        self._deadlines = Deadlines(settings.call_timeout)
        self._send_patiently = sending(self._call_patiently)
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        # The second connection, made by the first call that waits.
        self._waits: Client | None = None
        self._last_problem: LycosaError | None = None
        # Seconds the server's wall clock is ahead of ours: deadlines are sent in the server's time.
        self._skew = 0.0
        self.reconnects = 0
        self.retries = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether a call would be sent now."""
        return self._connection is not None and self._connection.is_connected

    def server_time(self) -> float:
        """Unix seconds by the server's wall clock, by the difference measured on connecting."""
        return time.time() + self._skew

    def start(self) -> None:
        """Begin to connect and return. Calls made meanwhile wait for the connection within their deadline."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect_until_done(), name="lycosa-connect")

    async def open(self, timeout: float = 5.0) -> None:
        """Connect, waiting up to `timeout` seconds.

        Raises Unavailable when the store is not there, Denied when it refuses the user, Conflict when its contract
        differs from the one this package was generated from.
        """
        self.start()
        assert self._connecting is not None
        await asyncio.wait({self._connecting}, timeout=timeout)
        if not self.connected:
            await self.close()
            raise self._last_problem or Unavailable(
                f"the store at {self._address()} did not answer within {timeout:g} s; is it running?",
                code="NOT_CONNECTED",
                retry_after=1.0,
            )

    async def close(self) -> None:
        """Disconnect. Calls in flight fail."""
        self._closed = True
        if self._waits is not None:
            await self._waits.close()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None:
            await self._connection.disconnect()
            self._connection = None

    def _address(self) -> str:
        host = self._settings.tarantool_host
        return host if host.startswith("/") else f"{host}:{self._settings.tarantool_port}"

    async def _connect_until_done(self) -> None:
        """Try with growing, jittered pauses until connected or closed, or until waiting cannot help."""
        pause = 0.05
        while not self._closed:
            try:
                connection = await self._connect()
            except (Denied, Conflict) as problem:
                self._last_problem = problem
                _log.error("store_refused", code=problem.code, problem=problem.message)
                pause = 2.0
            except (Unavailable, Invalid) as problem:
                # A server that starts for the first time has not written its password yet.
                self._last_problem = problem
            except Exception as problem:
                # Whatever answers there does not speak as a store: keep trying, for it may be replaced by one.
                self._last_problem = Unavailable(
                    f"what answers at {self._address()} is not a store of ours ({type(problem).__name__})",
                    code="NOT_CONNECTED",
                    retry_after=1.0,
                )
                pause = 2.0
            else:
                self.reconnects += self._connection is not None
                self._connection, self._last_problem = connection, None
                return
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, 2.0)

    async def _connect(self) -> Connection:
        settings = self._settings
        host, port = settings.tarantool_host, str(settings.tarantool_port)
        if host.startswith("/"):
            host, port = "unix/", host
        connection = Connection(
            host=host,
            port=port,
            username=settings.tarantool_user,
            password=settings.store_password(),
            fetch_schema=False,
            auto_refetch_schema=False,
            connect_timeout=3.0,
            request_timeout=self._timeout,
            reconnect_timeout=0,
            ping_timeout=0,
        )
        try:
            await connection.connect()
            await self._handshake(connection)
        except BaseException as problem:
            connection.close()
            if isinstance(problem, TarantoolDatabaseError):
                raise self._translate(problem, "connecting") from problem
            if isinstance(problem, (OSError, AssertionError, TimeoutError, TarantoolNotConnectedError)):
                raise Unavailable(
                    f"the store at {self._address()} is not there ({problem}); start it with `lycosa up`",
                    code="NOT_CONNECTED",
                    retry_after=1.0,
                ) from problem
            raise
        return connection

    async def _handshake(self, connection: Connection) -> None:
        """Measure the clocks' difference and compare contracts, naming the procedure that differs."""
        sent = time.time()
        answer = (await connection.call(_CONTRACT, [{}])).body[0]
        self._skew = answer["time"] - (sent + time.time()) / 2
        if self._contract is None or answer["digest"] == self._contract["digest"]:
            return
        theirs = (await connection.call(_DESCRIBE, [{}])).body[0]
        found = differences(self._contract, theirs)
        if found:
            raise Conflict(
                f"the store at {self._address()} speaks another contract: {found[0]}"
                f"{f' and {len(found) - 1} more' if len(found) > 1 else ''}; run the same version on both sides",
                code="CONTRACT_MISMATCH",
                details={"procedure": found[0].split(":")[0], "differences": len(found)},
            )

    async def call(
        self,
        name: str,
        args: dict[str, Any],
        timeout: float | None = None,
        *,
        idempotent: bool = True,
        packed: bool = False,
    ) -> Any:
        """Call a procedure with one map of arguments and give back its answer.

        `packed` asks for the rows of a page as one string of MessagePack, where the contract offers it.

        `timeout` is the deadline in seconds. A lost connection is retried within the deadline when the procedure is
        idempotent or the call had not been sent. Raises a class of `lycosa.errors`.
        """
        connection = self._connection
        if connection is None or not connection.is_connected:
            return await self._call_patiently(name, args, timeout, idempotent, packed)
        deadline = self._deadline(timeout)
        try:
            return await self._ask(connection, name, [args, deadline, packed], timeout)
        except _LOST as problem:
            if idempotent:
                self.retries += 1
                left = deadline - self._skew - time.time()
                return await self._call_patiently(name, args, left, idempotent, packed)
            raise self._lost(name) from problem
        except Exception as problem:
            raise self._translate(problem, name) from problem

    def send(
        self,
        name: str,
        args: dict[str, Any],
        then: Then,
        timeout: float | None = None,
        *,
        idempotent: bool = True,
    ) -> None:
        """`call` without a coroutine: what it would give or raise is told to `then`, which must not raise, at once when
        it is known. It is on its way to the store when this returns, if there is a connection.
        """
        connection = self._connection
        if connection is None or not connection.is_connected:
            self._send_patiently(name, args, then, timeout, idempotent=idempotent)
            return
        deadline = self._deadline(timeout)

        def told(answer: Any, problem: BaseException | None) -> None:
            if problem is None:
                then(answer, None)
            elif idempotent and isinstance(problem, _LOST):
                self.retries += 1
                self._send_patiently(name, args, then, deadline - self._skew - time.time())
            else:
                then(None, self._translate(problem, name))

        try:
            receiver = ThenReceiver(self._deadlines, told)
            connection.ask(name, [args, deadline, False], receiver)
            self._deadlines.begin(receiver, connection.loop, timeout)
        except Exception as problem:
            told(None, problem)

    def _ask(
        self, connection: Connection, name: str, args: list[Any], timeout: float | None
    ) -> "asyncio.Future[Any]":
        """The answer of a call that is sent now. Raises, and fails with, errors of the transport."""
        future = connection.loop.create_future()
        receiver = FutureReceiver(self._deadlines, future)
        connection.ask(name, args, receiver)
        self._deadlines.begin(receiver, connection.loop, timeout)
        return future

    def _deadline(self, timeout: float | None) -> float:
        """Unix seconds by the server's clock."""
        return time.time() + self._skew + (self._timeout if timeout is None else timeout)

    async def wait(
        self,
        name: str,
        args: dict[str, Any],
        timeout: float | None = None,
        *,
        idempotent: bool = True,
        packed: bool = False,
    ) -> Any:
        """`call` for a procedure that waits up to `args["wait"]` seconds, over the connection of those.

        It is opened by the first such call. The deadline is what it waits and `settings.call_timeout` beyond, unless
        told otherwise.
        """
        if self._closed:
            raise Unavailable("the client is closed", code="NOT_CONNECTED")
        if self._waits is None:
            self._waits = Client(self._settings, contract=self._contract, error_classes=self._error_classes)
        if timeout is None:
            timeout = args["wait"] + self._timeout
        return await self._waits.call(name, args, timeout, idempotent=idempotent, packed=packed)

    async def _call_patiently(
        self,
        name: str,
        args: dict[str, Any],
        timeout: float | None,
        idempotent: bool,
        packed: bool = False,
    ) -> Any:
        """The slow path: wait for the connection and try again until the deadline."""
        if self._closed:
            raise Unavailable("the client is closed", code="NOT_CONNECTED")
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while True:
            if not self.connected:
                self.start()
                assert self._connecting is not None
                await asyncio.wait({self._connecting}, timeout=max(0.0, deadline - time.monotonic()))
            left = deadline - time.monotonic()
            connection = self._connection
            if connection is None or not connection.is_connected or left <= 0:
                raise self._last_problem or self._lost(name)
            try:
                return await self._ask(connection, name, [args, self._deadline(left), packed], left)
            except _LOST as problem:
                if not idempotent:
                    raise self._lost(name) from problem
                self.retries += 1
                await asyncio.sleep(random.uniform(0.0, min(0.1, left)))
            except Exception as problem:
                raise self._translate(problem, name) from problem

    def _lost(self, name: str) -> Unavailable:
        return Unavailable(
            f"the connection to the store at {self._address()} was lost during {name}; whether it was done is unknown",
            code="CONNECTION_LOST",
            details={"procedure": name},
            retry_after=1.0,
        )

    def _translate(self, problem: BaseException, name: str) -> LycosaError:
        """The store's error, or the transport's, as one of ours."""
        if isinstance(problem, TarantoolDatabaseError):
            return self._translate_database(problem, name)
        if isinstance(problem, TimeoutError):
            return TimedOut(
                f"{name} did not answer in time; whether it was done is unknown",
                code="TIMED_OUT",
                details={"procedure": name},
            )
        if isinstance(problem, (TypeError, ValueError, OverflowError)):
            return Invalid(
                f"the arguments of {name} cannot be encoded: {problem}",
                code="INVALID_ARGUMENT",
                details={"procedure": name},
            )
        if isinstance(problem, (TarantoolError, OSError)):
            return self._lost(name)
        return Internal(f"{name} failed in the client: {type(problem).__name__}", code="INTERNAL")

    def _translate_database(self, problem: TarantoolDatabaseError, name: str) -> LycosaError:
        if problem.code == _CATALOGUE_CODE:
            return self.error_of(str(problem.message))
        if problem.code in _ACCESS_DENIED:
            return Denied(
                f"the store refuses user {self._settings.tarantool_user}: {problem.message}",
                code="ACCESS_DENIED",
                details={"procedure": name},
            )
        if problem.code == _NO_SUCH_PROCEDURE:
            return Conflict(
                f"the store does not know {name}; run the same version on both sides",
                code="CONTRACT_MISMATCH",
                details={"procedure": name},
            )
        _log.error("store_failed", procedure=name, code=problem.code, problem=str(problem.message))
        return Internal(
            f"{name} failed in the store; see its log", code="INTERNAL", details={"procedure": name}
        )

    def error_of(self, text: str) -> LycosaError:
        """The error that is told as `CODE: message {json}`; lua/lycosa/core/errors.lua puts it together."""
        code, _, rest = text.partition(": ")
        message, brace, encoded = rest.partition(" {")
        try:
            details: dict[str, Any] = json.loads("{" + encoded) if brace else {}
        except ValueError:
            details = {}
        error_class = self._error_classes.get(code)
        retry_after = details.pop("retry_after", None)
        if error_class is None:
            return Internal(message, code=code, details=details)
        return error_class(message, code=code, details=details, retry_after=retry_after)
