"""A bound on retries: when a provider fails often, asking again makes it worse."""

from typing import Final

__all__ = ["RetryBudget"]

_MOST: Final = 10.0
_EARNED: Final = 0.25


class RetryBudget:
    """A small bucket of tokens: every call puts a quarter of one in, every retry takes one out.

    So n calls send at most 1.25 n + 10 requests, whatever fails: less than 1.5 n from 40 calls on, where three attempts
    at each would send 3 n, and 1.75 n when every other request fails.
    """

    def __init__(self) -> None:
        self._tokens = _MOST

    def earn(self) -> None:
        """Count a call."""
        self._tokens = min(_MOST, self._tokens + _EARNED)

    def take(self) -> bool:
        """Take what a retry costs; False when it may not be made."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
