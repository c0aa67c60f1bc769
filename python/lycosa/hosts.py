"""By which names HTTP may be asked, and from whose web pages.

A web page of somebody else can have a name of its own point to this machine (DNS rebinding), and then its requests
carry that name as their Host; without that trick they carry the page's Origin. Whoever serves on loopback, where nobody
is asked who they are, has no other wall against the web pages that a user of the machine has open.
"""

import ipaddress
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lycosa.settings import Settings

__all__ = ["AllowedHosts", "HostGuard", "is_loopback"]

Refuse = Callable[[Scope, int, str, str], Response]


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether an address or name can only be this machine itself."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


@dataclass(frozen=True)
class AllowedHosts:
    """Names and origins that are answered, lower case. Loopback's are always among them."""

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    origins: frozenset[str] = frozenset()
    any_name: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say, and the address that is listened on unless it stands for all."""
        own = [settings.http_host] if settings.http_host not in ("0.0.0.0", "::") else []
        return cls.listed([*own, *settings.allowed_hosts], settings.allowed_origins)

    @classmethod
    def listed(cls, names: Iterable[str], origins: Iterable[str] = ()) -> Self:
        """Of names, with or without a port; `*.name` is every name below it, `*` every name at all."""
        lower = [name.lower() for name in names]
        return cls(
            names=frozenset(name for name in lower if not name.startswith("*")),
            suffixes=tuple(name[1:] for name in lower if name.startswith("*.")),
            origins=frozenset(origin.lower().rstrip("/") for origin in origins),
            any_name="*" in lower,
        )

    def has_host(self, authority: str) -> bool:
        """Whether a Host header's value is one of them. A name without a port stands for all its ports."""
        authority = authority.lower()
        name = _name(authority)
        if name is None:
            return False
        return (
            self.any_name
            or is_loopback(name)
            or name in self.names
            or authority in self.names
            or name.endswith(self.suffixes)
        )

    def has_origin(self, origin: str, authority: str) -> bool:
        """Whether a page of this origin may ask the server that it calls `authority`: its own, or one of the list."""
        origin = origin.lower()
        if origin in self.origins:
            return True
        with suppress(ValueError):
            parts = urlsplit(origin)
            if parts.scheme in ("http", "https") and parts.netloc:
                return parts.netloc == authority.lower() or is_loopback(_name(parts.netloc) or "")
        return False


def _name(authority: str) -> str | None:
    """The name of `name`, `name:port`, `[address]` or `[address]:port`; None when it is none of them."""
    if authority.startswith("["):
        name, closed, port = authority[1:].partition("]")
        port = port.removeprefix(":") if closed else "none"
    else:
        name, _, port = authority.partition(":")
    return name if name and (not port or port.isdecimal()) else None


class HostGuard:
    """ASGI middleware: 421 for a request by another name, 403 for one from a page of another origin."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts, refuse: Refuse | None = None) -> None:
        """`refuse` makes the answer of a status, a code and a sentence; problem+json when absent."""
        self._app = app
        self._hosts = hosts
        self._refuse = refuse or _problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer for the application."""
        if scope["type"] in ("http", "websocket"):
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        host = str(hosts[0], "latin-1") if len(hosts) == 1 else ""
        if not self._hosts.has_host(host):
            return self._refuse(
                scope, 421, "HOST_REFUSED", "this server does not go by that name; see LYCOSA_ALLOWED_HOSTS"
            )
        for name, value in scope["headers"]:
            if name == b"origin" and not self._hosts.has_origin(str(value, "latin-1"), host):
                return self._refuse(
                    scope,
                    403,
                    "ORIGIN_REFUSED",
                    "pages of that origin may not ask; see LYCOSA_ALLOWED_ORIGINS",
                )
        return None


def _problem(_scope: Scope, status: int, code: str, detail: str) -> Response:
    body: dict[str, Any] = {"title": "This is not allowed", "status": status, "detail": detail, "code": code}
    return Response(json.dumps(body), status, media_type="application/problem+json")
