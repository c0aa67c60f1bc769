"""Bodies of answers that may be of any size, bounded before and after they are unpacked."""

import zlib
from collections.abc import AsyncIterator

import httpx

__all__ = ["BodyProblem", "BoundedStream", "read_body"]


class BodyProblem(Exception):
    """A body that is not read to its end: too long, or packed in a way that was not asked for."""


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """The body of a streamed response, unpacked, of at most `limit` bytes.

    A packed body grows no larger in memory than the limit either, however small it came. Raises BodyProblem, and
    httpx.HTTPError when the connection breaks.
    """
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing == "gzip":
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    elif packing == "identity":
        unpack = None
    else:
        raise BodyProblem("it is packed in a way that was not asked for")
    body = bytearray()
    async for piece in response.aiter_raw():
        if unpack is not None:
            try:
                piece = unpack.decompress(piece, limit + 1 - len(body))
            except zlib.error:
                raise BodyProblem("it cannot be unpacked") from None
        body += piece
        if len(body) > limit:
            raise BodyProblem(f"it is longer than {limit} bytes")
    if unpack is not None and not unpack.eof:
        raise BodyProblem("it cannot be unpacked")
    return bytes(body)


class BoundedStream(httpx.AsyncByteStream):
    """The stream of a response, which raises BodyProblem after `limit` bytes or when it is packed."""

    def __init__(self, response: httpx.Response, limit: int) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._limit = limit
        self._is_packed = response.headers.get("content-encoding", "identity").strip().lower() != "identity"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._is_packed:
            raise BodyProblem("it is packed in a way that was not asked for")
        left = self._limit
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise BodyProblem(f"it is longer than {self._limit} bytes")
            yield piece

    async def aclose(self) -> None:
        """Close the stream below."""
        await self._stream.aclose()
