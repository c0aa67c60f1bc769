"""Every provider outside, in the order in which they are asked. A new one is a file and an entry here.

The tenant's own documents come after them all: they belong to who asks and not to the settings (`Documents`).
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from lycosa.errors import Invalid
from lycosa.providers import perplexity, perplexity_agent, tavily
from lycosa.providers.accounts import Limit
from lycosa.providers.findings import Provider
from lycosa.providers.perplexity_agent import PerplexityAgent
from lycosa.settings import Settings

__all__ = ["agents_of", "limits_of", "providers_of"]

# The gate takes eight candidates, and the documents are always one.
_MOST_KEYS: Final = 7


class _Entry(NamedTuple):
    """A provider: those of its keys that the settings hold, and their quotas."""

    providers: Callable[[Settings], Sequence[Provider]]
    limits: Callable[[Settings], list[Limit]]


_ENTRIES: Final = (
    _Entry(tavily.providers, tavily.limits),
    _Entry(perplexity.providers, perplexity.limits),
)


def providers_of(settings: Settings) -> list[Provider]:
    """Everybody outside who can be asked by these settings, one for every key, in order; nobody without keys.

    They live as long as the process and are closed by `close`. Raises Invalid for keys that are none, or too many.
    """
    found = [provider for entry in _ENTRIES for provider in entry.providers(settings)]
    if len(found) > _MOST_KEYS:
        raise Invalid(
            f"there are {len(found)} keys of search providers, at most {_MOST_KEYS} can be used",
            code="SETTING_INVALID",
            details={"limit": _MOST_KEYS},
        )
    return found


def agents_of(settings: Settings) -> list[PerplexityAgent]:
    """Who answers in words, one for every key, in order: dearer and slower than a search, so asked only by name."""
    return perplexity_agent.providers(settings)


def limits_of(settings: Settings) -> list[Limit]:
    """The quotas that the providers claim, to be defined at the start; definitions keep what was counted."""
    return [limit for entry in _ENTRIES for limit in entry.limits(settings)]
