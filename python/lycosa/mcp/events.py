"""What a session's streams carried, kept for a while in the store, so that a client whose stream broke hears the rest.

Also of another process: after a restart, or behind a load balancer. Only clients that shake hands have such streams.
"""

import hashlib
import json
import time

import structlog
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import JSONRPCMessage, jsonrpc_message_adapter

from lycosa.errors import LycosaError
from lycosa.identity import Identity
from lycosa.services.kv import KvService

# Seconds in which a client may come again, and the largest event that is kept for it. What was said in them is held in
# memory, so both are small: whoever misses more asks again.
KEPT = 120.0
_MOST_BYTES = 32_768

_NAMESPACE = "mcp.events."
_log = structlog.get_logger("lycosa.mcp")


class SessionEvents(EventStore):
    """The events of one session, in its tenant. An event's id is its key: its stream's digest and when it was."""

    def __init__(self, kv: KvService, identity: Identity, session_id: str) -> None:
        self._kv = kv
        self._identity = identity
        self._namespace = _NAMESPACE + session_id
        self._last = 0

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep an event; without a message it only marks where a stream begins.

        What is too large, or comes while the store is away, is not kept: the stream goes on without it later.
        """
        # Never twice the same, and never back, in this process; another one begins later.
        self._last = max(self._last + 1, time.time_ns())
        key = f"{_digest(stream_id)}-{self._last:020d}"
        said = None if message is None else message.model_dump(mode="json", by_alias=True, exclude_unset=True)
        value = json.dumps({"stream": stream_id, "message": said}, ensure_ascii=False)
        kept = value.encode("utf-8", "replace")
        if len(kept) > _MOST_BYTES:
            return key
        try:
            await self._kv.set(self._identity, self._namespace, key, kept, ttl=KEPT)
        except LycosaError as problem:
            _log.warning("mcp_event_not_kept", code=problem.code)
        return key

    async def replay_events_after(
        self, last_event_id: EventId, send_callback: EventCallback
    ) -> StreamId | None:
        """Say again what came after an event on its stream; None where the event is not kept any more."""
        digest, _, _ = last_event_id.partition("-")
        stream: StreamId | None = None
        try:
            async for entry in self._kv.every(self._identity, self._namespace, prefix=f"{digest}-"):
                kept = json.loads(entry.value)
                if entry.key == last_event_id:
                    stream = kept["stream"]
                elif stream is not None and kept["message"] is not None:
                    message = jsonrpc_message_adapter.validate_python(kept["message"], by_name=False)
                    await send_callback(EventMessage(message, entry.key))
        except LycosaError as problem:
            _log.warning("mcp_events_not_said_again", code=problem.code)
        return stream

    async def forget(self) -> None:
        """Forget them all: the session has ended."""
        await self._kv.clear(self._identity, self._namespace)


def _digest(stream_id: StreamId) -> str:
    return hashlib.sha256(stream_id.encode("utf-8", "replace")).hexdigest()[:16]
