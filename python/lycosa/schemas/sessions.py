"""Chat histories, on the wire."""

from typing import Literal

from pydantic import Field

from lycosa.schemas.shape import SINCE, Answer, Asked, Scalar

Role = Literal["user", "assistant", "system", "tool"]

_IDLE = "Seconds without activity after which it ends; 0 for never, thirty days when absent."
_EXTRA = "At most 32 texts, numbers or booleans."


class SessionAsked(Asked):
    """A session to begin."""

    id: str | None = Field(None, min_length=1, description="At most 128 bytes; made when absent.")
    current_agent: str | None = Field(None, min_length=1, description="Which agent has the word.")
    metadata: dict[str, Scalar] | None = Field(None, description=_EXTRA, examples=[{"channel": "web"}])
    idle: float | None = Field(None, description=_IDLE)


class SessionChanged(Asked):
    """What is to change; what is absent stays."""

    current_agent: str | None = Field(
        None, description="Which agent has the word; empty for none.", examples=["sales"]
    )
    metadata: dict[str, Scalar] | None = Field(None, description="In place of what was there. " + _EXTRA)
    idle: float | None = Field(None, description=_IDLE)


class MessageAsked(Asked):
    """A message to append."""

    role: Role
    content: str = Field(description="At most 256 KiB.", examples=["Здравствуйте!"])
    id: str | None = Field(None, description="A message of an id that is there is not written again.")
    body: str | None = Field(None, description="In its writer's own form, where content does not hold all.")
    tokens: int | None = Field(None, description="Estimated at four bytes each when absent.")
    created_at: float | None = Field(None, description=SINCE + " Now when absent.")
    extra: dict[str, Scalar] = Field(default_factory=dict, description=_EXTRA)


class MessagesAsked(Asked):
    """Messages to append, in order."""

    messages: list[MessageAsked] = Field(min_length=1, max_length=1000)


class AppendedOut(Answer):
    """What was appended."""

    ids: list[str] = Field(description="Of the messages, in order.", examples=[["m-1", "m-2"]])
    last: int | None = Field(description="Number of the session's last message; null while not written.")


class SessionOut(Answer):
    """A session without its messages."""

    id: str = Field(examples=["chat-1"])
    current_agent: str | None = Field(description="Which agent has the word.")
    metadata: dict[str, Scalar]
    created_at: float = Field(description=SINCE)
    last_active_at: float = Field(description=SINCE)
    idle: float = Field(description=_IDLE)
    ends_at: float = Field(description=SINCE)
    messages: int = Field(description="How many; also the number of the last one.")
    bytes: int
    tokens: int


class SessionPageOut(Answer):
    """A page of sessions, the one last active first."""

    rows: list[SessionOut]
    next: str | None
    previous: str | None


class MessageOut(Answer):
    """A message of a session."""

    number: int = Field(description="Its place in the session, from 1.")
    id: str = Field(examples=["m-1"])
    role: Role
    content: str
    body: str | None
    tokens: int
    created_at: float = Field(description=SINCE)
    extra: dict[str, Scalar]


class HistoryOut(Answer):
    """Messages of a session in their order, and which agent has the word."""

    session: SessionOut
    current_agent: str | None
    messages: list[MessageOut]
    more: bool = Field(description="Whether others lie beyond, in the direction read.")
