"""A provider behind real HTTP on loopback that does what a test scripted, and keeps a ledger of what it charged.

Every request takes the next fault of the script, else `always`, and is answered well where that is none.
From another process: GET /standin/ledger, PUT /standin/faults {"next": [...], "always": {...}}, fields as of Fault.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
import re
import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Self

_HALF = re.compile(r"\\ud[89a-f]")

Manner = Literal[
    "whole",  # as it should be
    "truncated",  # half of the body, then the connection is closed
    "html",  # a page for people, with status 200 or `status`
    "endless",  # a body without an end
    "redirect",  # to another host
    "gzip_bomb",  # a small body that unpacks to 64 MiB
    "dropped",  # the connection is closed without an answer
    "slow_head",  # the head comes a byte every 20 ms and never ends
    "slow_body",  # the body comes a byte every 20 ms
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. `charges` says whether it is charged all the same."""

    status: int | None = None
    manner: Manner = "whole"
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: Any = None
    delay: float = 0.0
    charges: bool = False
    # Of a stream: how many events come before it breaks.
    events: int | None = None


@dataclass(slots=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float
    hung_up: bool = False

    @property
    def key(self) -> str:
        """What it showed as its key."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(slots=True)
class Answer:
    """What the provider says when nothing goes wrong: JSON, or events with a pause before each; and its price."""

    status: int = 200
    payload: Any = None
    price: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Any] | None = None
    pause: float = 0.0


@dataclass(slots=True)
class Account:
    """The ledger of one key: requests that arrived, and what was charged in the provider's smallest unit."""

    requests: int = 0
    charged: int = 0


class Loopback:
    """`async with Tavily() as standin`: then `standin.base_url` answers. A provider is a subclass with `answer`."""

    redirect_to = "http://127.0.0.1:9/elsewhere"

    def __init__(self, *, latency: float = 0.0, port: int = 0) -> None:
        self.latency = latency
        self.script: deque[Fault | None] = deque()
        self.always: Fault | None = None
        self.requests: list[Request] = []
        self.accounts: dict[str, Account] = {}
        self._port = port
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    def answer(self, request: Request) -> Answer:
        """What the provider answers to a request."""
        raise NotImplementedError

    def plan(self, *faults: Fault | None) -> None:
        """Script the next requests; None is answered well."""
        self.script.extend(faults)

    @property
    def charged(self) -> int:
        """All that was charged, to whichever key."""
        return sum(account.charged for account in self.accounts.values())

    @property
    def base_url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=2**20)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        try:
            while True:
                request = await self._read(reader)
                if request.path.startswith("/standin/"):
                    await self._send_json(writer, 200, self._controlled(request), {})
                    continue
                self.requests.append(request)
                account = self.accounts.setdefault(request.key, Account())
                account.requests += 1
                fault = self.script.popleft() if self.script else self.always
                try:
                    whole = await self._reply(writer, request, account, fault or Fault())
                except ConnectionError:
                    request.hung_up = True
                    raise
                if not whole:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The caller went, or the stand-in does.
            pass
        finally:
            self._serving.discard(serving)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method, path, headers, json.loads(body) if body else None, time.monotonic())

    async def _reply(
        self, writer: asyncio.StreamWriter, request: Request, account: Account, fault: Fault
    ) -> bool:
        """Answer one request. Gives whether the connection may be used again."""
        answer = self.answer(request)
        faulty = fault.status is not None or fault.manner != "whole" or fault.events is not None
        account.charged += answer.price if not faulty or fault.charges else 0
        await asyncio.sleep(self.latency + fault.delay)
        if fault.manner not in ("whole", "truncated", "slow_body"):
            await self._misbehave(writer, fault)
        elif answer.events is not None and fault.status is None:
            # Without a length the end of the connection is the end of the body.
            await self._stream(writer, answer, fault.events)
            return False
        else:
            status = fault.status or answer.status
            payload = answer.payload
            if fault.status is not None:
                payload = fault.payload if fault.payload is not None else self.error(fault.status)
            headers = {**answer.headers, **fault.headers}
            packed = fault == Fault() and "gzip" in request.headers.get("accept-encoding", "")
            await self._send_json(writer, status, payload, headers, fault.manner, packed=packed)
        return fault.manner in ("whole", "html")

    def error(self, status: int) -> Any:
        """The provider's own envelope of an error."""
        return {"error": {"message": f"scripted {status}"}}

    async def _send_json(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        payload: Any,
        headers: Mapping[str, str],
        manner: Manner = "whole",
        *,
        packed: bool = False,
    ) -> None:
        # Half a surrogate pair can be told as an escape only.
        escaped = bool(_HALF.search(repr(payload)))
        body = json.dumps(payload, ensure_ascii=escaped).encode()
        if packed:
            body, headers = gzip.compress(body, 1), {**headers, "content-encoding": "gzip"}
        await _head(writer, status, "application/json", {**headers, "content-length": str(len(body))})
        if manner == "truncated":
            body = body[: len(body) // 2]
        if manner == "slow_body":
            for at in range(len(body)):
                writer.write(body[at : at + 1])
                await writer.drain()
                await asyncio.sleep(0.02)
            return
        writer.write(body)
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, answer: Answer, breaks_after: int | None) -> None:
        assert answer.events is not None
        await _head(writer, 200, "text/event-stream", {"connection": "close"})
        for number, event in enumerate(answer.events):
            if number == breaks_after:
                break
            await asyncio.sleep(answer.pause)
            data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
            name = "" if isinstance(event, str) else f"event: {event['type']}\n"
            writer.write(f"{name}data: {data}\n\n".encode())
            await writer.drain()

    async def _misbehave(self, writer: asyncio.StreamWriter, fault: Fault) -> None:
        if fault.manner == "html":
            page = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
            length = {"content-length": str(len(page))}
            await _head(writer, fault.status or 200, "text/html; charset=utf-8", {**fault.headers, **length})
            writer.write(page)
        elif fault.manner == "redirect":
            place = {"location": self.redirect_to, "content-length": "0"}
            await _head(writer, fault.status or 302, "text/plain", place)
        elif fault.manner == "endless":
            await _head(writer, 200, "application/json", {"connection": "close"})
            while True:
                writer.write(b" " * 65_536)
                await writer.drain()
        elif fault.manner == "gzip_bomb":
            body = await asyncio.to_thread(_bomb)
            headers = {"content-encoding": "gzip", "content-length": str(len(body))}
            await _head(writer, 200, "application/json", headers)
            writer.write(body)
        elif fault.manner == "slow_head":
            writer.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        await writer.drain()

    def _controlled(self, request: Request) -> Any:
        if request.path == "/standin/faults":
            self.plan(*(one and Fault(**one) for one in request.body.get("next", [])))
            if "always" in request.body:
                always = request.body["always"]
                self.always = always and Fault(**always)
        return {
            "requests": len(self.requests),
            "charged": self.charged,
            "keys": {key: {"requests": a.requests, "charged": a.charged} for key, a in self.accounts.items()},
        }


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(b" " * 2**20) for _ in range(64)) + packer.flush()


async def _head(writer: asyncio.StreamWriter, status: int, kind: str, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Scripted", f"content-type: {kind}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    await writer.drain()


def run(kind: type[Loopback]) -> None:
    """Serve until interrupted: --port (0: any), --latency seconds. The address is the first line printed."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--latency", type=float, default=0.0)
    given = arguments.parse_args()

    async def serve() -> None:
        async with kind(latency=given.latency, port=given.port) as standin:
            print(standin.base_url, flush=True)
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
