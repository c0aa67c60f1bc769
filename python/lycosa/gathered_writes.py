"""Calls that are made in one tick of the event loop leave in few writes to the socket.

asynctnt writes each call as it is made, and the event loop hands each write to the kernel at once: 64 callers cost 64
system calls, each of which may wake the server for one request. One write for all would be as bad: the server would
rest until the last call is made, and the client until the first is answered (docs/decisions/0020).
"""

import asyncio
from typing import Any, Final

__all__ = ["GatheringTransport"]

# What is written together: enough to save most system calls, and little enough that the server has begun long before
# the client has made its last call.
_MOST_CALLS: Final = 16
_MOST_BYTES: Final = 16_384


class GatheringTransport:
    """A transport that sends the first write of a tick at once and gathers what follows."""

    __slots__ = ("_bytes", "_in_tick", "_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._in_tick = False
        self._parts: list[bytes | memoryview] = []
        self._bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        """Send what is the first of a tick, and what follows when it is 16 calls or 16 KiB or the tick has ended.

        `data` must not change afterwards.
        """
        if not self._in_tick:
            self._in_tick = True
            # Runs after everything that is ready now, which is what a tick is.
            self._loop.call_soon(self._end_tick)
            self._transport.write(data)
            return
        self._parts.append(data)
        self._bytes += len(data)
        if len(self._parts) == _MOST_CALLS or self._bytes >= _MOST_BYTES:
            self._flush()

    def _end_tick(self) -> None:
        self._in_tick = False
        if self._parts:
            self._flush()

    def _flush(self) -> None:
        parts, self._parts, self._bytes = self._parts, [], 0
        if not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's own."""
        return getattr(self._transport, name)
