"""What can go wrong, by kind.

    LycosaError
    |- Invalid        the request itself is wrong; repeating it changes nothing
    |- Denied         the caller may not do this
    |  `- Unauthenticated   it is not known who asks
    |- NotFound       the thing named does not exist
    |- Conflict       it contradicts what is stored
    |- Exhausted      a limit is spent; `retry_after` says when it is not
    |- Unavailable    not now; `retry_after` says when to try again
    |- TimedOut       the caller's deadline passed; whether it was done is unknown
    |- Internal       a fault of ours; the details are in a log, never here

The first six kinds are those of the server's catalogue; `lycosa.procedures` has one generated class a code under
them. Surfaces map kinds, never codes.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

__all__ = [
    "Conflict",
    "Denied",
    "Exhausted",
    "Internal",
    "Invalid",
    "LycosaError",
    "NotFound",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
]

Detail = str | int | float | bool


class LycosaError(Exception):
    """Base of all errors of this package.

    `code` is the catalogue's (or this package's own) name in capitals, `details` a flat map of bounded values, such as
    the field or row at fault, `retry_after` seconds to wait, where waiting helps.
    """

    kind: ClassVar[str] = "internal"
    exit_status: ClassVar[int] = 70

    def __init__(
        self,
        message: str,
        *,
        code: str,
        details: Mapping[str, Detail] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details: dict[str, Detail] = dict(details or {})
        self.retry_after = retry_after


class Invalid(LycosaError):
    """The request is wrong; `details` names the argument, field or row."""

    kind = "invalid"
    exit_status = 2

    @classmethod
    def argument(cls, name: str, problem: str) -> Self:
        """An argument at fault, in the store's own words for it. `problem` is a predicate, such as `is empty`."""
        details = {"argument": name, "problem": problem}
        return cls(f"argument {name} {problem}", code="INVALID_ARGUMENT", details=details)


class Denied(LycosaError):
    """The caller may not do this."""

    kind = "denied"
    exit_status = 3


class Unauthenticated(Denied):
    """It is not known who asks: a credential is missing, or is none of ours. HTTP answers 401 to it, not 403.

    `missing` says that there was no credential at all. The message never tells more of a credential than its holder
    may know.
    """

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message, code="UNAUTHENTICATED")
        self.missing = missing


class NotFound(LycosaError):
    """The thing named does not exist."""

    kind = "not_found"
    exit_status = 4


class Conflict(LycosaError):
    """It contradicts what is stored."""

    kind = "conflict"
    exit_status = 5


class Exhausted(LycosaError):
    """A limit is spent."""

    kind = "exhausted"
    exit_status = 6


class Unavailable(LycosaError):
    """Not now: the store is away, read-only or full."""

    kind = "unavailable"
    exit_status = 7


class TimedOut(LycosaError):
    """The deadline passed before an answer came. Whether the call took effect is not known."""

    kind = "timeout"
    exit_status = 8


class Internal(LycosaError):
    """A fault of ours. The message says where to look and nothing else."""

    kind = "internal"
    exit_status = 70
