"""`cached`: answers of an async function, kept in the cache.

Values are JSON, validated into the function's return type when they come back; what is stored is never executed. A
cache that fails is logged, and the function is called: caching never makes a call fail that would have succeeded.
"""

import asyncio
import functools
import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_type_hints

import structlog
from pydantic import TypeAdapter, ValidationError

from lycosa.identity import Identity
from lycosa.services.cache import DEFAULT_TTL, Cache, Entry
from lycosa.services.canonical import canonical

__all__ = ["Cached", "Place", "cached"]

_log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

# A cache and whose it is.
Place = tuple[Cache, Identity]
Tags = Sequence[str] | Callable[..., Sequence[str]]

_JSON = "application/json"
# Seconds that the cache may take before the function is called without it.
_PATIENCE = 0.5


def cached(
    place: Callable[[], Place],
    *,
    prefix: str,
    ttl: float = DEFAULT_TTL,
    stale_for: float = 0.0,
    negative_ttl: float | None = None,
    tags: Tags = (),
    ignore: Collection[str] = (),
    patience: float = _PATIENCE,
) -> Callable[[Callable[P, Awaitable[R]]], "Cached[P, R]"]:
    """Keep the answers of an async function for `ttl` seconds under `<prefix>:<hash of its arguments>`.

    `place` gives the cache and whose it is, at each call. For `stale_for` seconds more the old answer is given at once
    while one task of this process calls the function. None is kept for `negative_ttl` seconds, and not at all without
    it. `tags`, or a function of the same arguments that gives them, name answers for `invalidate`. Arguments in
    `ignore` do not matter to the answer. The cache may take `patience` seconds of a call.

    The function needs an annotated return type, which JSON can hold. Its arguments may be None, booleans, numbers,
    text, bytes, dates and times, UUIDs, enums, dataclasses, pydantic models, and lists, tuples, sets and string-keyed
    dictionaries of those; a call with another one raises Invalid, naming it. Raises TypeError when the function cannot
    be cached.
    """

    def decorate(function: Callable[P, Awaitable[R]]) -> "Cached[P, R]":
        return Cached(
            function, place, prefix, ttl, stale_for, negative_ttl, tags, frozenset(ignore), patience
        )

    return decorate


class Cached(Generic[P, R]):
    """An async function whose answers are kept. Called like the function."""

    def __init__(
        self,
        function: Callable[P, Awaitable[R]],
        place: Callable[[], Place],
        prefix: str,
        ttl: float,
        stale_for: float,
        negative_ttl: float | None,
        tags: Tags,
        ignore: frozenset[str],
        patience: float,
    ) -> None:
        """As `cached` says."""
        functools.update_wrapper(self, function)
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function!r} is not an async function")
        hints = get_type_hints(function, include_extras=True)
        if "return" not in hints:
            raise TypeError(f"{function.__qualname__} has no return type to validate what is stored into")
        self._function = function
        self._signature = inspect.signature(function)
        unknown = ignore - set(self._signature.parameters)
        if unknown:
            raise TypeError(f"{function.__qualname__} has no parameter {min(unknown)} to ignore")
        self._type: TypeAdapter[R] = TypeAdapter(hints["return"])
        self._place = place
        self._prefix = prefix
        self._ttl = ttl
        self._stale_for = stale_for
        self._negative_ttl = negative_ttl
        self._tags = tags
        self._ignore = ignore
        self._patience = patience
        # Per tenant and key: the one task of this process that renews a stale entry.
        self._refreshing: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The kept answer, or the function's. Raises what the function raises, and Invalid for a bad argument."""
        key = self.key(*args, **kwargs)
        cache, identity = self._place()
        entry = await self._found(cache, identity, key)
        if entry is not None:
            kept, answer = self._decoded(entry)
            if kept:
                if entry.stale:
                    self._refresh(cache, identity, key, args, kwargs)
                return cast("R", answer)
        fresh = await self._function(*args, **kwargs)
        await self._keep(cache, identity, key, fresh, args, kwargs)
        return fresh

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Under which key the answer to these arguments is kept. Raises Invalid for a bad argument."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        form = [
            [name, canonical(name, value)]
            for name, value in bound.arguments.items()
            if name not in self._ignore
        ]
        text = json.dumps(form, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return f"{self._prefix}:{hashlib.sha256(text.encode()).hexdigest()[:40]}"

    async def forget(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Delete the kept answer to these arguments. Raises Unavailable when the cache is away."""
        cache, identity = self._place()
        await cache.delete(identity, [self.key(*args, **kwargs)])

    async def settled(self) -> None:
        """Wait for the answers that are being renewed."""
        while self._refreshing:
            await asyncio.wait(set(self._refreshing.values()))

    async def _found(self, cache: Cache, identity: Identity, key: str) -> Entry | None:
        try:
            return await cache.get(identity, key, stale=self._stale_for > 0, timeout=self._patience)
        except Exception as problem:  # whatever it is, the function can still be called
            self._log_failure("get", problem)
            return None

    def _decoded(self, entry: Entry) -> tuple[bool, Any]:
        """Whether what is stored is an answer of this function, and the answer."""
        if entry.negative:
            return True, None
        if entry.media_type == _JSON:
            try:
                return True, self._type.validate_json(entry.value)
            except ValidationError as problem:
                _log.warning(
                    "cached_value_refused",
                    function=self._function.__qualname__,
                    problems=problem.error_count(),
                )
        return False, None

    async def _keep(
        self, cache: Cache, identity: Identity, key: str, answer: Any, args: Any, kwargs: Any
    ) -> None:
        negative = answer is None
        ttl = self._negative_ttl if negative else self._ttl
        if ttl is None:
            return
        try:
            value = b"" if negative else self._type.dump_json(answer, warnings="error", round_trip=True)
            tags = self._tags(*args, **kwargs) if callable(self._tags) else self._tags
            await cache.set(
                identity,
                key,
                value,
                ttl=ttl,
                media_type=_JSON,
                stale_for=0.0 if negative else self._stale_for,
                negative=negative,
                tags=tags,
                timeout=self._patience,
            )
        except Exception as problem:  # the answer is there, kept or not
            self._log_failure("set", problem)

    def _refresh(self, cache: Cache, identity: Identity, key: str, args: Any, kwargs: Any) -> None:
        """Begin to renew an answer, unless that is being done."""
        name = identity.tenant, key
        if name in self._refreshing:
            return

        async def renew() -> None:
            try:
                answer = await self._function(*args, **kwargs)
            except Exception as problem:  # whoever asked was answered; the next one tries again
                self._log_failure("refresh", problem)
            else:
                await self._keep(cache, identity, key, answer, args, kwargs)
            finally:
                del self._refreshing[name]

        self._refreshing[name] = asyncio.create_task(renew(), name=f"refresh {self._prefix}")

    def _log_failure(self, doing: str, problem: Exception) -> None:
        _log.warning(
            "cached_failed",
            doing=doing,
            function=self._function.__qualname__,
            problem=f"{type(problem).__name__}: {problem}",
        )
