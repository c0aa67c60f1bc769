"""A rate limiter of language models that all processes share: a quota in the store."""

import asyncio
import random
import time
from weakref import WeakKeyDictionary

from langchain_core.rate_limiters import BaseRateLimiter

from lycosa.errors import Exhausted, NotFound
from lycosa.langchain.connection import LycosaConnection
from lycosa.services import Services

__all__ = ["LycosaRateLimiter"]

# What is tried again is tried not before.
_LEAST_PAUSE = 0.005


class LycosaRateLimiter(BaseRateLimiter):
    """Lets calls through as a quota of the connection's tenant allows, across threads, processes and machines.

        ChatOpenAI(model=..., rate_limiter=LycosaRateLimiter(connection, "openai.rate", per_second=5, burst=10))

    The quota may be of any kind; see `lycosa quotas`. Of the callers of one event loop the one who came first waits in
    front, so that each process asks the store once for each call that it lets through.
    """

    def __init__(
        self,
        connection: LycosaConnection,
        quota: str,
        *,
        units: int = 1,
        per_second: float | None = None,
        burst: int | None = None,
        timeout: float | None = None,
    ) -> None:
        """Every call takes `units` of the quota and waits at most `timeout` seconds for them.

        Where there is no such quota, one of `per_second` calls and `burst` at once (1 when absent) is defined by the
        first call. One that is there stays as it is.
        """
        self._connection = connection
        self._quota = quota
        self._units = units
        self._per_second = per_second
        self._burst = burst or 1
        self._timeout = timeout
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def acquire(self, *, blocking: bool = True) -> bool:
        """Wait until the call may be made. Without `blocking` say at once whether it may.

        Raises Exhausted when `timeout` seconds were not enough or no waiting would be, NotFound when there is no such
        quota.
        """
        return self._connection.run(lambda services: self._acquire(services, blocking))

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """`acquire` on the running event loop."""
        return await self._acquire(await self._connection.services(), blocking)

    async def _acquire(self, services: Services, blocking: bool) -> bool:
        if not blocking:
            return await self._take(services) is None
        until = None if self._timeout is None else time.monotonic() + self._timeout
        async with self._line():
            while (refusal := await self._take(services)) is not None:
                if refusal.retry_after is None:
                    # More than the quota ever holds, or than a total has left: waiting does not help.
                    raise refusal
                # Other processes wait for the same moment: a little later by chance, they do not all ask at once.
                pause = max(_LEAST_PAUSE, refusal.retry_after) * random.uniform(1.0, 1.1)
                if until is not None and time.monotonic() + pause > until:
                    raise refusal
                await asyncio.sleep(pause)
        return True

    def _line(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        return self._lines.setdefault(loop, asyncio.Lock())

    async def _take(self, services: Services) -> Exhausted | None:
        """Take, or give the refusal. Raises NotFound."""
        identity, claims = self._connection.identity, {self._quota: self._units}
        try:
            await services.quotas.take(identity, claims)
        except Exhausted as refusal:
            return refusal
        except NotFound:
            if self._per_second is None:
                raise
            await self._define(services)
            return await self._take(services)
        return None

    async def _define(self, services: Services) -> None:
        assert self._per_second is not None
        units = max(1, round(self._per_second)) * self._units
        await services.quotas.define(
            self._connection.identity,
            self._quota,
            "rate",
            units,
            period=units / self._units / self._per_second,
            burst=self._burst * self._units,
        )
