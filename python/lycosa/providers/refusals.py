"""What a provider means by a status, and what it says about it, without our keys in it."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from lycosa.analysis.texts import one_line
from lycosa.providers.findings import Cause

__all__ = ["Refusal", "cause_of", "without_keys"]

# Keys of the providers known, wherever they turn up.
_KEY: Final = re.compile(r"\b(?:tvly|pplx|sk)-[\w-]{4,}")
_LONGEST_WORDS: Final = 300
_LONGEST_WAIT: Final = 31 * 86_400.0

_CAUSES: Final[Mapping[int, Cause]] = {
    400: "invalid",
    401: "refused",
    402: "exhausted",
    403: "refused",
    413: "invalid",
    414: "invalid",
    422: "invalid",
    429: "throttled",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success: its status, its JSON where it was some, and the seconds it says to wait."""

    status: int
    payload: Any = None
    retry_after: float | None = None

    @property
    def error(self) -> Mapping[str, Any]:
        """The provider's description of the error, under whichever name it came: {"error": ...} or {"detail": ...}."""
        payload = self.payload if isinstance(self.payload, Mapping) else {}
        found = payload.get("error", payload.get("detail"))
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, Mapping) and isinstance(found.get("error"), str):
            found = {"message": found["error"]} | dict(found)
        return found if isinstance(found, Mapping) else {"message": found}

    @property
    def words(self) -> str:
        """What the provider says, in one bounded line; empty when it says nothing."""
        said = self.error.get("message") or self.error.get("msg") or self.error.get("type")
        return one_line(said, _LONGEST_WORDS) if isinstance(said, str) else ""


def cause_of(status: int) -> Cause:
    """What a status means where a provider says nothing else. Everything unknown is transient."""
    return _CAUSES.get(status, "transient")


def without_keys(text: str, *keys: str) -> str:
    """The text with `[key]` in the place of the keys given and of all that look like one."""
    for key in keys:
        if key:
            text = text.replace(key, "[key]")
    return _KEY.sub("[key]", text)


def retry_after(headers: Mapping[str, str], payload: Any) -> float | None:
    """Seconds to wait as the answer says: Retry-After as seconds or as a date, retry-after-ms, or a field of the error.

    None when it says nothing that can be read; at most 31 days.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    wait = _seconds(said)
    if wait is None and said:
        try:
            wait = max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
        except (ValueError, OverflowError):
            wait = None
    if wait is None:
        wait = _seconds(Refusal(0, payload).error.get("retry_after_seconds"))
    return None if wait is None else min(wait, _LONGEST_WAIT)


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
