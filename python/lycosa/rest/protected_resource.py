"""Where a client of /mcp gets a token (protected resource metadata, RFC 9728), if tokens of an issuer are accepted."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lycosa.identity import SCOPES
from lycosa.settings import Settings

PATH = "/.well-known/oauth-protected-resource/mcp"


def metadata_route(settings: Settings) -> Route | None:
    """The route, open to all; None where there is no issuer with an address to send anybody to."""
    issuer = settings.jwt_issuer
    if not settings.accepts_tokens or issuer is None or urlsplit(issuer).scheme not in ("http", "https"):
        return None

    async def metadata(request: Request) -> Response:
        return JSONResponse(
            {
                "resource": f"{_origin(request)}/mcp",
                "authorization_servers": [issuer],
                "scopes_supported": list(SCOPES),
                "bearer_methods_supported": ["header"],
                "resource_name": "Lycosa",
            }
        )

    return Route(PATH, metadata, methods=["GET"])


def metadata_address(request: Request) -> str:
    """Of the document about /mcp, as this request names the server."""
    return f"{_origin(request)}{PATH}"


def _origin(request: Request) -> str:
    # The guard has looked at the host already.
    return f"{request.url.scheme}://{request.url.netloc}"
