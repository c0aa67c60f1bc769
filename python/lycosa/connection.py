"""A connection of asynctnt whose writes are gathered, and which gives answers to receivers.

The hooks are asynctnt's public `protocol_factory`, and that its protocol asks the loop it is given for every future.
"""

import asyncio
from typing import Any

import asynctnt
from asynctnt.iproto import protocol

from lycosa.gathered_writes import GatheringTransport
from lycosa.receivers import Receiver

__all__ = ["Connection"]


class _Futures:
    """An event loop that gives the receiver of the next call where asynctnt makes a future."""

    __slots__ = ("loop", "receiver")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.receiver: Receiver | None = None

    def create_future(self) -> "Receiver | asyncio.Future[Any]":
        receiver, self.receiver = self.receiver, None
        return receiver or self.loop.create_future()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the loop's own."""
        return getattr(self.loop, name)


class _Protocol(protocol.Protocol):  # type: ignore[misc]
    def __init__(self, *, loop: _Futures, **given: Any) -> None:
        super().__init__(loop=loop, **given)
        self._own_loop = loop.loop

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(GatheringTransport(transport, self._own_loop))


class Connection(asynctnt.Connection):  # type: ignore[misc]
    """See asynctnt. `ask` is its `call` for receivers."""

    _futures: _Futures

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """That of the connection, once it has begun to connect."""
        return self._futures.loop

    def protocol_factory(
        self, connected_fut: "asyncio.Future[Any]", loop: asyncio.AbstractEventLoop, cls: Any = _Protocol
    ) -> Any:
        """See asynctnt."""
        self._futures = _Futures(loop)
        return super().protocol_factory(connected_fut, self._futures, cls)

    def ask(self, name: str, args: list[Any], receiver: Receiver) -> None:
        """Call a procedure, without a deadline. The receiver is told unless this raises what asynctnt's `call` raises:
        TarantoolNotConnectedError, or what tells that the arguments cannot be encoded.
        """
        self._futures.receiver = receiver
        try:
            self._db.call(name, args, 0)
        finally:
            self._futures.receiver = None
