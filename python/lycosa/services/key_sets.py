"""Keys that tokens are signed with: from a file, from a secret, or from the address where their issuer shows them."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from lycosa.errors import Unavailable
from lycosa.providers.bounded_body import BodyProblem, read_body

__all__ = ["FetchedKeys", "FixedKeys", "Key", "KeySet", "keys_of_file", "keys_of_secret"]

# A JSON Web Key (RFC 7517).
Key = dict[str, Any]

MOST_KEYS = 64
MOST_BYTES = 256 * 1024
# Of keys that name no id, or tokens that name none, so many are tried.
MOST_TRIED = 8

# Seconds: keys are fetched again so old, used at most so long when that fails, and nobody is asked more often, whatever
# tokens with unknown ids come in.
FRESH_FOR = 600.0
USED_FOR = 3600.0
COOL_DOWN = 30.0
FETCHED_WITHIN = 5.0

_log = structlog.get_logger("lycosa.access")

_LEAST_SECRET = 32
_PEM_END = b"-----END PUBLIC KEY-----"


class KeySet(Protocol):
    """Where the keys of tokens are found."""

    async def find(self, key_id: str | None, *, doubted: bool = False) -> Sequence[Key]:
        """Keys that may have signed a token that names this key, a few at the most; none when it is unknown.

        `doubted` says that those of the last answer did not: gives newer ones, where there may be any. Raises
        Unavailable when the keys cannot be had.
        """
        ...

    async def aclose(self) -> None:
        """Stop what is under way."""
        ...


def _matching(keys: Sequence[Key], key_id: str | None) -> list[Key]:
    return [key for key in keys if key_id is None or key.get("kid") in (None, key_id)][:MOST_TRIED]


class FixedKeys:
    """Keys that do not change while this process runs."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    async def find(self, key_id: str | None, *, doubted: bool = False) -> Sequence[Key]:
        """See KeySet."""
        return () if doubted else _matching(self._keys, key_id)

    async def aclose(self) -> None:
        """Nothing is under way."""


class FetchedKeys:
    """The keys that an issuer shows at an address, kept for ten minutes and renewed behind those who ask.

    A token that none of them signed has them fetched at once, so that a new key is taken when its first token comes,
    but never sooner than 30 s after the last time. While the address does not answer the keys are used for an hour; a
    key that was withdrawn is taken no longer than that.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._keys: list[Key] = []
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, *, doubted: bool = False) -> Sequence[Key]:
        """See KeySet."""
        now = self._clock()
        if now - self._fetched > USED_FOR:
            self._keys = []
        found = [] if doubted else _matching(self._keys, key_id)
        if (not found or now - self._fetched > FRESH_FOR) and now - self._tried >= COOL_DOWN:
            self._tried = now
            self._fetching = asyncio.create_task(self._fetch(), name="lycosa-token-keys")
        elif doubted and (self._fetching is None or self._fetching.done()):
            return ()
        if not found and self._fetching is not None:
            # Shielded: whoever hangs up does not stop it for the others.
            await asyncio.shield(self._fetching)
            found = _matching(self._keys, key_id)
        if not self._keys:
            raise Unavailable(
                "the keys that tokens are signed with cannot be had",
                code="KEY_SET_UNAVAILABLE",
                retry_after=max(1.0, COOL_DOWN - (self._clock() - self._tried)),
            )
        return found

    async def aclose(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCHED_WITHIN):
                self._keys = _public(json.loads(await self._read()))
            self._fetched = self._clock()
        except (httpx.HTTPError, BodyProblem, TimeoutError, ValueError, RecursionError) as problem:
            # The text of some of these repeats what the address answered.
            reason = str(problem) if isinstance(problem, BodyProblem) else type(problem).__name__
            _log.warning("token_keys_not_fetched", reason=reason, keys=len(self._keys))

    async def _read(self) -> bytes:
        async with httpx.AsyncClient(timeout=FETCHED_WITHIN, follow_redirects=False) as client:
            headers = {"accept": "application/json", "accept-encoding": "identity"}
            async with client.stream("GET", self._url, headers=headers) as response:
                if response.status_code != 200:
                    raise BodyProblem(f"it has status {response.status_code}")
                return await read_body(response, MOST_BYTES)


def _public(document: Any) -> list[Key]:
    """The keys of a JWK set that signatures can be checked with. Raises ValueError when it has none.

    Symmetric keys are left out: one that is shown to everybody proves nothing.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    found = [
        key
        for key in (keys if isinstance(keys, list) else [])[:MOST_KEYS]
        if isinstance(key, dict)
        and key.get("kty") in ("RSA", "EC", "OKP")
        and key.get("use") in (None, "sig")
        and isinstance(key.get("kid"), (str, type(None)))
    ]
    if not found:
        raise ValueError("there is no public key for signatures in it")
    return found


def keys_of_file(path: Path) -> list[Key]:
    """The public keys of a file: PEM blocks, or a JWK set. Raises ValueError, and OSError where it cannot be read."""
    content = path.read_bytes()[: MOST_BYTES + 1]
    if len(content) > MOST_BYTES:
        raise ValueError(f"is longer than {MOST_BYTES} bytes")
    if b"PRIVATE KEY" in content:
        raise ValueError("holds a private key; give the public one")
    if _PEM_END not in content:
        with contextlib.suppress(RecursionError):
            return _public(json.loads(content))
        raise ValueError("is nested too deep")
    return [_key_of_pem(block + _PEM_END) for block in content.split(_PEM_END)[:-1][:MOST_KEYS]]


def _key_of_pem(block: bytes) -> Key:
    try:
        key = load_pem_public_key(block.strip())
    except UnsupportedAlgorithm as problem:
        raise ValueError("holds a key of an unknown kind") from problem
    if isinstance(key, RSAPublicKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, EllipticCurvePublicKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, Ed25519PublicKey):
        return OKPAlgorithm.to_jwk(key, as_dict=True)
    raise ValueError("holds a key that is none of RSA, EC and Ed25519")


def keys_of_secret(secret: str) -> list[Key]:
    """The one key of a secret that is shared with the issuer. Raises ValueError for one that could be guessed."""
    if len(secret.encode()) < _LEAST_SECRET:
        raise ValueError(f"is shorter than {_LEAST_SECRET} bytes")
    encoded = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
    return [{"kty": "oct", "k": encoded, "alg": "HS256"}]
