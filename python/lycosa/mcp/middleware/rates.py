"""How often a caller may call: counted in the store, so that any number of servers hold one limit together."""

import hashlib
import re
from collections import OrderedDict
from contextlib import suppress
from typing import Any

from fastmcp.server.dependencies import get_access_token
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from lycosa.errors import Conflict, NotFound
from lycosa.identity import Identity
from lycosa.mcp.asking import Caller
from lycosa.services import Services

_COUNTED = frozenset({"tools/call", "resources/read", "prompts/get"})
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_REMEMBERED = 4096


def quota_of(identity: Identity) -> str:
    """The name of a caller's limit among the quotas of its tenant."""
    name = identity.key_id or "local"
    if not _PLAIN.fullmatch(name):
        name = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"mcp.calls.{name}"


class Rates(Middleware):
    """Takes one of a caller's `per_minute` calls in a minute of the clock before each operation that does work.

    The limit of a caller is defined in the store when this server first hears from them, as an ordinary quota of the
    tenant. Callers that carry no credential, those on stdio, are not counted. Raises Exhausted with retry_after.
    """

    def __init__(self, services: Services, per_minute: int) -> None:
        self._quotas = services.quotas
        self._per_minute = per_minute
        self._defined: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """Take, then go on."""
        caller = get_access_token()
        if context.method in _COUNTED and isinstance(caller, Caller):
            await self._take(caller.identity)
        return await call_next(context)

    async def _take(self, identity: Identity) -> None:
        quota = quota_of(identity)
        place = (identity.tenant, quota)
        if place not in self._defined:
            await self._define(identity, quota)
            self._defined[place] = None
            if len(self._defined) > _REMEMBERED:
                self._defined.popitem(last=False)
        try:
            await self._quotas.take(identity, {quota: 1})
        except NotFound:
            # Somebody has removed it since.
            await self._define(identity, quota)
            await self._quotas.take(identity, {quota: 1})

    async def _define(self, identity: Identity, quota: str) -> None:
        # Who made it another kind of limit, under this name, wants that one.
        with suppress(Conflict):
            await self._quotas.define(
                identity, quota, "window", self._per_minute, unit="call", window="minute"
            )
