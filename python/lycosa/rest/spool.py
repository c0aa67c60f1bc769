"""Answers that wait for their reader.

Many HTTP clients send the whole body before they read the first byte of the answer. If an import waited until each
outcome was read, both sides would wait for each other for ever. So outcomes go into a spool: a client that reads
meanwhile gets them at once, for another they wait, beyond 1 MiB on disk.
"""

import asyncio
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile

_IN_MEMORY = 1024 * 1024
_PIECE = 64 * 1024


class Spool:
    """Bytes between one writer, who never waits for the reader, and one reader."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._written = 0
        self._read = 0
        self._ended = False
        self._changed = asyncio.Event()
        # The file has one position, moved by both sides, each in a thread of its own.
        self._lock = asyncio.Lock()

    async def write(self, data: bytes) -> None:
        """Add to the end."""
        async with self._lock:
            await asyncio.to_thread(self._append, data)
        self._changed.set()

    def end(self) -> None:
        """There will be no more."""
        self._ended = True
        self._changed.set()

    async def read(self) -> AsyncIterator[bytes]:
        """Everything that is written, as it comes, until the end."""
        while True:
            self._changed.clear()
            ended = self._ended
            async with self._lock:
                piece = await asyncio.to_thread(self._take)
            if piece:
                yield piece
            elif ended:
                return
            else:
                await self._changed.wait()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _append(self, data: bytes) -> None:
        self._file.seek(self._written)
        self._file.write(data)
        self._written += len(data)

    def _take(self) -> bytes:
        self._file.seek(self._read)
        piece = self._file.read(_PIECE)
        self._read += len(piece)
        if self._read == self._written and self._read > _PIECE:
            # All is read: begin anew, so that a reader who keeps up needs no disk.
            self._file.seek(0)
            self._file.truncate()
            self._read = self._written = 0
        return piece
