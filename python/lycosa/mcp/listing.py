"""Which resources there are, for clients that list them.

Quotas, providers and segments are few and are listed. Customers and documents may be millions: they are found with
find_customers and search_documents, or by completing the ids of their templates.
"""

from collections.abc import Sequence
from typing import Any, Final

from fastmcp import FastMCP
from fastmcp.resources import Resource
from fastmcp.server.providers import Provider
from fastmcp.utilities.components import FastMCPComponent
from fastmcp.utilities.versions import VersionSpec

from lycosa.identity import Identity
from lycosa.mcp.answers import JSON, gist, uri
from lycosa.mcp.asking import asking, services
from lycosa.mcp.resources import SCOPE
from lycosa.mcp.scopes import needs
from lycosa.services import Services

__all__ = ["listed", "register"]

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


class _Listed(Provider):
    """Lists what is there now; reading is the templates' work."""

    async def _list_resources(self) -> Sequence[Resource]:
        identity = await asking()
        if not identity.may(SCOPE):
            return []
        return [
            Resource(
                uri=uri(scheme, name),
                name=name,
                title=gist(name),
                description=description,
                mime_type=JSON,
                auth=needs(SCOPE),
            )
            for scheme, name, description in await listed(await services(), identity)
        ]

    async def _get_resource(self, uri: str, version: VersionSpec | None = None) -> Resource | None:
        return None

    async def get_tasks(self) -> Sequence[FastMCPComponent]:
        """None; FastMCP asks at the start, where nobody asks anything yet."""
        return []


def register(server: FastMCP[Any]) -> None:
    """List resources besides those that are always there."""
    server.add_provider(_Listed())
