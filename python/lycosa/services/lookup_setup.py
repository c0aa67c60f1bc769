"""Look-ups as the settings have them: providers, their quotas, and the watch over what they charge."""

import asyncio
import random
from collections.abc import Mapping
from typing import Final

import structlog

from lycosa.errors import Conflict, LycosaError
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.providers.documents import Documents
from lycosa.providers.findings import ProviderFailure
from lycosa.providers.registry import agents_of, limits_of, providers_of
from lycosa.providers.tavily import Tavily
from lycosa.providers.usage import UsageWatch
from lycosa.services.documents import DocumentService
from lycosa.services.lookups import Lookups
from lycosa.services.quotas import QuotaService
from lycosa.settings import Settings

__all__ = ["keep_usage", "make_lookups", "watches_of"]

_log = structlog.get_logger("lycosa.lookups")

_READ_EVERY: Final = 60.0


def make_lookups(procedures: Procedures, settings: Settings) -> Lookups:
    """The service over every provider that has a key, and the tenant's own documents. Raises Invalid for bad keys."""
    quotas, documents = QuotaService(procedures), DocumentService(procedures)
    limits = limits_of(settings)

    async def define(identity: Identity) -> None:
        for limit in limits:
            try:
                await quotas.define(identity, **limit._asdict())
            except Conflict as problem:
                # Somebody has made another kind of limit of this name: it is his, and holds.
                _log.warning("quota_not_defined", quota=limit.quota, code=problem.code)

    return Lookups(
        procedures,
        providers_of(settings),
        agents=agents_of(settings),
        own=lambda identity: Documents(documents, identity),
        define=define,
        account=settings.account,
        timeout=settings.search_timeout,
        ttl=settings.search_ttl,
        stale_for=settings.search_stale_for,
    )


def watches_of(lookups: Lookups, procedures: Procedures, identity: Identity) -> dict[str, UsageWatch]:
    """By provider: who compares the account of a key with what is counted here."""
    quotas = QuotaService(procedures)
    return {
        name: UsageWatch(provider, quotas, lookups.account(identity))
        for name, provider in lookups.providers(identity).items()
        if isinstance(provider, Tavily)
    }


async def keep_usage(lookups: Lookups, watches: Mapping[str, UsageWatch], identity: Identity) -> None:
    """Define the quotas of the providers, then read their accounts once a minute, for ever.

    Of several processes one reads. A store or an account that is away is asked again a minute later.
    """
    while True:
        try:
            await lookups.define_quotas(identity)
            for watch in watches.values():
                await watch.read()
        except (LycosaError, ProviderFailure) as problem:
            _log.warning("usage_not_read", problem=str(problem)[:200])
        # Not all processes at the same moment.
        await asyncio.sleep(_READ_EVERY * random.uniform(0.95, 1.05))
