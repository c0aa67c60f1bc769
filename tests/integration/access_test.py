"""API keys over the real store: made once, checked rarely, dead soon after they were revoked."""

import re
from typing import Any

import pytest

from lycosa.errors import Denied, Invalid, NotFound, Unauthenticated, Unavailable
from lycosa.identity import ALL_SCOPES, Identity
from lycosa.procedures import AccessKey, Procedures, connect
from lycosa.services import access
from lycosa.services.access import HELD_FOR, AccessService, Authenticator
from tests.conftest import Store


class Counting:
    """The procedures, and how often a key was looked up."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures
        self.server_time = procedures.server_time
        self.asked = 0

    async def access_authenticate(self, **args: Any) -> Any:
        self.asked += 1
        return await self._procedures.access_authenticate(**args)


class Door:
    """An authenticator with a clock in the test's hands."""

    def __init__(self, procedures: Procedures, server: Store, **given: object) -> None:
        self.procedures = Counting(procedures)
        self.now = 0.0
        self.authenticator = Authenticator(
            self.procedures,  # type: ignore[arg-type]
            server.settings(**given),
            clock=lambda: self.now,
        )
        self.identify = self.authenticator.identify

    @property
    def held(self) -> int:
        """How many credentials it knows."""
        return len(self.authenticator._held)


@pytest.fixture
def keys(procedures: Procedures) -> AccessService:
    return AccessService(procedures)


@pytest.fixture
def door(procedures: Procedures, server: Store) -> Door:
    return Door(procedures, server)


async def test_without_a_credential_the_local_caller_asks_unless_one_is_required(
    procedures: Procedures, server: Store
) -> None:
    local = await Door(procedures, server, tenant="acme").identify(None)
    assert (local.tenant, local.scopes, local.key_id) == ("acme", ALL_SCOPES, None)
    with pytest.raises(Unauthenticated) as raised:
        await Door(procedures, server, authentication="required").identify(None)
    assert (raised.value.kind, raised.value.code, raised.value.missing) == ("denied", "UNAUTHENTICATED", True)


async def test_a_key_says_whose_it_is_and_what_it_may(
    keys: AccessService, door: Door, identity: Identity
) -> None:
    made = await keys.create(identity, "отдел продаж", ["write", "read"])
    assert re.fullmatch(r"lyc_[a-z2-7]{12}_[a-z2-7]{52}", made.credential)
    assert made.credential.split("_")[1] == made.key.id
    asking = await door.identify(made.credential)
    assert asking == Identity(identity.tenant, frozenset({"read", "write"}), made.key.id)
    [row] = (await keys.find(identity)).rows
    assert row == made.key
    assert (row.name, row.created_by, row.expires_at, row.revoked_at) == ("отдел продаж", None, None, None)


async def test_the_secret_is_kept_nowhere(
    keys: AccessService, door: Door, identity: Identity, server: Store
) -> None:
    made = await keys.create(identity, "k", ["read"])
    await door.identify(made.credential)
    secret = made.credential.rsplit("_", 1)[1]
    assert secret not in repr(vars(door.authenticator))
    assert secret not in repr(made.key)
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert any(made.key.id.encode() in path.read_bytes() for path in files)
    proof = access._proof(secret)
    for path in files:
        content = path.read_bytes()
        assert secret.encode() not in content, path
        assert proof.encode() not in content, path


async def test_a_create_whose_answer_was_lost_is_repeated_without_a_second_key(
    procedures: Procedures, keys: AccessService, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    create = procedures.access_create

    async def twice(**args: Any) -> AccessKey:
        sent.append(args)
        await create(**args)
        return await create(**args)

    monkeypatch.setattr(procedures, "access_create", twice)
    made = await keys.create(identity, "k", ["read"], lifetime=60)
    assert [row.id for row in (await keys.find(identity)).rows] == [made.key.id]
    assert "credential" not in sent[0]


async def test_nobody_gives_what_they_do_not_have(keys: AccessService, identity: Identity) -> None:
    writer = Identity(identity.tenant, frozenset({"read", "write"}), "w")
    for call in (
        keys.create(writer, "k", ["read"]),
        keys.find(writer),
        keys.revoke(writer, "a" * 12),
    ):
        with pytest.raises(Denied) as raised:
            await call
        assert raised.value.details == {"scope": "admin"}
    admin = Identity(identity.tenant, frozenset({"read", "admin"}), "key-of-admin")
    with pytest.raises(Denied) as raised:
        await keys.create(admin, "k", ["read", "spend"])
    assert raised.value.details == {"scope": "spend"}
    made = await keys.create(admin, "k", ["admin", "read"])
    assert made.key.created_by == "key-of-admin"
    for wrong in ([], ["root"]):
        with pytest.raises(Invalid):
            await keys.create(identity, "k", wrong)  # type: ignore[arg-type]
    for lifetime in (0, -1, 1e12):
        with pytest.raises(Invalid):
            await keys.create(identity, "k", ["read"], lifetime=lifetime)


async def test_keys_of_another_tenant_are_neither_seen_nor_revoked(
    keys: AccessService, door: Door, identity: Identity
) -> None:
    made = await keys.create(identity, "k", ["read"])
    other = Identity(identity.tenant + "-other")
    assert (await keys.find(other)).rows == []
    with pytest.raises(NotFound):
        await keys.revoke(other, made.key.id)
    assert (await door.identify(made.credential)).tenant == identity.tenant


async def test_a_key_is_asked_for_once_in_ten_seconds_and_dies_within_them(
    keys: AccessService, door: Door, identity: Identity
) -> None:
    made = await keys.create(identity, "k", ["read"])
    for _ in range(5):
        await door.identify(made.credential)
        door.now += HELD_FOR / 10
    assert door.procedures.asked == 1
    await keys.revoke(identity, made.key.id)
    assert HELD_FOR == 10
    await door.identify(made.credential)
    door.now = HELD_FOR
    for asked in (2, 3):
        with pytest.raises(Unauthenticated, match="was revoked"):
            await door.identify(made.credential)
        assert door.procedures.asked == asked


async def test_a_key_is_never_held_past_its_end(keys: AccessService, door: Door, identity: Identity) -> None:
    made = await keys.create(identity, "k", ["read"], lifetime=5)
    await door.identify(made.credential)
    door.now = 4.0
    await door.identify(made.credential)
    assert door.procedures.asked == 1
    door.now = 5.0
    await door.identify(made.credential)
    assert door.procedures.asked == 2


async def test_what_is_held_is_bounded(
    keys: AccessService, door: Door, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "MOST_HELD", 2)
    made = [await keys.create(identity, "k", ["read"]) for _ in range(4)]
    for key in made:
        await door.identify(key.credential)
    assert door.held == 2
    await door.identify(made[3].credential)
    assert door.procedures.asked == 4
    await door.identify(made[0].credential)
    assert (door.held, door.procedures.asked) == (2, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "lyc_",
        "lyc_a_b",
        "LYC_{id}_{secret}",
        "lyc_{id}_{secret}a",
        "lyc_{id}_{secret} ",
        "lyc_{id}_{secret}\n",
        "я",
    ],
)
async def test_what_is_no_key_asks_nobody(
    keys: AccessService, door: Door, identity: Identity, wrong: str
) -> None:
    made = await keys.create(identity, "k", ["read"])
    _, id, secret = made.credential.split("_")
    credential = wrong.format(id=id, secret=secret)
    with pytest.raises(Unauthenticated) as raised:
        await door.identify(credential)
    assert door.procedures.asked == 0
    assert secret not in raised.value.message


async def test_a_wrong_secret_is_refused_even_where_none_is_required(
    keys: AccessService, door: Door, identity: Identity
) -> None:
    made = await keys.create(identity, "k", ["read"])
    changed = made.credential[:-1] + ("a" if made.credential[-1] != "a" else "b")
    for credential in (changed, "lyc_" + "a" * 12 + "_" + "a" * 52):
        with pytest.raises(Unauthenticated, match="is not known"):
            await door.identify(credential)
    with pytest.raises(Unauthenticated, match="neither"):
        await door.identify("x" * 8193)
    assert (door.held, door.procedures.asked) == (0, 2)


async def test_while_the_store_is_away_a_key_is_neither_taken_nor_refused(own_server: Store) -> None:
    settings = own_server.settings(call_timeout=0.3)
    async with connect(settings) as client:
        keys, door = AccessService(Procedures(client)), Door(Procedures(client), own_server)
        known, other = [await keys.create(Identity("t"), "k", ["read"]) for _ in range(2)]
        await door.identify(known.credential)
        own_server.kill()
        # What was checked less than ten seconds ago still holds.
        assert (await door.identify(known.credential)).tenant == "t"
        with pytest.raises(Unavailable):
            await door.identify(other.credential)
        own_server.start()
        assert (await door.identify(other.credential)).key_id == other.key.id
