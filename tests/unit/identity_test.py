"""Who asks: scopes, and what happens without a credential."""

import pytest

from lycosa.errors import Denied
from lycosa.identity import Identity
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
