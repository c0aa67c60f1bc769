"""What every tool, resource, prompt and completion is given: the services, and who asks.

@server.tool(auth=needs("read"))
async def get_customer(
    customer_id: str, services: Services = Depends(services), identity: Identity = Depends(asking)
) -> CustomerOut: ...
"""

from dataclasses import dataclass
from typing import Any, Protocol

from fastmcp.dependencies import Depends
from fastmcp.server.auth import AccessToken
from fastmcp.server.dependencies import get_access_token, get_context

from lycosa.identity import Identity
from lycosa.services import Services
from lycosa.settings import Settings

__all__ = ["Asks", "Caller", "Depends", "Serving", "asking", "services", "serving"]

_KEY = "lycosa"


class Asks(Protocol):
    """Says who a credential belongs to."""

    async def identify(self, credential: str | None) -> Identity:
        """Raises LycosaError for a credential that is none, and for None where one is required."""
        ...


@dataclass(frozen=True, slots=True)
class Serving:
    """What one MCP server works with, for as long as it runs."""

    services: Services
    settings: Settings
    authenticator: Asks

    def as_context(self) -> dict[str, Any]:
        """As a FastMCP lifespan gives it to the requests it spans."""
        return {_KEY: self}


class Caller(AccessToken):
    """Who asks over HTTP, in the form FastMCP carries it. Never holds the credential itself."""

    identity: Identity

    @classmethod
    def of(cls, identity: Identity) -> "Caller":
        """The caller with this identity. A session belongs to its `client_id` and `subject` together."""
        return cls(
            token="",
            client_id=identity.key_id or "local",
            subject=identity.tenant,
            scopes=sorted(identity.scopes),
            identity=identity,
        )


def serving() -> Serving:
    """What the server of the request at hand works with. Raises RuntimeError outside a request."""
    found = get_context().lifespan_context[_KEY]
    assert isinstance(found, Serving)
    return found


async def services() -> Services:
    """The services, to be used as `services: Services = Depends(services)`."""
    return serving().services


async def asking() -> Identity:
    """Who asks, to be used as `identity: Identity = Depends(asking)`.

    Over HTTP whoever the credential names, on stdio the local caller. Raises Denied where a credential is required and
    none was given.
    """
    caller = get_access_token()
    if isinstance(caller, Caller):
        return caller.identity
    at = serving()
    if get_context().transport == "stdio":
        return Identity.local(at.settings)
    return await at.authenticator.identify(None)
