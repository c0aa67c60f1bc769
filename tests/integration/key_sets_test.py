"""Keys that an issuer shows: fetched rarely, renewed when a new one signs, and never for whoever makes up an id."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec

from lycosa.errors import LycosaError, Unauthenticated, Unavailable
from lycosa.services.key_sets import COOL_DOWN, FRESH_FOR, MOST_BYTES, USED_FOR, FetchedKeys
from lycosa.services.tokens import TokenVerifier
from tests.standins.loopback import Answer, Fault, Loopback, Request

OLD, NEW = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

BROKEN = {"kty": "EC", "crv": "P-256", "x": "!", "y": "!"}


class Issuer(Loopback):
    """Shows the public keys it has."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = {"old": OLD}

    def answer(self, request: Request) -> Answer:
        """The JWK set."""
        keys = [
            jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": id, "use": "sig"}
            for id, key in self.keys.items()
        ]
        return Answer(payload={"keys": [{"kty": "oct", "k": "AAAA", "kid": "shared"}, *keys]})


class Watched:
    """A verifier over the issuer, with a clock in the test's hands."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.now = 1000.0
        self.keys = FetchedKeys(f"{issuer.base_url}/keys", clock=lambda: self.now)
        self._verifier = TokenVerifier(
            self.keys,
            algorithms=frozenset({"ES256"}),
            issuer="i",
            audience="a",
            leeway=0,
            tenant_claim="tenant",
            scope_claim="scope",
        )

    @property
    def fetched(self) -> int:
        """How often the issuer was asked."""
        return len(self.issuer.requests)

    async def ask(self, key: Any = OLD, id: str | None = "old", algorithm: str = "ES256") -> str:
        """The tenant of a token signed with a key that goes by an id, or the code of the refusal."""
        claims = {"iss": "i", "aud": "a", "sub": "s", "tenant": "acme", "exp": int(time.time()) + 60}
        token = jwt.encode(claims, key, algorithm, headers={"kid": id} if id else None)
        try:
            return (await self._verifier.verify(token))[0].tenant
        except LycosaError as refusal:
            return refusal.code


@pytest_asyncio.fixture
async def watched() -> AsyncIterator[Watched]:
    async with Issuer() as issuer:
        watched = Watched(issuer)
        yield watched
        await watched.keys.aclose()


async def test_keys_are_fetched_once_for_all_who_ask(watched: Watched) -> None:
    watched.issuer.plan(Fault(delay=0.05))
    assert await asyncio.gather(*(watched.ask() for _ in range(20))) == ["acme"] * 20
    assert await watched.ask(id=None) == "acme"
    assert watched.fetched == 1


async def test_whoever_hangs_up_does_not_stop_the_fetch_for_others(watched: Watched) -> None:
    watched.issuer.plan(Fault(delay=0.05))
    first, second = (asyncio.create_task(watched.ask()) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == "acme"
    assert watched.fetched == 1


async def test_a_new_key_is_taken_when_its_first_token_comes(watched: Watched) -> None:
    assert await watched.ask() == "acme"
    watched.issuer.keys["new"] = NEW
    watched.now += COOL_DOWN
    assert await watched.ask(NEW, "new") == "acme"
    assert watched.fetched == 2
    del watched.issuer.keys["old"]
    watched.now += FRESH_FOR + 1
    # The first to ask does not wait: the keys are renewed behind it.
    assert await watched.ask() == "acme"
    await asyncio.sleep(0.2)
    assert await watched.ask() == "UNAUTHENTICATED"
    assert await watched.ask(NEW, "new") == "acme"


async def test_made_up_ids_fetch_nothing_within_the_cool_down(watched: Watched) -> None:
    assert await watched.ask() == "acme"
    for number in range(50):
        watched.now += COOL_DOWN / 60
        assert await watched.ask(NEW, f"made-up-{number}") == "UNAUTHENTICATED"
    assert watched.fetched == 1
    watched.now += COOL_DOWN
    assert await watched.ask(NEW, "made-up") == "UNAUTHENTICATED"
    assert watched.fetched == 2
    assert await watched.ask() == "acme"


async def test_a_key_under_another_id_and_a_shared_key_sign_nothing(watched: Watched) -> None:
    assert await watched.ask(NEW, "old") == "UNAUTHENTICATED"
    assert await watched.ask("\0\0\0" * 11, "shared", "HS256") == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(manner="html"),
        Fault(manner="endless"),
        Fault(manner="redirect"),
        Fault(manner="gzip_bomb"),
        Fault(manner="dropped"),
        Fault(manner="truncated"),
        Fault(status=200, payload={"keys": []}),
        Fault(status=200, payload=["keys"]),
        Fault(
            status=200,
            payload={"keys": [{"kty": "EC", "crv": "P-256", "x": "!", "y": "!"}, 7, {"kty": "EC", "kid": 7}]},
        ),
        Fault(status=200, payload={"keys": ["x" * MOST_BYTES]}),
    ],
)
async def test_an_issuer_that_answers_badly(watched: Watched, fault: Fault) -> None:
    watched.issuer.plan(fault)
    assert await watched.ask() in ("KEY_SET_UNAVAILABLE", "UNAUTHENTICATED")
    assert watched.fetched == 1
    watched.now += COOL_DOWN
    assert await watched.ask() == "acme"


async def test_while_the_issuer_is_away_its_keys_are_used_for_an_hour(watched: Watched) -> None:
    assert await watched.ask() == "acme"
    watched.issuer.always = Fault(status=503)
    watched.now += USED_FOR - 1
    assert await watched.ask() == "acme"
    await asyncio.sleep(0.2)
    watched.now += COOL_DOWN
    with pytest.raises(Unavailable) as raised:
        await watched.keys.find("old")
    assert raised.value.code == "KEY_SET_UNAVAILABLE"
    assert raised.value.retry_after == pytest.approx(COOL_DOWN, abs=1)
    assert not isinstance(raised.value, Unauthenticated)
    watched.issuer.always = None
    watched.now += COOL_DOWN
    assert await watched.ask() == "acme"
