"""Who asks, and whether they may: every route says which scope it needs, and one that says nothing is none."""

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from lycosa.errors import Denied, Unauthenticated
from lycosa.identity import Identity, Scope
from lycosa.services.access import bearer

# Name of the scheme in the OpenAPI page.
SCHEME = "credential"
SECURITY_SCHEMES = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`lycosa keys create`) or a token of the issuer that the server trusts. Each "
        "operation names the scope it needs. Not needed where the server is set to authentication off, as it is on "
        "loopback.",
    }
}

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_SCOPES: dict[Callable[..., Any], Scope] = {}


def needs(scope: Scope) -> Callable[[Endpoint], Endpoint]:
    """Say which scope a route needs; it stands below the route's own decorator."""

    def declare(endpoint: Endpoint) -> Endpoint:
        _SCOPES[endpoint] = scope
        return endpoint

    return declare


def scope_of(endpoint: Callable[..., Any]) -> Scope:
    """What a route was declared to need. Raises TypeError for one that was not: nothing is open by oversight."""
    if endpoint not in _SCOPES:
        raise TypeError(f"route {endpoint.__name__} does not say which scope it needs")
    return _SCOPES[endpoint]


async def authorize(request: Request, scope: Scope) -> Identity:
    """Who asks; the log and the route find them in the request's state.

    Raises Unauthenticated, Denied where they have not the scope, Unavailable when the credential cannot be checked.
    """
    identity: Identity = await request.app.state.services.authenticator.identify(
        bearer(request.headers.getlist("authorization"))
    )
    request.state.identity = identity
    identity.require(scope)
    return identity


def challenge(response: Response, error: Denied, metadata: str | None = None) -> None:
    """Have an answer of 401 or 403 say what would be taken instead (RFC 6750).

    `metadata` is the address of the document that says where a token is had (RFC 9728).
    """
    if isinstance(error, Unauthenticated):
        text = 'Bearer realm="lycosa"' if error.missing else 'Bearer realm="lycosa", error="invalid_token"'
    elif error.code == "SCOPE_MISSING":
        text = f'Bearer realm="lycosa", error="insufficient_scope", scope="{error.details["scope"]}"'
    else:
        return
    response.headers["www-authenticate"] = f'{text}, resource_metadata="{metadata}"' if metadata else text
