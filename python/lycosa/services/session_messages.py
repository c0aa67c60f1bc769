"""Messages of chat histories as their writers give them, checked before they wait to be written.

The rules are the store's own: a message that waits must not be refused when its writer has long gone.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, get_args
from uuid import uuid4

from lycosa.errors import Invalid
from lycosa.procedures import Scalar, SessionMessageInput

__all__ = ["Message", "Role", "Sent", "check_name", "checked"]

Role = Literal["user", "assistant", "system", "tool"]

_ROLES: Final = frozenset(get_args(Role))
MOST_CONTENT: Final = 262_144
_MOST_NAME, _MOST_SCALAR, _MOST_EXTRA = 128, 1024, 32
_MOST_TOKENS: Final = 10_000_000
_END_OF_TIME: Final = 253_402_300_799
# What a message costs besides its texts.
_ROW_BYTES: Final = 256
# All of them but newline, tab and carriage return.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_ANY_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Message(NamedTuple):
    """A message to append.

    `content` and `body` (the message in its writer's own form) have at most 256 KiB each. `id` makes appending it twice
    harmless; one is made when it is absent. `tokens` are estimated when absent, and `created_at` (unix seconds) is now.
    `extra` holds at most 32 scalars of at most 1,024 bytes.
    """

    role: Role
    content: str
    id: str | None = None
    body: str | None = None
    tokens: int | None = None
    created_at: float | None = None
    extra: Mapping[str, Scalar] = {}


class Sent(NamedTuple):
    """A checked message in the form of the store, and how many bytes it counts there."""

    message: SessionMessageInput
    size: int


def checked(message: Message, now: float) -> Sent:
    """The message as it is sent. Raises Invalid, which names the field."""
    if message.role not in _ROLES:
        raise Invalid.argument("role", "is not one of " + ", ".join(get_args(Role)))
    identifier = str(uuid4()) if message.id is None else check_name("id", message.id)
    sent = SessionMessageInput(
        id=identifier,
        role=message.role,
        content=message.content,
        created_at=now
        if message.created_at is None
        else _number("created_at", message.created_at, _END_OF_TIME),
    )
    size = _ROW_BYTES + _text("content", message.content, MOST_CONTENT)
    if message.body is not None:
        size += _text("body", message.body, MOST_CONTENT)
        sent["body"] = message.body
    if message.tokens is not None:
        if not isinstance(message.tokens, int):
            raise Invalid.argument("tokens", "is not a whole number")
        sent["tokens"] = int(_number("tokens", message.tokens, _MOST_TOKENS))
    if message.extra:
        size += _extra(message.extra)
        sent["extra"] = dict(message.extra)
    return Sent(sent, size)


def check_name(field: str, value: object) -> str:
    """A name of 1..128 bytes without control characters. Raises Invalid."""
    if not isinstance(value, str) or not value:
        raise Invalid.argument(field, "is empty" if value == "" else "is not a string")
    if _encoded(field, value) > _MOST_NAME:
        raise Invalid.argument(field, f"is longer than {_MOST_NAME} bytes")
    if _ANY_CONTROLS.search(value):
        raise Invalid.argument(field, "holds control characters")
    return value


def _encoded(field: str, value: str) -> int:
    if value.isascii():
        return len(value)
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise Invalid.argument(field, "is not valid Unicode text") from None


def _text(field: str, value: object, most: int) -> int:
    """The bytes of a text."""
    if not isinstance(value, str):
        raise Invalid.argument(field, "is not a string")
    size = _encoded(field, value)
    if size > most:
        raise Invalid.argument(field, f"is longer than {most} bytes")
    if _CONTROLS.search(value):
        raise Invalid.argument(field, "holds control characters")
    return size


def _number(field: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid.argument(field, "is not a number")
    # Written so that NaN is refused.
    if not 0 <= value <= most:
        raise Invalid.argument(field, f"is not within 0 and {most}")
    return value


def _extra(extra: object) -> int:
    """The bytes of a map of scalars."""
    if not isinstance(extra, Mapping):
        raise Invalid.argument("extra", "is not a map")
    if len(extra) > _MOST_EXTRA:
        raise Invalid.argument("extra", f"holds more than {_MOST_EXTRA} keys")
    size = 0
    for name, value in extra.items():
        size += len(check_name("extra", name).encode())
        if isinstance(value, str):
            size += _text(f"extra.{name}", value, _MOST_SCALAR)
        elif isinstance(value, int | float):
            if not isinstance(value, bool) and not -(2.0**63) <= value < 2.0**63:
                raise Invalid.argument(f"extra.{name}", "is not a finite number of 64 bits")
            size += 20
        else:
            raise Invalid.argument(f"extra.{name}", "is not a string, number or boolean")
    return size
