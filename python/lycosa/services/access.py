"""Who asks: API keys and tokens become identities, in one way for every surface."""

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lycosa.errors import Invalid, Unauthenticated
from lycosa.identity import SCOPES, Identity, Scope
from lycosa.procedures import AccessKey, AccessKeyPage, AccessKeyRefused, Procedures
from lycosa.settings import Settings

if TYPE_CHECKING:
    from lycosa.services.tokens import TokenVerifier

__all__ = ["HELD_FOR", "AccessService", "Authenticator", "NewKey", "bearer"]

# Seconds that a credential which was checked is not checked again: so long a key lives on after it was revoked, in each
# process that knew it.
HELD_FOR = 10.0
MOST_HELD = 10_000
MOST_CHARACTERS = 8192

_PREFIX = "lyc_"
_KEY = re.compile(_PREFIX + "([a-z2-7]{12})_([a-z2-7]{52})")
_ID_CHARACTERS = 12


class NewKey(NamedTuple):
    """A key that was made just now. `credential` is shown here and never again."""

    key: AccessKey
    credential: str


class AccessService:
    """API keys of the tenant of who asks. Every method needs the scope `admin`."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def create(
        self, identity: Identity, name: str, scopes: Iterable[Scope], *, lifetime: float | None = None
    ) -> NewKey:
        """Make a key with some of read, write, spend and admin; it ends after `lifetime` seconds, or never.

        Nobody gives a scope that they do not have. The secret is made here, shown once and kept nowhere: the store
        gets its hash. Raises Denied, Invalid, and Exhausted where the tenant has 1,000 keys.
        """
        identity.require("admin")
        wanted = set(scopes)
        for scope in SCOPES:
            if scope in wanted:
                identity.require(scope)
        if lifetime is not None and lifetime <= 0:
            raise Invalid(
                f"argument lifetime: {lifetime} is not a time to come",
                code="INVALID_ARGUMENT",
                details={"argument": "lifetime", "problem": "is not above 0"},
            )
        id, secret = _chance(8)[:_ID_CHARACTERS], _chance(32)
        key = await self._procedures.access_create(
            tenant=identity.tenant,
            id=id,
            proof=_proof(secret),
            name=name,
            scopes=sorted(wanted),
            expires_at=None if lifetime is None else self._procedures.server_time() + lifetime,
            created_by=identity.key_id,
        )
        return NewKey(key, f"{_PREFIX}{id}_{secret}")

    async def find(self, identity: Identity, *, cursor: str | None = None, limit: int = 20) -> AccessKeyPage:
        """A page of up to `limit` (1..100) keys, the newest first. Those that ended are listed for 90 days."""
        identity.require("admin")
        return await self._procedures.access_list(tenant=identity.tenant, cursor=cursor, limit=limit)

    async def revoke(self, identity: Identity, id: str) -> AccessKey:
        """End a key. Processes that know it let it go within 10 seconds. Raises NotFound."""
        identity.require("admin")
        return await self._procedures.access_revoke(tenant=identity.tenant, id=id)


class _Held(NamedTuple):
    identity: Identity
    until: float


class Authenticator:
    """Turns the credential of a request into an Identity.

    What was checked is held for 10 seconds, and never past the end of the credential: within that time a request
    costs no round trip, and after it a revoked key is refused.
    """

    def __init__(
        self, procedures: Procedures, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises Invalid, naming the variable, when the settings of tokens do not fit together."""
        self._procedures = procedures
        self._clock = clock
        self._local = Identity.local(settings)
        self._tokens = _tokens(settings)
        # By the hash of the credential: no secret stays in memory. In the order in which they were checked.
        self._held: dict[bytes, _Held] = {}
        self.required = settings.authentication == "required"

    async def identify(self, credential: str | None) -> Identity:
        """Who shows this credential: the value of `Authorization: Bearer`, or None for no such header.

        Without a credential it is the local caller, unless authentication is required. A credential that is shown is
        always checked: a wrong one is refused even where none is needed. Raises Unauthenticated, and Unavailable when
        it cannot be checked just now.
        """
        if credential is None:
            if self.required:
                raise Unauthenticated(
                    "a credential is required: Authorization: Bearer <API key or token>", missing=True
                )
            return self._local
        if len(credential) > MOST_CHARACTERS or not credential.isascii():
            raise Unauthenticated("the credential is neither an API key nor a token")
        digest = hashlib.sha256(credential.encode()).digest()
        held = self._held.get(digest)
        if held is not None and self._clock() < held.until:
            return held.identity
        identity, left = await self._checked(credential)
        self._hold(digest, identity, left)
        return identity

    async def aclose(self) -> None:
        """Stop fetching keys of tokens."""
        if self._tokens is not None:
            await self._tokens.aclose()

    async def _checked(self, credential: str) -> tuple[Identity, float]:
        """Whose the credential is, and how many seconds it lasts."""
        if credential.startswith(_PREFIX):
            return await self._key(credential)
        if self._tokens is None:
            raise Unauthenticated("the credential is no API key, and tokens are not accepted here")
        identity, ends = await self._tokens.verify(credential)
        return identity, ends - time.time()

    async def _key(self, credential: str) -> tuple[Identity, float]:
        match = _KEY.fullmatch(credential)
        if match is None:
            raise Unauthenticated("the API key is not known")
        id, secret = match.groups()
        try:
            granted = await self._procedures.access_authenticate(id=id, proof=_proof(secret))
        except AccessKeyRefused as refusal:
            raise Unauthenticated(refusal.message) from None
        ends = granted.expires_at
        left = HELD_FOR if ends is None else ends - self._procedures.server_time()
        return Identity(granted.tenant, frozenset(granted.scopes), id), left

    def _hold(self, digest: bytes, identity: Identity, left: float) -> None:
        self._held.pop(digest, None)
        while len(self._held) >= MOST_HELD:
            del self._held[next(iter(self._held))]
        self._held[digest] = _Held(identity, self._clock() + min(HELD_FOR, left))


def bearer(authorization: Sequence[str]) -> str | None:
    """The credential in the Authorization headers of a request; None where there are none.

    Raises Unauthenticated for another scheme than Bearer, and for more than one header.
    """
    if not authorization:
        return None
    scheme, _, credential = authorization[0].partition(" ")
    credential = credential.strip()
    if len(authorization) > 1 or scheme.lower() != "bearer" or not credential:
        raise Unauthenticated("the Authorization header is not one `Bearer <API key or token>`")
    return credential


def _tokens(settings: Settings) -> "TokenVerifier | None":
    if not settings.accepts_tokens:
        return None
    # Cryptography takes a while to import: only who accepts tokens waits for it.
    from lycosa.services.tokens import token_verifier

    return token_verifier(settings)


def _chance(size: int) -> str:
    """Bytes by chance, in letters and digits that a double click marks as one word."""
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()


def _proof(secret: str) -> str:
    """What the store is told of a secret. 256 bits by chance cannot be guessed: one round of a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()
