"""The use-cases, one module a domain. Surfaces give them their shape, their docstrings are the public wording."""

from functools import cached_property
from typing import TYPE_CHECKING

from lycosa.background_import import import_in_background
from lycosa.errors import Invalid
from lycosa.procedures import Procedures
from lycosa.services.access import AccessService, Authenticator
from lycosa.services.cache import Cache, CacheService
from lycosa.services.cache_levels import TwoLevels
from lycosa.services.checkpoints import CheckpointService
from lycosa.services.customers import CustomerService
from lycosa.services.documents import DocumentService
from lycosa.services.events import EventService
from lycosa.services.imports import ImportService
from lycosa.services.kv import KvService
from lycosa.services.quotas import QuotaService
from lycosa.services.requests import RequestService
from lycosa.services.sessions import SessionService
from lycosa.services.system import SystemService
from lycosa.settings import Settings

if TYPE_CHECKING:
    from lycosa.services.analyses import AnalysisService
    from lycosa.services.lookups import Lookups
    from lycosa.services.provider_states import ProviderService


class Services:
    """Every service over one connection."""

    def __init__(self, procedures: Procedures, settings: Settings) -> None:
        self._procedures = procedures
        self._settings = settings
        self._prepared = False
        self.access = AccessService(procedures)
        self.customers = CustomerService(procedures)
        self.documents = DocumentService(procedures)
        self.requests = RequestService(procedures)
        self.quotas = QuotaService(procedures)
        self.events = EventService(procedures)
        self.cache = _cache(procedures, settings)
        self.imports = ImportService(procedures)
        self.sessions = SessionService(procedures, settings)
        self.checkpoints = CheckpointService(procedures)
        self.kv = KvService(procedures)
        self.system = SystemService(procedures)

    @cached_property
    def authenticator(self) -> Authenticator:
        """Who shows a credential. Raises Invalid when the settings of tokens do not fit together."""
        return Authenticator(self._procedures, self._settings)

    @cached_property
    def analyses(self) -> "AnalysisService":
        """The analyses. Only who asks for them pays for importing the libraries of language models: a second."""
        from lycosa.services.analyses import AnalysisService

        return AnalysisService(self._procedures, self._settings, self.cache, self.lookups)

    @cached_property
    def lookups(self) -> "Lookups":
        """Searching outside. Made when it is first asked for, since it opens connections to providers."""
        from lycosa.services.lookup_setup import make_lookups

        return make_lookups(self._procedures, self._settings)

    @cached_property
    def providers(self) -> "ProviderService":
        """The providers that `lookups` asks."""
        from lycosa.services.provider_states import ProviderService

        return ProviderService(self._procedures, self.lookups)

    @property
    def searches(self) -> bool:
        """Whether `lookups` has been made."""
        return "lookups" in vars(self)

    async def prepare(self) -> None:
        """Import what `analyses` and `lookups` import, in a thread, so that the event loop does not stand still."""
        if self._prepared:
            return
        for name in ("lookup_setup", "provider_states", "analyses"):
            await import_in_background(f"lycosa.services.{name}")
        self._prepared = True

    async def aclose(self) -> None:
        """Write what waits to be written, and let go of what was opened: connections to model providers and to a second
        cache, the offline model."""
        await self.sessions.aclose()
        if "authenticator" in vars(self):
            await self.authenticator.aclose()
        if "analyses" in vars(self):
            await self.analyses.aclose()
        if self.searches:
            await self.lookups.aclose()
        await self.cache.aclose()


def _cache(procedures: Procedures, settings: Settings) -> Cache:
    """The store's cache, with Redis behind it where the settings name one.

    Raises Invalid when they do and redis-py is not installed, or the address is none.
    """
    first = CacheService(procedures)
    if settings.cache_redis_url is None:
        return first
    try:
        from lycosa.services.cache_redis import RedisCache

        return TwoLevels(first, RedisCache(settings.cache_redis_url.get_secret_value()))
    except ImportError as problem:
        cause, code = "redis-py is not installed: pip install 'lycosa[redis]'", "CACHE_REDIS_MISSING"
        raise Invalid(f"LYCOSA_CACHE_REDIS_URL is set, but {cause}", code=code) from problem
    except ValueError as problem:
        raise Invalid(
            f"LYCOSA_CACHE_REDIS_URL: {problem}",
            code="SETTING_INVALID",
            details={"argument": "LYCOSA_CACHE_REDIS_URL"},
        ) from problem
