"""Who asks."""

from dataclasses import dataclass
from typing import Literal, get_args

from lycosa.errors import Denied
from lycosa.settings import Settings

# read what is kept; write it; spend money or quotas outside; admin: limits, providers, the cache, keys.
# None of them holds another.
Scope = Literal["read", "write", "spend", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
ALL_SCOPES: frozenset[str] = frozenset(SCOPES)


@dataclass(frozen=True, slots=True)
class Identity:
    """Made by a surface, received by a service; it never comes from a request's body.

    `tenant` owns every row the call may touch, `scopes` are of SCOPES, `key_id` names the credential (the prefix of an
    API key, or `jwt:` and the subject of a token), or is None for a local caller.
    """

    tenant: str
    scopes: frozenset[str] = ALL_SCOPES
    key_id: str | None = None

    @classmethod
    def local(cls, settings: Settings) -> "Identity":
        """The caller on this machine: the tenant of the settings, with every scope."""
        return cls(tenant=settings.tenant)

    def may(self, scope: str) -> bool:
        """Whether the caller has a scope."""
        return scope in self.scopes

    def require(self, scope: str) -> None:
        """Raises Denied (SCOPE_MISSING) where the caller has not the scope."""
        if scope not in self.scopes:
            raise Denied(
                f"this needs the scope {scope}, which the credential does not have",
                code="SCOPE_MISSING",
                details={"scope": scope},
            )
