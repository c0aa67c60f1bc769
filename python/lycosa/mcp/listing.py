"""Which resources there are, for clients that list them.

Quotas, providers and segments are few and are listed. Customers and documents may be millions: they are found with
find_customers and search_documents, or by completing the ids of their templates.
"""

from typing import Any, Final

from fastmcp import FastMCP
from fastmcp.resources import Resource
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from lycosa.identity import Identity
from lycosa.mcp.answers import JSON, gist, uri
from lycosa.mcp.asking import asking, services
from lycosa.mcp.resources import SCOPE
from lycosa.services import Services

__all__ = ["Listed", "listed", "register"]

# Of each kind. Beyond it, completions find them by how they begin.
_MOST: Final = 100


async def listed(services: Services, identity: Identity) -> list[tuple[str, str, str]]:
    """Scheme, name and description of the quotas, providers and segments, at most 100 of each, in a steady order."""
    await services.prepare()
    providers = await services.providers.find(identity)
    quotas = await services.quotas.find(identity, limit=_MOST)
    segments = await services.customers.segments(identity, limit=_MOST)
    return [
        *(("provider", row.name, "A provider of searches.") for row in providers[:_MOST]),
        *(("quota", row.quota, "What is used and left of a quota.") for row in quotas.rows),
        # The empty segment, for the customers in none, has no URI.
        *(("segment", row.segment, "Figures of a segment.") for row in segments.rows if row.segment),
    ]


class Listed(Middleware):
    """Adds what there is now to the listing of resources; reading it is the templates' work.

    Not a provider of FastMCP's, which would be asked for every tool, too.
    """

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """The listing, longer; anything else as it is."""
        answer = await call_next(context)
        if context.method != "resources/list":
            return answer
        identity = await asking()
        if not identity.may(SCOPE):
            return answer
        return [*answer, *(_resource(*row) for row in await listed(await services(), identity))]


def _resource(scheme: str, name: str, description: str) -> Resource:
    return Resource(
        uri=uri(scheme, name), name=name, title=gist(name), description=description, mime_type=JSON
    )


def register(server: FastMCP[Any]) -> None:
    """List resources besides those that are always there."""
    server.add_middleware(Listed())
