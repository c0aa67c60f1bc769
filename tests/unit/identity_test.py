"""Who asks: scopes, and what happens without a credential."""

import pytest

from lycosa.errors import Denied, Unauthenticated
from lycosa.identity import ALL_SCOPES, Identity
from lycosa.services.access import Authenticator
from lycosa.settings import Settings


def _settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]


def test_a_scope_that_is_missing_is_named() -> None:
    reader = Identity("acme", frozenset({"read"}), "k1")
    reader.require("read")
    assert (reader.may("read"), reader.may("spend")) == (True, False)
    with pytest.raises(Denied) as raised:
        reader.require("spend")
    assert (raised.value.code, raised.value.details) == ("SCOPE_MISSING", {"scope": "spend"})


async def test_without_a_credential_the_local_caller_asks_unless_one_is_required() -> None:
    local = await Authenticator(_settings(tenant="acme")).identify(None)
    assert (local.tenant, local.scopes, local.key_id) == ("acme", ALL_SCOPES, None)
    with pytest.raises(Unauthenticated) as raised:
        await Authenticator(_settings(authentication="required")).identify(None)
    assert (raised.value.kind, raised.value.code, raised.value.missing) == ("denied", "UNAUTHENTICATED", True)


async def test_a_wrong_credential_is_refused_even_where_none_is_required() -> None:
    with pytest.raises(Unauthenticated) as raised:
        await Authenticator(_settings()).identify("nonsense")
    assert not raised.value.missing
    assert "nonsense" not in raised.value.message
