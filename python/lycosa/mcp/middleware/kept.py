"""Answers of read tools that are worth keeping for a moment, in the store's cache, for every server of a tenant."""

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import CallToolRequestParams, ContentBlock
from pydantic import TypeAdapter, ValidationError

from lycosa.errors import LycosaError
from lycosa.identity import Identity
from lycosa.mcp.asking import asking
from lycosa.services import Services
from lycosa.services.canonical import canonical

KEPT_SINCE = "lycosa/kept_since"

_TAG = "mcp.answers"
_BLOCKS: TypeAdapter[list[ContentBlock]] = TypeAdapter(list[ContentBlock])


class Kept(Middleware):
    """Keeps answers of the tools in `seconds` for so long, by tenant and arguments.

    A tool in `writes` that was called through MCP, by whatever server, forgets them at once; a write that came another
    way shows when the seconds are over. An answer that was kept says since when in its `_meta`. Errors are not kept.
    """

    def __init__(self, services: Services, seconds: Mapping[str, float], writes: Collection[str]) -> None:
        self._cache = services.cache
        self._seconds = dict(seconds)
        self._writes = frozenset(writes)

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """Answer what was kept, or go on."""
        if context.method != "tools/call" or not isinstance(context.message, CallToolRequestParams):
            # A call that MCP itself refuses comes here as it was sent.
            return await call_next(context)
        name = context.message.name
        if name in self._writes:
            try:
                return await call_next(context)
            finally:
                # Also when it failed: it may have been done nevertheless. A store that is away forgets nothing, but
                # what it keeps is over in seconds.
                with suppress(LycosaError):
                    await self._cache.invalidate(await asking(), tag=_TAG)
        seconds = self._seconds.get(name)
        if seconds is None:
            return await call_next(context)
        identity = await asking()
        if not identity.may("read"):
            # What follows refuses them.
            return await call_next(context)
        return await self._through(context, call_next, identity, seconds)

    async def _through(
        self,
        context: MiddlewareContext[Any],
        call_next: CallNext[Any, Any],
        identity: Identity,
        seconds: float,
    ) -> Any:
        form = canonical("arguments", context.message.arguments or {})
        digest = hashlib.sha256(json.dumps(form).encode()).hexdigest()
        key = f"mcp.answer:{context.message.name}:{digest}"
        try:
            found = await self._cache.get(identity, key)
        except LycosaError:
            found = None
        if found is not None and (answer := _restored(found.value)) is not None:
            answer.meta = {**(answer.meta or {}), KEPT_SINCE: found.created_at}
            return answer
        answer = await call_next(context)
        if type(answer) is ToolResult and not answer.is_error:
            with suppress(LycosaError):
                await self._cache.set(identity, key, _stored(answer), ttl=seconds, tags=[_TAG])
        return answer


def _stored(answer: ToolResult) -> bytes:
    return json.dumps(
        {
            "content": _BLOCKS.dump_python(answer.content, mode="json", by_alias=True, exclude_none=True),
            "structured": answer.structured_content,
        },
        ensure_ascii=False,
    ).encode("utf-8", "replace")


def _restored(value: bytes) -> ToolResult | None:
    """None for what another version of this program kept."""
    try:
        kept = json.loads(value)
        return ToolResult(
            content=_BLOCKS.validate_python(kept["content"]), structured_content=kept["structured"]
        )
    except (ValueError, KeyError, TypeError, ValidationError):
        return None
