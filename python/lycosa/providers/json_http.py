"""JSON over HTTP with strangers: every call ends in time, every answer is bounded, every failure has a meaning.

    error status           what it means is said by the provider's own rules; not charged
    5xx, 408               transient; tried again; not charged
    429                    waited for as told and tried again where the deadline allows, else throttled; not charged
    redirect               transient; never followed; not charged
    no connection          transient; tried again; nothing was sent, so not charged
    no answer              transient; tried again; whether it was charged is not known, so it counts as charged
    anything after a 2xx   transient; not tried again: it counts as charged, and another attempt would be charged too

There are three attempts at most, all within the deadline, with full jitter between them and out of a budget of retries.
"""

import asyncio
import json
import random
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal, TypeVar

import httpx
import stamina
from httpx_sse import EventSource, SSEError

from lycosa.providers.bounded_body import BodyProblem, BoundedStream, read_body
from lycosa.providers.findings import Cause, ProviderFailure
from lycosa.providers.refusals import Refusal, cause_of, retry_after, without_keys
from lycosa.providers.retry_budget import RetryBudget

__all__ = ["Ask", "JsonHttp", "Tally"]

MOST_ATTEMPTS: Final = 3
MOST_BYTES: Final = 4 * 2**20
_MOST_ERROR_BYTES: Final = 64 * 2**10
_CONNECT_SECONDS: Final = 3.0
_LONGEST_PAUSE: Final = 8.0
_EVENTS: Final = "text/event-stream"
_AGAIN: Final = frozenset({408, 429})

Judge = Callable[[Refusal], tuple[Cause, float | None]]
_T = TypeVar("_T")


@dataclass(slots=True)
class Tally:
    """What became of the attempts of one call: requests sent, and those that count as charged without an answer."""

    sent: int = 0
    uncertain: int = 0


def _by_status(refusal: Refusal) -> tuple[Cause, float | None]:
    return cause_of(refusal.status), refusal.retry_after


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `patience` is how long one attempt may take, or a stream be silent, in seconds; `judge` gives the
    cause of an error status and the seconds to wait.
    """

    method: Literal["GET", "POST"]
    path: str
    key: str = field(repr=False)
    body: Mapping[str, Any] | None = None
    patience: float = 5.0
    judge: Judge = _by_status


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that this machine trusts, read once: it takes a tenth of a second."""
    return httpx.create_ssl_context()


class _Attempt(ProviderFailure):
    """How one attempt failed; `again` says whether another one may be made."""

    again = False


class JsonHttp:
    """The one client of a provider, for all its keys. The first pause between attempts is at most `pause` seconds, the
    next one twice that.
    """

    def __init__(self, provider: str, base_url: str, *, pause: float = 1.0) -> None:
        self._provider = provider
        self._pause = pause
        self._budget = RetryBudget()
        self._client = httpx.AsyncClient(
            base_url=base_url,
            follow_redirects=False,
            headers={"user-agent": "lycosa"},
            verify=_trusted(),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=15),
        )

    async def close(self) -> None:
        """Close all connections. May be called again."""
        await self._client.aclose()

    async def json(self, ask: Ask, deadline: float, tally: Tally) -> Any:
        """The JSON of a successful answer, within `deadline` seconds.

        Raises ProviderFailure, of which `tally` says what was sent and what may have been charged.
        """

        async def attempt(until: float) -> Any:
            response = await self._open(ask, until, tally, "application/json")
            try:
                async with asyncio.timeout_at(until):
                    return json.loads(await read_body(response, MOST_BYTES))
            except (httpx.HTTPError, TimeoutError, BodyProblem, ValueError, RecursionError) as problem:
                tally.uncertain += 1
                raise self._broken(problem) from problem
            finally:
                await response.aclose()

        return await self._tried(ask, deadline, attempt)

    async def events(self, ask: Ask, deadline: float, tally: Tally) -> AsyncGenerator[Any, None]:
        """The JSON of every server-sent event of a successful answer; an attempt is made again only before the first.

        Raises ProviderFailure as `json` does. Closing the generator closes the connection.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + deadline

        async def attempt(until: float) -> httpx.Response:
            return await self._open(ask, until, tally, _EVENTS)

        response = await self._tried(ask, deadline, attempt)
        response.stream = BoundedStream(response, MOST_BYTES)
        try:
            async with aclosing(EventSource(response).aiter_sse()) as events:
                while True:
                    async with asyncio.timeout_at(min(end, clock() + ask.patience)):
                        event = await anext(events, None)
                    if event is None:
                        return
                    if event.data and event.data != "[DONE]":
                        yield json.loads(event.data)
        except (httpx.HTTPError, TimeoutError, SSEError, BodyProblem, ValueError, RecursionError) as problem:
            tally.uncertain += 1
            raise self._broken(problem) from problem
        finally:
            await response.aclose()

    async def _tried(self, ask: Ask, deadline: float, attempt: Callable[[float], Awaitable[_T]]) -> _T:
        """Make attempts until one succeeds, no other may follow or the deadline would pass."""
        clock = asyncio.get_running_loop().time
        end = clock() + deadline
        made = 0
        self._budget.earn()

        def pause(problem: Exception) -> float | Literal[False]:
            if not isinstance(problem, _Attempt) or not problem.again or made >= MOST_ATTEMPTS:
                return False
            if problem.retry_after is None:
                wait = random.uniform(0, min(_LONGEST_PAUSE, self._pause * 2 ** (made - 1)))
            else:
                # A tenth on top, so that those who were told the same do not all come back at the same moment.
                wait = problem.retry_after * random.uniform(1, 1.1)
            return wait if wait < end - clock() and self._budget.take() else False

        async for trying in stamina.retry_context(on=pause, attempts=MOST_ATTEMPTS, timeout=None):
            with trying:
                made += 1
                return await attempt(min(end, clock() + ask.patience))
        raise AssertionError("unreachable")

    async def _open(self, ask: Ask, until: float, tally: Tally, accept: str) -> httpx.Response:
        """Send one request and read the head of its answer. Raises _Attempt for all but a success of that type."""
        sent = tally.sent
        try:
            async with asyncio.timeout_at(until):
                response = await self._client.send(self._request(ask, until, tally, accept), stream=True)
        except (httpx.HTTPError, TimeoutError) as problem:
            # What was not sent cannot have been charged.
            tally.uncertain += tally.sent - sent
            raise self._attempt(_named(problem), again=True) from problem
        failure: _Attempt | None = None
        try:
            if not response.is_success:
                failure = await self._refused(ask, response, until)
            elif response.headers.get("content-type", "").partition(";")[0].strip().lower() != accept:
                tally.uncertain += 1
                failure = self._attempt(
                    f"answered with something else than {accept}", status=response.status_code
                )
        finally:
            if failure is not None or not response.is_success:
                await response.aclose()
        if failure is not None:
            raise failure
        return response

    def _request(self, ask: Ask, until: float, tally: Tally, accept: str) -> httpx.Request:
        async def watch(event: str, _: Mapping[str, Any]) -> None:
            if event.endswith(".send_request_headers.started"):
                tally.sent += 1

        limit = max(0.001, until - asyncio.get_running_loop().time())
        short = min(_CONNECT_SECONDS, limit)
        return self._client.build_request(
            ask.method,
            ask.path,
            json=ask.body,
            headers={
                "authorization": f"Bearer {ask.key}",
                "accept": accept,
                "accept-encoding": "identity" if accept == _EVENTS else "gzip",
            },
            timeout=httpx.Timeout(limit, connect=short, pool=short),
            extensions={"trace": watch},
        )

    async def _refused(self, ask: Ask, response: httpx.Response, until: float) -> _Attempt:
        """What an answer that is no success means."""
        status, payload = response.status_code, None
        if 300 <= status < 400:
            return self._attempt(f"redirects ({status}), which is not followed", status=status)
        try:
            async with asyncio.timeout_at(until):
                payload = json.loads(await read_body(response, _MOST_ERROR_BYTES))
        except (httpx.HTTPError, TimeoutError, BodyProblem, ValueError, RecursionError):
            # An error page, or half of one: the status says enough.
            pass
        refusal = Refusal(status, payload, retry_after(response.headers, payload))
        cause, wait = ask.judge(refusal)
        words = without_keys(refusal.words, ask.key)
        failure = self._attempt(
            f"answered {status}{f': {words}' if words else ''}", cause=cause, status=status, retry_after=wait
        )
        failure.again = cause in ("transient", "throttled") and (status in _AGAIN or status >= 500)
        return failure

    def _broken(self, problem: BaseException) -> _Attempt:
        return self._attempt(f"broke its answer off: {_named(problem)}", status=200)

    def _attempt(
        self,
        words: str,
        *,
        cause: Cause = "transient",
        status: int | None = None,
        retry_after: float | None = None,
        again: bool = False,
    ) -> _Attempt:
        failure = _Attempt(
            f"{self._provider} {words}",
            provider=self._provider,
            cause=cause,
            charged=False,
            status=status,
            retry_after=retry_after,
        )
        failure.again = again
        return failure


def _named(problem: BaseException) -> str:
    """The kind of a problem in words; what it says itself may hold anything."""
    if isinstance(problem, BodyProblem):
        return str(problem)
    if isinstance(problem, TimeoutError | httpx.TimeoutException):
        return "did not answer in time"
    if isinstance(problem, httpx.ConnectError):
        return "cannot be reached"
    if isinstance(problem, ValueError | RecursionError):
        return "it is no JSON"
    return "the connection was lost"
