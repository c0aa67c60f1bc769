"""What an argument of a prompt or a resource template may be: ids, segments and names by how they begin."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from fastmcp import FastMCP
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from lycosa.identity import Identity
from lycosa.mcp.asking import asking, services
from lycosa.mcp.resources import SCOPE
from lycosa.services import Services

__all__ = ["register"]

_MOST: Final = 20
_LONGEST: Final = 128
_LANGUAGES: Final = ("en", "ru")

_Find = Callable[[Services, Identity, str], Awaitable[list[str]]]


async def _customers(services: Services, identity: Identity, begun: str) -> list[str]:
    """Ids that begin so, then ids of customers whose names do, in any case."""
    by_id = await services.customers.find(identity, "all", prefix=begun, limit=_MOST + 1)
    ids = [row.id for row in by_id.rows]
    if begun.strip() and len(ids) <= _MOST:
        by_name = await services.customers.find(identity, "name", begun, limit=_MOST + 1)
        ids += [row.id for row in by_name.rows]
    return list(dict.fromkeys(ids))


async def _several(services: Services, identity: Identity, begun: str) -> list[str]:
    """The last of several ids between commas."""
    before, comma, last = begun.rpartition(",")
    chosen = {part.strip() for part in before.split(",")}
    ids = await _customers(services, identity, last.strip())
    return [f"{before}{comma}{id}" for id in ids if id not in chosen]


async def _segments(services: Services, identity: Identity, begun: str) -> list[str]:
    page = await services.customers.segments(identity, prefix=begun, limit=_MOST + 1)
    return [row.segment for row in page.rows if row.segment]


async def _documents(services: Services, identity: Identity, begun: str) -> list[str]:
    page = await services.documents.find(identity, prefix=begun, limit=_MOST + 1)
    return [row.id for row in page.rows]


async def _quotas(services: Services, identity: Identity, begun: str) -> list[str]:
    page = await services.quotas.find(identity, prefix=begun, limit=_MOST + 1)
    return [row.quota for row in page.rows]


async def _providers(services: Services, identity: Identity, begun: str) -> list[str]:
    await services.prepare()
    return [row.name for row in await services.providers.find(identity) if row.name.startswith(begun)]


async def _languages(_services: Services, _identity: Identity, begun: str) -> list[str]:
    return [language for language in _LANGUAGES if language.startswith(begun)]


# By the scheme of a template and the name of its argument.
_OF_TEMPLATES: Final[Mapping[tuple[str, str], _Find]] = {
    ("customer", "id"): _customers,
    ("segment", "name"): _segments,
    ("document", "id"): _documents,
    ("quota", "name"): _quotas,
    ("provider", "name"): _providers,
}
# By the name of an argument, whatever the prompt.
_OF_PROMPTS: Final[Mapping[str, _Find]] = {
    "customer": _customers,
    "customers": _several,
    "language": _languages,
}


async def _complete(
    reference: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    _context: CompletionContext | None,
) -> Completion | None:
    """At most 20 values; nothing for whoever may not read, and for an argument that is anything."""
    if isinstance(reference, PromptReference):
        find = _OF_PROMPTS.get(argument.name)
    else:
        find = _OF_TEMPLATES.get((reference.uri.partition("://")[0], argument.name))
    identity = await asking()
    most = _LONGEST * 5 if find is _several else _LONGEST
    if find is None or not identity.may(SCOPE) or len(argument.value.encode(errors="replace")) > most:
        return None
    values = await find(await services(), identity, argument.value)
    return Completion(values=values[:_MOST], has_more=len(values) > _MOST)


def register(server: FastMCP[Any]) -> None:
    """Register the server's completions."""
    server.completion(_complete)
