"""Tokens that must not pass, and the few that must (M2)."""

import base64
import functools
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lycosa.errors import Invalid, Unauthenticated
from lycosa.services.tokens import TokenVerifier, token_verifier
from lycosa.settings import Settings

ISSUER, AUDIENCE, SECRET = "https://issuer.example", "lycosa", "s" * 32


@functools.cache
def _rsa(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def _ec() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def _ed() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def _pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def _verifier(tmp_path: Path, *keys: Any, **given: Any) -> TokenVerifier:
    settings: dict[str, Any] = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    if keys:
        settings["jwt_key_file"] = tmp_path / "keys.pem"
        settings["jwt_key_file"].write_bytes(b"\n".join(_pem(key) for key in keys))
    return token_verifier(Settings(_env_file=None, **(settings | given)))


def _claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "анна",
        "iat": now,
        "exp": now + 300,
        "tenant": "acme",
        "scope": "openid read write",
    }
    return {name: value for name, value in (claims | changed).items() if value is not None}


def _signed(key: Any, algorithm: str, *, headers: dict[str, Any] | None = None, **changed: Any) -> str:
    return jwt.encode(_claims(**changed), key, algorithm, headers=headers)


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def _refused(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as raised:
        await verifier.verify(token)
    return raised.value.message


async def test_a_good_token_says_who_asks_and_until_when(tmp_path: Path) -> None:
    verifier = _verifier(tmp_path, _rsa("a"), _ec(), _ed())
    for key, algorithm in ((_rsa("a"), "RS256"), (_ec(), "ES256"), (_ed(), "EdDSA")):
        identity, ends = await verifier.verify(_signed(key, algorithm))
        assert (identity.tenant, identity.key_id) == ("acme", "jwt:анна")
        assert identity.scopes == {"read", "write"}
        assert ends == pytest.approx(time.time() + 330, abs=5)


async def test_scopes_are_words_or_a_list_and_only_ours(tmp_path: Path) -> None:
    verifier = _verifier(tmp_path, _ec(), jwt_scope_claim="scp", jwt_tenant_claim="https://x.example/org")
    for claim, wanted in (
        (["spend", "admin", 7, None], {"spend", "admin"}),
        ("readwrite Read root", set()),
        ({"read": True}, set()),
        (None, set()),
    ):
        changed: dict[str, Any] = {"scp": claim, "https://x.example/org": "acme"}
        token = _signed(_ec(), "ES256", **changed)
        assert (await verifier.verify(token))[0].scopes == wanted


_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"exp": 1}, "has expired"),
    ({"exp": None}, "lacks a claim"),
    ({"exp": "soon"}, "is malformed"),
    ({"exp": 1e400}, "is malformed"),
    ({"exp": 10**400, "tenant": ""}, "names no tenant"),
    ({"nbf": int(time.time()) + 600}, "is not valid yet"),
    ({"iat": int(time.time()) + 600}, "is not valid yet"),
    ({"aud": "other"}, "another audience"),
    ({"aud": ["other", "lycosa "]}, "another audience"),
    ({"aud": {"lycosa": 1}}, "another audience"),
    ({"aud": None}, "lacks a claim"),
    ({"iss": "https://issuer.example/"}, "another issuer"),
    ({"iss": [ISSUER]}, "another issuer"),
    ({"iss": None}, "lacks a claim"),
    ({"sub": None}, "lacks a claim"),
    ({"sub": 7}, "is malformed"),
    ({"sub": "x" * 121}, "subject is longer"),
    ({"sub": "a\nb"}, "subject is longer"),
    ({"tenant": None}, "names no tenant"),
    ({"tenant": 7}, "names no tenant"),
    ({"tenant": ["acme"]}, "names no tenant"),
    ({"tenant": "я" * 65}, "names no tenant"),
    ({"tenant": "a\x00b"}, "names no tenant"),
]


@pytest.mark.parametrize(("changed", "problem"), _WRONG)
async def test_wrong_claims(tmp_path: Path, changed: dict[str, Any], problem: str) -> None:
    given = _claims() | changed
    claims = {name: value for name, value in given.items() if value is not None}
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), _ec(), "ES256")
    assert problem in await _refused(_verifier(tmp_path, _ec()), token)


async def test_clocks_may_be_apart_by_the_leeway_and_no_more(tmp_path: Path) -> None:
    verifier, now = _verifier(tmp_path, _ec(), jwt_leeway=60), int(time.time())
    await verifier.verify(_signed(_ec(), "ES256", exp=now - 50, nbf=now + 50, iat=now + 50))
    assert "expired" in await _refused(verifier, _signed(_ec(), "ES256", exp=now - 70))
    assert "not valid yet" in await _refused(verifier, _signed(_ec(), "ES256", nbf=now + 70))


async def test_the_algorithm_is_ours_to_choose(tmp_path: Path) -> None:
    """alg none in any case, a public key used as a secret, another algorithm of the same key, none at all."""
    verifier = _verifier(tmp_path, _rsa("a"))
    header, claims = {"typ": "JWT"}, _part(_claims())
    for name in ("none", "None", "NONE", "", None, 7, ["RS256"], "RS384", "PS256", "HS256", "ES256"):
        for signature in ("", "AAAA"):
            await _refused(verifier, f"{_part(header | {'alg': name})}.{claims}.{signature}")
    await _refused(verifier, f"{_part(header)}.{claims}.")
    pem = _pem(_rsa("a"))
    signed = f"{_part(header | {'alg': 'HS256'})}.{claims}".encode()
    forged = base64.urlsafe_b64encode(hmac.digest(pem, signed, "sha256")).rstrip(b"=").decode()
    await _refused(verifier, f"{_part(header | {'alg': 'HS256'})}.{claims}.{forged}")
    # The right signature under another name.
    good = _signed(_rsa("a"), "RS256").split(".")
    await _refused(verifier, f"{_part(header | {'alg': 'ES256'})}.{good[1]}.{good[2]}")
    await _refused(verifier, _signed(_rsa("a"), "PS256"))
    await _refused(verifier, _signed(_rsa("b"), "RS256"))
    await verifier.verify(".".join(good))
    await _refused(verifier, f"{good[0]}.{_part(_claims(tenant='other'))}.{good[2]}")


async def test_a_token_brings_no_key_and_no_demands_of_its_own(tmp_path: Path) -> None:
    verifier = _verifier(tmp_path, _ec())
    own = jwt.algorithms.RSAAlgorithm.to_jwk(_rsa("b").public_key(), as_dict=True)
    for headers in ({"jwk": own}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example"}):
        await _refused(verifier, _signed(_rsa("b"), "RS256", headers=headers))
    await _refused(verifier, _signed(_ec(), "ES256", headers={"crit": ["exp"], "exp": 1}))
    claims = _part(_claims())
    for header in (
        {"alg": "ES256", "kid": 7},
        {"alg": "ES256", "kid": ["a"]},
        {"alg": "ES256", "crit": "b64"},
    ):
        await _refused(verifier, f"{_part(header)}.{claims}.AAAA")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.e30.",
        "\x00.\x00.\x00",
        "[" * 4000,
        "e30" * 2000,
        "eyJhbGciOiJFUzI1NiJ9..",
    ],
)
async def test_what_is_no_token(tmp_path: Path, token: str) -> None:
    await _refused(_verifier(tmp_path, _ec()), token)


async def test_deep_nesting_is_refused_and_not_a_fault(tmp_path: Path) -> None:
    deep = base64.urlsafe_b64encode(b'{"alg":"ES256","x":' + b"[" * 5000).decode().rstrip("=")
    await _refused(_verifier(tmp_path, _ec()), f"{deep}.e30.AAAA")
    payload = b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    await _refused(_verifier(tmp_path, _ec()), jwt.PyJWS().encode(payload, _ec(), "ES256"))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_short_key_is_no_key(tmp_path: Path) -> None:
    assert "not known" in await _refused(
        _verifier(tmp_path, _rsa("short", 1024)), _signed(_rsa("short", 1024), "RS256")
    )


async def test_a_secret_makes_hs256_the_only_way(tmp_path: Path) -> None:
    verifier = _verifier(tmp_path, jwt_secret=SECRET)
    assert (await verifier.verify(_signed(SECRET, "HS256")))[0].tenant == "acme"
    await _refused(verifier, _signed("t" * 32, "HS256"))
    await _refused(verifier, _signed(SECRET * 2, "HS512"))
    await _refused(verifier, _signed(_ec(), "ES256"))


def test_settings_that_do_not_fit_are_named(tmp_path: Path) -> None:
    private = tmp_path / "private.pem"
    private.write_bytes(
        _ec().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    empty = tmp_path / "empty.json"
    empty.write_text('{"keys": [{"kty": "oct", "k": "AAAA"}]}')
    both = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    given: dict[str, Any]
    for given, name in (
        ({"jwt_secret": SECRET, "jwt_audience": AUDIENCE}, "LYCOSA_JWT_ISSUER"),
        ({"jwt_secret": SECRET, "jwt_issuer": ISSUER}, "LYCOSA_JWT_AUDIENCE"),
        (both | {"jwt_secret": SECRET, "jwt_jwks_url": "https://x.example/jwks"}, "LYCOSA_JWT_SECRET"),
        (both | {"jwt_secret": "short"}, "LYCOSA_JWT_SECRET"),
        (both | {"jwt_key_file": private}, "LYCOSA_JWT_KEY_FILE"),
        (both | {"jwt_key_file": empty}, "LYCOSA_JWT_KEY_FILE"),
        (both | {"jwt_key_file": tmp_path / "none"}, "LYCOSA_JWT_KEY_FILE"),
    ):
        with pytest.raises(Invalid) as raised:
            token_verifier(Settings(_env_file=None, **given))
        assert raised.value.message.startswith(name), raised.value.message
        assert "short'" not in raised.value.message
    wrongs: tuple[dict[str, Any], ...] = (
        {"jwt_jwks_url": "http://issuer.example/jwks"},
        {"jwt_jwks_url": "file:///etc/passwd"},
        {"jwt_algorithms": "RS256,HS256"},
        {"jwt_algorithms": "none"},
        {"jwt_algorithms": ""},
        {"authentication": "sometimes"},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Settings(_env_file=None, **wrong)
