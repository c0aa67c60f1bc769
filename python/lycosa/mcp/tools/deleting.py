"""The tool that deletes customers, after whoever sits before the client has said yes."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from fastmcp.dependencies import CurrentContext
from fastmcp.server.elicitation import AcceptedElicitation
from fastmcp.tools import ToolResult
from mcp import MCPError
from mcp_types import (
    ClientCapabilities,
    ElicitationCapability,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    FormElicitationCapability,
    InputRequiredResult,
    MissingRequiredClientCapabilityErrorData,
)
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field

from lycosa.errors import Conflict, Denied, NotFound
from lycosa.identity import Identity
from lycosa.mcp.answers import distinct, gist, told
from lycosa.mcp.asking import Depends, asking, services
from lycosa.mcp.tools.declaring import DELETES, add_tool
from lycosa.schemas.shape import Answer
from lycosa.services import Services

_MOST = 50
_MOST_NAMED = 10
# Whoever is asked may take his time.
_TIMEOUT = 600.0
_ASKED = "delete"
_CANNOT_ASK = "deleting needs somebody's yes, and this client cannot ask (it has no form elicitation)"


class Deleted(Answer):
    """What became of it."""

    confirmed: bool = Field(description="Whether it was allowed; when not, nothing was deleted.")
    deleted: int = Field(description="How many customers there were and are no more.")
    ids: list[str] = Field(description="Their ids.")
    unknown: list[str] = Field(description="Ids that were asked for and name nobody.")


async def delete_customers(
    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(min_length=1, max_length=_MOST, description="Ids of the customers, not external ids."),
    ],
    context: Context = CurrentContext(),
    identity: Identity = Depends(asking),
    services: Services = Depends(services),
) -> ToolResult | InputRequiredResult:
    """Delete customers for good. Whoever uses the client is asked first, by name; nothing is deleted without a yes.

    Use it only when the user asked for a deletion. Not for taking a customer out of a segment or for clearing a field:
    upsert_customers does that. The history of requests about them and their documents stay. There is no undo.
    """
    known, unknown = await _look_up(services, identity, distinct(ids))
    if not known:
        raise NotFound(
            "none of these customers exists", code="CUSTOMER_NOT_FOUND", details={"id": distinct(ids)[0]}
        )
    if context.request_context is None or not _can_ask(context):
        raise _refusal(context)
    if context.request_context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        state = _state(identity, known)
        answered = (context.input_responses or {}).get(_ASKED)
        # What was confirmed is what is stored now: else it is asked again.
        if not isinstance(answered, ElicitResult) or context.request_state != state:
            return InputRequiredResult(
                result_type="input_required",
                request_state=state,
                input_requests={_ASKED: ElicitRequest(params=_form(known))},
            )
        confirmed = _is_yes(answered)
    else:
        confirmed = await _elicited(context, services, identity, known)
    gone = [row.id for row in known] if confirmed else []
    count = await services.customers.delete(identity, gone) if confirmed else 0
    answer = Deleted(confirmed=confirmed, deleted=count, ids=gone, unknown=unknown)
    return told(answer, None if confirmed else "Nothing was deleted: it was not allowed. Do not ask again.")


async def _look_up(services: Services, identity: Identity, ids: Sequence[str]) -> tuple[list[Any], list[str]]:
    async def one(customer_id: str) -> Any:
        try:
            return await services.customers.get(identity, customer_id)
        except NotFound:
            return None

    rows = await asyncio.gather(*(one(customer_id) for customer_id in ids))
    unknown = [customer_id for customer_id, row in zip(ids, rows, strict=True) if row is None]
    return [row for row in rows if row is not None], unknown


async def _elicited(context: Context, services: Services, identity: Identity, rows: Sequence[Any]) -> bool:
    """Ask a client of the handshake protocol. Raises Denied where it cannot, Conflict when they changed meanwhile."""
    try:
        given = await context.elicit(_question(rows), response_type=bool)
    except MCPError as problem:
        raise Denied(_CANNOT_ASK, code="CONFIRMATION_UNAVAILABLE") from problem
    if not (isinstance(given, AcceptedElicitation) and given.data is True):
        return False
    now, _ = await _look_up(services, identity, [row.id for row in rows])
    if _state(identity, now) != _state(identity, rows):
        raise Conflict(
            "one of these customers has changed while the question stood; nothing was deleted, ask again",
            code="CONFIRMATION_STALE",
        )
    return True


def _state(identity: Identity, rows: Sequence[Any]) -> str:
    """Names the very records of the very tenant: any change of them is another state."""
    told_of = [identity.tenant, [[row.id, row.version, row.created_at] for row in rows]]
    return hashlib.sha256(json.dumps(told_of).encode()).hexdigest()


def _can_ask(context: Context) -> bool:
    """Whether the client has forms; a bare `elicitation: {}` has them, one that only opens addresses has not."""
    capabilities = context.session.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _refusal(context: Context) -> Exception:
    at = context.request_context
    if at is None or at.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return Denied(_CANNOT_ASK, code="CONFIRMATION_UNAVAILABLE")
    lacking = ClientCapabilities(elicitation=ElicitationCapability(form=FormElicitationCapability()))
    data = MissingRequiredClientCapabilityErrorData(required_capabilities=lacking)
    return MCPError(
        code=MISSING_REQUIRED_CLIENT_CAPABILITY,
        message=_CANNOT_ASK,
        data=data.model_dump(by_alias=True, mode="json", exclude_none=True),
    )


def _question(rows: Sequence[Any]) -> str:
    named = "; ".join(f"{gist(row.name, 80)} ({gist(row.id, 80)})" for row in rows[:_MOST_NAMED])
    more = f"; and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    count = "1 customer" if len(rows) == 1 else f"{len(rows)} customers"
    return f"Delete {count} for good? {named}{more}"


def _form(rows: Sequence[Any]) -> ElicitRequestFormParams:
    return ElicitRequestFormParams(
        message=_question(rows),
        requested_schema={
            "type": "object",
            "properties": {_ASKED: {"type": "boolean", "title": "Delete for good", "default": False}},
            "required": [_ASKED],
        },
    )


def _is_yes(answered: ElicitResult) -> bool:
    content: Mapping[str, object] = answered.content or {}
    return answered.action == "accept" and content.get(_ASKED) is True


def register(server: FastMCP[Any]) -> None:
    """Register the tool of this module."""
    add_tool(server, delete_customers, Deleted, "write", DELETES, {"customers"}, timeout=_TIMEOUT)
