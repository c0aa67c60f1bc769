"""Prompts: a task in the user's words, and behind it the customer as embedded resources, which are data."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from fastmcp import FastMCP
from fastmcp.prompts import FunctionPrompt, Message, PromptResult
from mcp_types import EmbeddedResource, TextResourceContents

from lycosa.errors import Invalid, NotFound
from lycosa.identity import Identity
from lycosa.mcp.answers import JSON, distinct, excerpt, gist, uri
from lycosa.mcp.asking import Depends, asking, services
from lycosa.mcp.prompt_texts import ABOUT, COMPARE, MEETING, RISKS, Language, instruction
from lycosa.mcp.resources import SCOPE, body
from lycosa.mcp.scopes import needs
from lycosa.services import Services

__all__ = ["register"]

_MOST_DOCUMENTS: Final = 5
_LISTED: Final = 50
_LONGEST_DOCUMENT: Final = 4_000
_HISTORY: Final = "/history?limit=10"
_LEAST_COMPARED, _MOST_COMPARED = 2, 5

_LONGEST_FOCUS: Final = 500

_FOCUS: Final = "What it is about for you, in a few words."
# Every argument is text, as the protocol has it: what it may be is said and checked here.
_ARGUMENTS: Final = {
    "customer": "Id of the customer, or its external id.",
    "customers": "2 to 5 ids or external ids, between commas.",
    "language": "Of the answer: en or ru; en when absent.",
    "focus": _FOCUS,
    "purpose": _FOCUS,
    "criterion": _FOCUS,
}


async def customer_brief(
    customer: str,
    language: str = "en",
    focus: str = "",
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> list[Message]:
    """A brief on one customer that is read in a minute: who they are, how the relation stands, what to do next."""
    task = _task(ABOUT, language, focus)
    return [task, *await _known(services, identity, customer, with_documents=True)]


async def prepare_meeting(
    customer: str,
    language: str = "en",
    purpose: str = "",
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> list[Message]:
    """What to know, to ask and to offer in a meeting with a customer."""
    task = _task(MEETING, language, purpose)
    return [task, *await _known(services, identity, customer, with_documents=True)]


async def compare_customers(
    customers: str,
    language: str = "en",
    criterion: str = "",
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> list[Message]:
    """Several customers side by side, with a ranking where the data carries one."""
    keys = distinct([key.strip() for key in customers.split(",") if key.strip()])
    if not _LEAST_COMPARED <= len(keys) <= _MOST_COMPARED:
        problem = f"names {len(keys)} customers, {_LEAST_COMPARED} to {_MOST_COMPARED} are compared"
        raise Invalid.argument("customers", problem)
    messages = [_task(COMPARE, language, criterion)]
    for key in keys:
        messages += await _known(services, identity, key, with_documents=False)
    return messages


async def find_risks(
    customer: str,
    language: str = "en",
    focus: str = "",
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> list[Message]:
    """What could make us lose a customer, each risk with the quotation it rests on."""
    task = _task(RISKS, language, focus)
    return [task, *await _known(services, identity, customer, with_documents=True)]


def _task(text: Mapping[Language, str], language: str, focus: str) -> Message:
    """The instruction in the language asked for. Raises Invalid for one that there is not."""
    if language not in get_args(Language):
        raise Invalid.argument("language", "is not one of en, ru")
    return Message(instruction(text, cast(Language, language), gist(focus, _LONGEST_FOCUS)))


async def _known(
    services: Services, identity: Identity, customer: str, *, with_documents: bool
) -> list[Message]:
    """The record, the latest report if one is kept, the last requests, and how the newest of 50 documents begin."""
    customer_id = (await services.customers.locate(identity, customer)).id
    messages = []
    for rest in ("", "/analysis", _HISTORY):
        address = uri("customer", customer_id, rest)
        try:
            messages.append(_embedded(address, await body(services, identity, address)))
        except NotFound:
            if not rest:
                raise
    if with_documents:
        page = await services.documents.find(identity, customer_id=customer_id, limit=_LISTED)
        newest = sorted(page.rows, key=lambda row: (-row.created_at, row.id))[:_MOST_DOCUMENTS]
        for row in newest:
            try:
                text = (await services.documents.get(identity, row.id)).text
            except NotFound:
                # Deleted meanwhile.
                continue
            begun = {"title": gist(row.title), "kind": row.kind, "text": excerpt(text, _LONGEST_DOCUMENT)}
            messages.append(_embedded(uri("document", row.id), json.dumps(begun, ensure_ascii=False)))
    return messages


def _embedded(address: str, text: str) -> Message:
    contents = TextResourceContents(uri=address, mime_type=JSON, text=text)
    return Message(EmbeddedResource(type="resource", resource=contents))


class _Prompt(FunctionPrompt):
    """Names what is missing; FastMCP would call it a fault of ours."""

    async def render(self, arguments: dict[str, Any] | None = None) -> PromptResult:
        """Raises Invalid for an argument that is missing."""
        for argument in self.arguments or []:
            if argument.required and argument.name not in (arguments or {}):
                raise Invalid.argument(argument.name, "is missing")
        return await super().render(arguments)


def register(server: FastMCP[Any]) -> None:
    """Register every prompt."""
    titles = {
        customer_brief: "Brief on a customer",
        prepare_meeting: "Prepare a meeting",
        compare_customers: "Compare customers",
        find_risks: "Find risks",
    }
    for prompt, title in titles.items():
        made = _Prompt.from_function(prompt, title=title, tags={"customers"}, auth=needs(SCOPE))
        for argument in made.arguments or []:
            argument.description = _ARGUMENTS[argument.name]
        server.add_prompt(made)
