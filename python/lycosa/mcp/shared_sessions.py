"""Sessions of clients that shake hands (protocol 2025-11-25 and before), on whichever server they arrive.

The SDK keeps such a session in the memory of one process. Here its opening is also kept in the store, so that another
process of the same store can take it up when it is asked for a session it has not heard of: a restart, a load balancer
that does not stick. Clients of 2026-07-28 have no sessions; every request of theirs is whole.

What does not move: a question to the client that is still open, and which resources it subscribed to.
"""

import asyncio
import json
from typing import Any
from uuid import uuid4

import structlog
from fastmcp.server.http import FastMCPStreamableHTTPSessionManager
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext
from mcp.server.streamable_http import StreamableHTTPServerTransport
from starlette.types import Message, Receive, Scope, Send

from lycosa.errors import LycosaError
from lycosa.identity import Identity
from lycosa.mcp.asking import Caller
from lycosa.mcp.events import SessionEvents
from lycosa.services import Services

# Of a session nobody asks for. Every request begins it anew, in the store at the latest after a quarter of it.
IDLE = 1800.0
# Milliseconds after which a client whose stream broke comes again.
_COME_AGAIN = 1000

_NAMESPACE = "mcp.sessions"
_HEADER = b"mcp-session-id"
_MOST_OPENING = 65_536
_LONGEST_ID = 128
_INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'

_log = structlog.get_logger("lycosa.mcp")


class SharedSessions(FastMCPStreamableHTTPSessionManager):
    """A session manager whose sessions any process may take up. A session belongs to the credential that opened it."""

    def __init__(self, app: Any, services: Services) -> None:
        super().__init__(app, session_idle_timeout=IDLE, retry_interval=_COME_AGAIN)
        self._kv = services.kv
        # Sessions being taken up: whoever asks for one meanwhile waits.
        self._adopting: dict[str, asyncio.Future[None]] = {}
        self._renewed: dict[str, float] = {}

    def _admit_session(
        self, requestor: AuthorizationContext | None, session_id: str | None = None
    ) -> StreamableHTTPServerTransport | None:
        if self.max_sessions is not None and len(self._server_instances) >= self.max_sessions:
            return None
        known = session_id or uuid4().hex
        # By the session and not by the process, so that a stream can be taken up on another one.
        tenant = requestor["subject"] if requestor is not None else None
        events = SessionEvents(self._kv, Identity(tenant), known) if tenant else None
        transport = StreamableHTTPServerTransport(
            mcp_session_id=known,
            event_store=events,
            security_settings=self.security_settings,
            retry_interval=self.retry_interval,
            idle_timeout=self.session_idle_timeout,
        )
        if requestor is not None:
            self._session_owners[known] = requestor
        self._server_instances[known] = transport
        return transport

    async def _handle_stateful_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope)
        session_id = _session_id(scope)
        if caller is None:
            await super()._handle_stateful_request(scope, receive, send)
        elif session_id is None:
            await self._open(caller, scope, receive, send)
        else:
            if adopting := self._adopting.get(session_id):
                await asyncio.shield(adopting)
            elif session_id not in self._server_instances:
                await self._adopt(caller, session_id, scope)
            owner = self._session_owners.get(session_id)
            await super()._handle_stateful_request(scope, receive, send)
            if owner != _requestor(caller):
                # Answered with 404: nothing of somebody else's session is touched.
                return
            if scope["method"] == "DELETE":
                await self._forget(caller, session_id)
            elif session_id in self._server_instances:
                await self._renew(caller, session_id)

    async def _open(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request that opens a session, and keep it where that went well."""
        body, opened = bytearray(), ""

        async def reading() -> Message:
            message = await receive()
            if message["type"] == "http.request" and len(body) <= _MOST_OPENING:
                body.extend(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal opened
            if message["type"] == "http.response.start" and message["status"] < 400:
                opened = next((str(v, "ascii") for k, v in message["headers"] if k.lower() == _HEADER), "")
                if opened and len(body) <= _MOST_OPENING:
                    # Before the client knows its id, so that whoever it asks next finds it.
                    await self._keep(caller, opened, bytes(body))
            await send(message)

        await super()._handle_stateful_request(scope, reading, sending)

    async def _keep(self, caller: Caller, session_id: str, opening: bytes) -> None:
        record = {"client_id": caller.client_id, "opening": opening.decode("utf-8", "replace")}
        value = json.dumps(record, ensure_ascii=False).encode()
        try:
            await self._kv.set(caller.identity, _NAMESPACE, session_id, value, ttl=IDLE)
            self._renewed[session_id] = asyncio.get_running_loop().time()
        except LycosaError as problem:
            _log.warning("mcp_session_not_kept", code=problem.code)

    async def _renew(self, caller: Caller, session_id: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._renewed.get(session_id, 0.0) < IDLE / 4:
            return
        self._renewed[session_id] = now
        try:
            await self._kv.touch(caller.identity, _NAMESPACE, [session_id])
        except LycosaError as problem:
            _log.warning("mcp_session_not_kept", code=problem.code)

    async def _forget(self, caller: Caller, session_id: str) -> None:
        try:
            await self._kv.delete(caller.identity, _NAMESPACE, [session_id])
            await SessionEvents(self._kv, caller.identity, session_id).forget()
        except LycosaError as problem:
            _log.warning("mcp_session_not_forgotten", code=problem.code)

    async def _discard_session(self, session_id: str, transport: StreamableHTTPServerTransport) -> None:
        self._renewed.pop(session_id, None)
        await super()._discard_session(session_id, transport)

    async def _adopt(self, caller: Caller, session_id: str, scope: Scope) -> None:
        """Take up a session that another process opened. Where there is none, what follows answers 404."""
        done = self._adopting[session_id] = asyncio.get_running_loop().create_future()
        try:
            found = await self._kv.get(caller.identity, _NAMESPACE, session_id)
            record = json.loads(found.value) if found is not None else None
            if record is not None and record["client_id"] == caller.client_id:
                await self._replay(session_id, record["opening"].encode(), scope)
        except LycosaError as problem:
            # The client opens another one; better than to hold it up for as long as the store is away.
            _log.warning("mcp_session_not_taken_up", code=problem.code)
        finally:
            del self._adopting[session_id]
            done.set_result(None)

    async def _replay(self, session_id: str, opening: bytes, scope: Scope) -> None:
        caller = _caller(scope)
        assert caller is not None
        async with self._session_creation_lock:
            transport = self._admit_session(_requestor(caller), session_id)
        if transport is None:
            return
        await self._serve_opening_request(transport, _post(scope, None), _once(opening), _nowhere)
        if session_id in self._server_instances:
            await transport.handle_request(_post(scope, session_id), _once(_INITIALIZED), _nowhere)
            _log.info("mcp_session_taken_up")


def _caller(scope: Scope) -> Caller | None:
    user = scope.get("user")
    token = user.access_token if isinstance(user, AuthenticatedUser) else None
    return token if isinstance(token, Caller) else None


def _requestor(caller: Caller) -> AuthorizationContext:
    """As the SDK names the owner of a session."""
    return AuthorizationContext(client_id=caller.client_id, issuer=None, subject=caller.subject)


def _session_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER:
            return str(value, "latin-1")[:_LONGEST_ID]
    return None


def _post(scope: Scope, session_id: str | None) -> Scope:
    """A request like this one that posts one message."""
    kept = [pair for pair in scope["headers"] if pair[0] in (b"host", b"mcp-protocol-version")]
    headers = [
        *kept,
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
    ]
    if session_id is not None:
        headers.append((_HEADER, session_id.encode("latin-1")))
    return {**scope, "method": "POST", "headers": headers}


def _once(body: bytes) -> Receive:
    """Receives one body, then never that the client has gone."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _nowhere(_message: Message) -> None:
    """The client had its answer from the process that opened the session."""
