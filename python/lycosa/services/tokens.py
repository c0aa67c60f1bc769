"""JSON Web Tokens (RFC 7519) of somebody else's making: who vouches for whom, and for how long."""

from typing import Any

import jwt

from lycosa.errors import Invalid, Unauthenticated
from lycosa.identity import ALL_SCOPES, Identity
from lycosa.services.key_sets import FetchedKeys, FixedKeys, Key, KeySet, keys_of_file, keys_of_secret
from lycosa.settings import Settings

__all__ = ["TokenVerifier", "token_verifier"]

_MOST_SUBJECT = 120
# Unix seconds of the year 9999.
_FAR = 253_402_300_799
_MOST_TENANT_BYTES = 128

# What a token is refused for, by PyJWT's errors. Theirs may repeat parts of the token.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "has expired"),
    (jwt.ImmatureSignatureError, "is not valid yet"),
    (jwt.InvalidAudienceError, "is for another audience"),
    (jwt.InvalidIssuerError, "is of another issuer"),
    (jwt.MissingRequiredClaimError, "lacks a claim that is required"),
)


def token_verifier(settings: Settings) -> "TokenVerifier":
    """What checks tokens as the settings say. Raises Invalid, which names the variable that is wrong or missing."""
    given = [name for name in ("jwt_jwks_url", "jwt_key_file", "jwt_secret") if getattr(settings, name)]
    if len(given) != 1:
        raise _wrong(given[-1] if given else "jwt_jwks_url", "one source of keys is needed, and only one")
    if not settings.jwt_issuer:
        raise _wrong("jwt_issuer", "is needed where tokens are accepted")
    if not settings.jwt_audience:
        raise _wrong("jwt_audience", "is needed where tokens are accepted")
    keys: KeySet
    algorithms: frozenset[str] = frozenset(settings.jwt_algorithms)
    try:
        if settings.jwt_secret is not None:
            keys = FixedKeys(keys_of_secret(settings.jwt_secret.get_secret_value()))
            algorithms = frozenset({"HS256"})
        elif settings.jwt_key_file is not None:
            keys = FixedKeys(keys_of_file(settings.jwt_key_file))
        else:
            keys = FetchedKeys(settings.jwt_jwks_url or "")
    except (OSError, ValueError) as problem:
        raise _wrong(given[0], str(problem)) from problem
    return TokenVerifier(
        keys,
        algorithms=algorithms,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        leeway=settings.jwt_leeway,
        tenant_claim=settings.jwt_tenant_claim,
        scope_claim=settings.jwt_scope_claim,
    )


def _wrong(setting: str, problem: str) -> Invalid:
    name = f"LYCOSA_{setting.upper()}"
    return Invalid(f"{name}: {problem}", code="SETTING_INVALID", details={"argument": name})


class TokenVerifier:
    """Checks tokens of one issuer for one audience. The keys and the algorithms are ours, never the token's choice."""

    def __init__(
        self,
        keys: KeySet,
        *,
        algorithms: frozenset[str],
        issuer: str,
        audience: str,
        leeway: float,
        tenant_claim: str,
        scope_claim: str,
    ) -> None:
        self._keys = keys
        self._algorithms = algorithms
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._tenant_claim = tenant_claim
        self._scope_claim = scope_claim
        self._decoder = jwt.PyJWT(
            {"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True}
        )

    async def verify(self, token: str) -> tuple[Identity, float]:
        """Who the token speaks for, and when it ends in unix seconds by our clock, the leeway included.

        Raises Unauthenticated, and Unavailable when the issuer's keys cannot be had.
        """
        algorithm, key_id = self._header(token)
        for doubted in (False, True):
            for key in await self._keys.find(key_id, doubted=doubted):
                claims = self._claims(token, key, algorithm)
                if claims is not None:
                    return self._identity(claims), min(int(claims["exp"]), _FAR) + self._leeway
        raise Unauthenticated("the token is signed with a key that is not known here")

    async def aclose(self) -> None:
        """Let go of the keys."""
        await self._keys.aclose()

    def _header(self, token: str) -> tuple[str, str | None]:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError) as problem:
            raise Unauthenticated("the credential is neither an API key nor a token") from problem
        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms or "crit" in header:
            raise Unauthenticated("the token is signed in a way that is not accepted here")
        return algorithm, key_id

    def _claims(self, token: str, key: Key, algorithm: str) -> dict[str, Any] | None:
        """What the token says; None when this key did not sign it."""
        try:
            verifying = jwt.PyJWK(key, key.get("alg") or algorithm)
            claims: dict[str, Any] = self._decoder.decode(
                token,
                verifying,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
            )
        except (jwt.InvalidSignatureError, jwt.InvalidKeyError, jwt.InvalidAlgorithmError, jwt.PyJWKError):
            return None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as problem:
            reason = next((text for kind, text in _REASONS if isinstance(problem, kind)), "is malformed")
            raise Unauthenticated(f"the token {reason}") from problem
        return claims

    def _identity(self, claims: dict[str, Any]) -> Identity:
        tenant, subject = claims.get(self._tenant_claim), claims["sub"]
        if not isinstance(tenant, str) or not _fits(tenant, _MOST_TENANT_BYTES):
            raise Unauthenticated(f"the token names no tenant in {self._tenant_claim}")
        if not _fits(subject, _MOST_SUBJECT):
            raise Unauthenticated("the token's subject is longer than 120 bytes, or not printable")
        return Identity(tenant, _scopes(claims.get(self._scope_claim)), f"jwt:{subject}")


def _fits(text: str, most: int) -> bool:
    return 0 < len(text.encode("utf-8", "replace")) <= most and text.isprintable()


def _scopes(claim: Any) -> frozenset[str]:
    """Ours among those of a token: words parted by spaces, or a list of them."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return ALL_SCOPES.intersection(word for word in words if isinstance(word, str))
