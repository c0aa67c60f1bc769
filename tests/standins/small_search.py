"""A provider of search over real HTTP on loopback with a ledger, and the client of it that the gate is tested with.

Small on purpose: what the gate asks of any provider, and nothing of a particular one.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from lycosa.procedures import LookupClaim
from lycosa.providers.findings import Cause, Finding, Findings, ProviderFailure, SearchOptions

_CAUSES: dict[int, Cause] = {400: "invalid", 401: "refused", 429: "throttled", 432: "exhausted"}


@dataclass(slots=True)
class Fault:
    """Instead of an answer: a status, or a connection that is cut."""

    status: int = 500
    charged: bool = False
    retry_after: float | None = None
    cut: bool = False


@dataclass
class SmallSearch:
    """`async with SmallSearch() as server`: answers every question after `delay` seconds and charges one unit.

    `faults` are used up one by one, then it is well; `always` is a fault that stays.
    """

    delay: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    empty: bool = False
    # Every question that came, and what was charged.
    asked: list[str] = field(default_factory=list)
    charged: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._open: set[asyncio.StreamWriter] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.split("content-length:")[1].split("\r\n")[0])
                question = json.loads(await reader.readexactly(length))["question"]
                self.asked.append(question)
                fault = self.faults.pop(0) if self.faults else self.always
                # Whoever has a question charges for it, whether or not his answer arrives.
                self.charged += fault is None or fault.charged
                await asyncio.sleep(self.delay)
                if not await self._answer(writer, question, fault):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # The last is the end of the test's event loop, which streams would log as an error.
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, question: str, fault: Fault | None) -> bool:
        if fault is None:
            results = [{"url": f"https://example.com/{n}", "text": f"{question}: {n}"} for n in (1, 2)]
            self._write(writer, 200, {"results": [] if self.empty else results}, None)
        else:
            if fault.cut:
                return False
            self._write(writer, fault.status, {"charged": fault.charged}, fault.retry_after)
        await writer.drain()
        return True

    @staticmethod
    def _write(writer: asyncio.StreamWriter, status: int, body: dict[str, Any], wait: float | None) -> None:
        content = json.dumps(body).encode()
        more = f"retry-after: {wait}\r\n" if wait is not None else ""
        head = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{more}content-length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)


class SmallProvider:
    """The client: claims one unit of `<name>.month` where it has a price."""

    def __init__(self, name: str, url: str, *, cost: int = 8_000, quota: str | None = "") -> None:
        self.name = name
        self._cost = cost
        self._quota = f"{name}.month" if quota == "" else quota
        self._client = httpx.AsyncClient(base_url=url)
        self.closed = False

    def claims(self, options: SearchOptions) -> list[LookupClaim]:
        if self._quota is None:
            return []
        return [LookupClaim(quota=self._quota, amount=2 if options.depth == "advanced" else 1)]

    def cost(self, options: SearchOptions) -> int:
        return self._cost

    async def search(self, question: str, options: SearchOptions, deadline: float) -> Findings:
        try:
            answer = await self._client.post("/search", json={"question": question}, timeout=deadline)
        except httpx.TimeoutException:
            raise self._failure("no answer in time", "transient", charged=True) from None
        except httpx.HTTPError as problem:
            raise self._failure(type(problem).__name__, "transient", charged=True) from None
        if answer.status_code != 200:
            wait = answer.headers.get("retry-after")
            raise self._failure(
                f"HTTP {answer.status_code}",
                _CAUSES.get(answer.status_code, "transient"),
                charged=answer.json()["charged"],
                retry_after=None if wait is None else float(wait),
                status=answer.status_code,
            )
        results = [
            Finding(url=found["url"], title="Найдено", text=found["text"])
            for found in answer.json()["results"]
        ]
        amounts = {claim["quota"]: 1 for claim in self.claims(options)}
        return Findings(provider=self.name, results=results, cost_microusd=self._cost, amounts=amounts)

    def _failure(self, message: str, cause: Cause, *, charged: bool, **more: Any) -> ProviderFailure:
        return ProviderFailure(message, provider=self.name, cause=cause, charged=charged, **more)

    async def close(self) -> None:
        self.closed = True
        await self._client.aclose()
