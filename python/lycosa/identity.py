"""Who asks."""

from dataclasses import dataclass

from lycosa.settings import Settings

ALL_SCOPES = frozenset({"read", "write", "spend", "admin"})


@dataclass(frozen=True, slots=True)
class Identity:
    """Made by a surface, received by a service; it never comes from a request's body.

    `tenant` owns every row the call may touch, `scopes` are of read, write, spend and admin, `key_id` names the
    credential, or is None for a local caller.
    """

    tenant: str
    scopes: frozenset[str] = ALL_SCOPES
    key_id: str | None = None

    @classmethod
    def local(cls, settings: Settings) -> "Identity":
        """The caller on this machine: the tenant of the settings, with every scope."""
        return cls(tenant=settings.tenant)
