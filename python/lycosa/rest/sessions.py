"""/v1/sessions: chat histories."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from lycosa.rest.answers import Asking, Cursor, Limit, With, answer
from lycosa.rest.authorized import needs
from lycosa.rest.bodies import JsonRoute
from lycosa.rest.problems import responses
from lycosa.schemas.sessions import (
    AppendedOut,
    HistoryOut,
    MessagesAsked,
    SessionAsked,
    SessionChanged,
    SessionOut,
    SessionPageOut,
)
from lycosa.services.sessions import Message

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], route_class=JsonRoute)

SessionId = Annotated[str, Path(min_length=1, max_length=128, examples=["chat-1"])]
Number = Annotated[int | None, Query(ge=0, le=1_000_000_000)]
_WAITS: dict[int | str, dict[str, Any]] = {202: {"model": AppendedOut, "description": "Waits to be written"}}


@router.post("", response_model=SessionOut, responses=responses(409, 413, 415, 422, 503))
@needs("write")
async def create_session(asked: SessionAsked, asking: Asking, services: With) -> Response:
    """Begin a session. Not needed before messages are appended; 409 when it exists otherwise than asked for."""
    made = await services.sessions.create(
        asking,
        asked.id or str(uuid4()),
        current_agent=asked.current_agent,
        metadata=asked.metadata,
        idle=asked.idle,
    )
    return answer(SessionOut, made)


@router.get("", response_model=SessionPageOut, responses=responses(422, 503))
@needs("read")
async def list_sessions(asking: Asking, services: With, cursor: Cursor = None, limit: Limit = 20) -> Response:
    """A page of sessions without their messages, the one last active first."""
    return answer(SessionPageOut, await services.sessions.find(asking, cursor=cursor, limit=limit))


@router.get("/{session_id}", response_model=SessionOut, responses=responses(404, 422, 503))
@needs("read")
async def get_session(session_id: SessionId, asking: Asking, services: With) -> Response:
    """One session without its messages."""
    return answer(SessionOut, await services.sessions.get(asking, session_id))


@router.patch("/{session_id}", response_model=SessionOut, responses=responses(404, 413, 415, 422, 503))
@needs("write")
async def update_session(
    session_id: SessionId, asked: SessionChanged, asking: Asking, services: With
) -> Response:
    """Change which agent has the word, the metadata or the idle time; what is absent stays."""
    changed = await services.sessions.update(
        asking,
        session_id,
        current_agent=asked.current_agent,
        metadata=asked.metadata,
        idle=asked.idle,
    )
    return answer(SessionOut, changed)


@router.delete("/{session_id}", status_code=204, responses=responses(404, 422, 503))
@needs("write")
async def delete_session(session_id: SessionId, asking: Asking, services: With) -> Response:
    """Delete one session with its messages; it is gone at once."""
    await services.sessions.remove(asking, session_id)
    return Response(status_code=204)


@router.get("/{session_id}/history", response_model=HistoryOut, responses=responses(404, 422, 503))
@needs("read")
async def session_history(
    session_id: SessionId,
    asking: Asking,
    services: With,
    after: Annotated[Number, Query(description="Number of the message before the first wanted.")] = None,
    before: Annotated[Number, Query(description="Number of the message after the last wanted.")] = None,
    limit: Limit = 100,
    tokens: Annotated[int | None, Query(ge=0, le=1_000_000_000, description="Of all together.")] = None,
) -> Response:
    """The last messages in their order, and which agent has the word.

    `before` a number leads to the page before it, `after` a number to the one that follows.
    """
    found = await services.sessions.history(
        asking, session_id, after=after, before=before, limit=limit, tokens=tokens
    )
    return answer(HistoryOut, found._asdict() | {"current_agent": found.session.current_agent})


@router.post(
    "/{session_id}/messages",
    response_model=AppendedOut,
    responses={**_WAITS, **responses(409, 413, 415, 422, 429, 503)},
)
@needs("write")
async def append_messages(
    session_id: SessionId,
    asked: MessagesAsked,
    asking: Asking,
    services: With,
    durable: Annotated[
        bool, Query(description="Answer when they are in the store; else with 202, a second before at most.")
    ] = True,
) -> Response:
    """Append up to 1,000 messages in order, beginning the session if need be.

    Messages that several callers append are written together. Without `durable` they are lost if the process is killed
    before that.
    """
    messages = [
        Message(
            message.role,
            message.content,
            message.id,
            message.body,
            message.tokens,
            message.created_at,
            message.extra,
        )
        for message in asked.messages
    ]
    appended = await services.sessions.append(asking, session_id, messages, durable=durable)
    return answer(AppendedOut, appended, 200 if durable else 202)
