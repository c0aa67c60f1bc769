"""Tells clients that what they have subscribed to has changed, whoever changed it.

The store is looked at once a second, only for what somebody has subscribed to, so that a change made by another
process, by REST, by the command line or in the store itself is told like any other. Told is that it has changed and
never what: the client reads it again, with its own credential.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

import structlog
from fastmcp import FastMCP
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import ListenHandler, ResourcesListChanged, ResourceUpdated, ServerEvent
from mcp_types import (
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from lycosa.errors import Exhausted, LycosaError, NotFound, TimedOut, Unavailable
from lycosa.identity import Identity
from lycosa.mcp.asking import asking, services
from lycosa.mcp.failures import protocol_error
from lycosa.mcp.listing import listed
from lycosa.mcp.resources import SCOPE, body, is_ours
from lycosa.services import Services

__all__ = ["Subscriptions", "close", "register"]

_log = structlog.get_logger(__name__)

# Seconds between two looks.
_EVERY = 1.0
# What one client and one process look at.
_MOST_OF_ONE: Final = 32
_MOST: Final = 512
_MOST_STREAMS: Final = 256
# Then a stream ends in order, and the client asks for another, with the credential that it has then.
_LONGEST_SECONDS: Final = 3_600.0
# Stands for the list of resources itself.
_LISTING: Final = ""
_STATE: Final = "lycosa/subscriptions"

_Place = tuple[str, str]
_Ended = Callable[[], None]


@dataclass(slots=True)
class _Watched:
    """One resource that somebody wants to hear of."""

    services: Services
    identity: Identity
    uri: str
    digest: bytes | None = None
    listeners: dict[object, Callable[[], None]] = field(default_factory=dict)

    async def look(self) -> bool:
        """Whether it has changed since the last look. A store that is away has changed nothing."""
        try:
            text = await self._text()
        except NotFound as gone:
            text = gone.code
        except (Unavailable, TimedOut):
            return False
        digest = hashlib.sha256(text.encode()).digest()
        before, self.digest = self.digest, digest
        return before is not None and before != digest

    async def _text(self) -> str:
        if self.uri == _LISTING:
            return repr(await listed(self.services, self.identity))
        return await body(self.services, self.identity, self.uri)


class Subscriptions:
    """What the clients of one server have subscribed to. `close` ends their streams as the protocol wants it."""

    def __init__(self, every: float) -> None:
        """`every` is the time between two looks, in seconds."""
        self._every = every
        self._watched: dict[_Place, _Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._streams: set[ListenHandler] = set()

    async def listen(
        self, context: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve one stream of the modern protocol until the client goes or the server ends.

        What is no resource of ours is not acknowledged; tools and prompts never change.
        """
        if len(self._streams) >= _MOST_STREAMS:
            raise protocol_error(_full(_MOST_STREAMS))
        asked = params.notifications
        uris = list(dict.fromkeys(asked.resource_subscriptions or ()))
        if asked.resources_list_changed:
            uris.append(_LISTING)
        known = await self._known(uris)
        honored = SubscriptionFilter(
            resources_list_changed=_LISTING in known or None,
            resource_subscriptions=[uri for uri in known if uri] or None,
        )
        bus = _Bus(self, known)
        handler = ListenHandler(bus, max_subscriptions=1)
        self._streams.add(handler)
        ending = asyncio.get_running_loop().call_later(_LONGEST_SECONDS, handler.close)
        try:
            return await handler(context, params.model_copy(update={"notifications": honored}))
        finally:
            ending.cancel()
            self._streams.discard(handler)

    async def subscribe(
        self, context: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        """Tell a client of the handshake protocol of a resource until it unsubscribes or goes."""
        # The session is made anew for every request; what lasts is its connection.
        connection: Connection = context.session._connection
        found = await self._known([params.uri])
        if params.uri not in found:
            unknown = NotFound("there is no such resource", code="RESOURCE_NOT_FOUND")
            raise protocol_error(unknown)
        if _STATE not in connection.state:
            connection.state[_STATE] = {}
            connection.exit_stack.callback(_end_all, connection.state[_STATE])
        ends: dict[str, _Ended] = connection.state[_STATE]
        # Nothing is awaited from here on: requests of one client may be served side by side.
        if params.uri in ends:
            return EmptyResult()
        if len(ends) >= _MOST_OF_ONE:
            raise protocol_error(_full(_MOST_OF_ONE))
        ends[params.uri] = self._add(found[params.uri], _Updates(connection, params.uri))
        return EmptyResult()

    async def unsubscribe(
        self, context: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        """Tell the client no more. Nothing to do for what it has not subscribed to."""
        ends: dict[str, _Ended] = context.session._connection.state.get(_STATE, {})
        end = ends.pop(params.uri, None)
        if end is not None:
            end()
        return EmptyResult()

    def close(self) -> None:
        """End every stream, each after what it has still to tell, and look at nothing any more."""
        for handler in list(self._streams):
            handler.close()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _known(self, uris: Sequence[str]) -> dict[str, _Watched]:
        """Those that are resources of ours, each looked at once, so that the first change counts."""
        identity = await asking()
        if not identity.may(SCOPE):
            return {}
        given = await services()
        if len(uris) > _MOST_OF_ONE:
            raise protocol_error(_full(_MOST_OF_ONE))
        found: dict[str, _Watched] = {}
        for uri in uris:
            if uri != _LISTING and not is_ours(uri):
                continue
            watched = self._watched.get((identity.tenant, uri))
            if watched is None:
                watched = _Watched(given, identity, uri)
                try:
                    await watched.look()
                except LycosaError as problem:
                    raise protocol_error(problem) from problem
            found[uri] = watched
        return found

    def _add(self, watched: _Watched, listener: Callable[[], None]) -> _Ended:
        """Call the listener whenever it has changed; gives what ends that."""
        place, token = (watched.identity.tenant, watched.uri), object()
        watched = self._watched.get(place, watched)
        if place not in self._watched and len(self._watched) >= _MOST:
            raise protocol_error(_full(_MOST))
        self._watched[place] = watched
        watched.listeners[token] = listener
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look(), name="subscriptions")

        def end() -> None:
            watched.listeners.pop(token, None)
            if not watched.listeners and self._watched.get(place) is watched:
                del self._watched[place]

        return end

    async def _look(self) -> None:
        """Look as long as somebody wants to hear."""
        while self._watched:
            await asyncio.sleep(self._every)
            for watched in list(self._watched.values()):
                try:
                    has_changed = await watched.look()
                except Exception as problem:
                    _log.warning("subscription_not_read", problem=type(problem).__name__)
                    continue
                for listener in list(watched.listeners.values()) if has_changed else ():
                    listener()


class _Bus:
    """What one stream of the modern protocol hears of."""

    def __init__(self, subscriptions: Subscriptions, watched: Mapping[str, _Watched]) -> None:
        self._subscriptions = subscriptions
        self._watched = watched

    async def publish(self, event: ServerEvent) -> None:
        """Nobody publishes: the store is looked at."""

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> _Ended:
        """Hear of everything the stream has asked for."""
        ends: dict[str, _Ended] = {}
        try:
            for uri, watched in self._watched.items():
                event = ResourcesListChanged() if uri == _LISTING else ResourceUpdated(uri=uri)
                ends[uri] = self._subscriptions._add(watched, _Call(listener, event))
        except BaseException:
            # A stream that does not come to be hears of nothing.
            _end_all(ends)
            raise
        return lambda: _end_all(ends)


@dataclass(frozen=True, slots=True)
class _Call:
    listener: Callable[[ServerEvent], None]
    event: ServerEvent

    def __call__(self) -> None:
        self.listener(self.event)


class _Updates:
    """Tells one client of the handshake protocol of one resource; one that does not read is told once, not more."""

    def __init__(self, connection: Connection, uri: str) -> None:
        self._connection = connection
        self._uri = uri
        self._telling: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        with suppress(Exception):
            await self._connection.send_resource_updated(self._uri)


def _end_all(ends: dict[str, _Ended]) -> None:
    while ends:
        ends.popitem()[1]()


def _full(most: int) -> Exhausted:
    return Exhausted(
        f"at most {most} resources can be subscribed to", code="SUBSCRIPTIONS_FULL", details={"limit": most}
    )


# By server, for whoever ends one.
_OF_SERVERS: WeakKeyDictionary[FastMCP[Any], Subscriptions] = WeakKeyDictionary()


def close(server: FastMCP[Any]) -> None:
    """End the streams of a server, before it waits for its calls to end: a stream ends by itself never."""
    subscriptions = _OF_SERVERS.get(server)
    if subscriptions is not None:
        subscriptions.close()


def register(server: FastMCP[Any]) -> None:
    """Serve subscriptions of both eras."""
    subscriptions = Subscriptions(_EVERY)
    # FastMCP has no word for them yet; the server beneath it has.
    beneath = server._mcp_server
    beneath.add_request_handler(
        "subscriptions/listen", SubscriptionsListenRequestParams, subscriptions.listen
    )
    beneath.add_request_handler("resources/subscribe", SubscribeRequestParams, subscriptions.subscribe)
    beneath.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, subscriptions.unsubscribe)
    _OF_SERVERS[server] = subscriptions
