"""Keys, their quotas, the settings that make them, and the reading of refusals."""

import datetime
import email.utils
import time
from decimal import Decimal

import pytest
from pydantic import ValidationError

from lycosa.errors import Invalid
from lycosa.providers.accounts import accounts_of, month_ends_in
from lycosa.providers.refusals import Refusal, retry_after, without_keys
from lycosa.providers.registry import agents_of, limits_of, providers_of
from lycosa.providers.retry_budget import RetryBudget
from lycosa.settings import Settings


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]


async def test_every_key_is_a_provider_of_its_own_in_order() -> None:
    given = settings(tavily_api_key=" tvly-a, tvly-b,,tvly-a ", perplexity_api_key="pplx-a")
    found = providers_of(given)
    assert [one.name for one in found] == ["tavily", "tavily#2", "perplexity"]
    assert [one.name for one in agents_of(given)] == ["perplexity-agent"]
    for provider in [*found, *agents_of(given)]:
        await provider.close()
        await provider.close()


def test_without_keys_nobody_can_be_asked() -> None:
    assert providers_of(settings()) == []
    assert agents_of(settings()) == []
    assert limits_of(settings(tavily_api_key=" , ")) == []


@pytest.mark.parametrize("key", ["tvly-я", "tvly-a b", "tvly-a\nx: y"])
def test_what_is_no_key_is_refused_by_its_name(key: str) -> None:
    with pytest.raises(Invalid, match="TAVILY_API_KEY") as caught:
        providers_of(settings(tavily_api_key=key))
    assert key not in str(caught.value)


def test_more_keys_than_the_gate_takes_are_refused() -> None:
    keys = ",".join(f"tvly-{number}" for number in range(8))
    with pytest.raises(Invalid, match="8 keys"):
        providers_of(settings(tavily_api_key=keys))


def test_limits_are_those_of_the_settings() -> None:
    found = {
        limit.quota: limit
        for limit in limits_of(
            settings(
                tavily_api_key="tvly-a,tvly-b",
                perplexity_api_key="pplx-a",
                tavily_monthly_credits=500,
                perplexity_monthly_usd=Decimal("12.5"),
            )
        )
    }
    assert set(found) == {
        *(f"tavily.{key}.{what}" for key in ("k1", "k2") for what in ("rate", "month", "usage")),
        *(f"perplexity.k1.{what}" for what in ("rate", "agent", "month")),
    }
    month = found["perplexity.k1.month"]
    assert (month.amount, month.scale, month.unit, month.window) == (12_500_000, 6, "USD", "month")
    assert found["tavily.k2.month"].amount == 500


@pytest.mark.parametrize(
    ("quota", "per_minute", "window"),
    [
        ("tavily.k1.rate", 100, 60.0),
        ("perplexity.k1.rate", 3_000, 1.0),
        ("perplexity.k1.agent", 60, 1.0),
    ],
)
def test_no_window_of_the_provider_can_be_passed(quota: str, per_minute: int, window: float) -> None:
    """C1: what may come at once and what flows in a window stay under the provider's own limit."""
    given = settings(tavily_api_key="tvly-a", perplexity_api_key="pplx-a")
    limit = next(one for one in limits_of(given) if one.quota == quota)
    assert limit.period is not None
    assert limit.burst is not None
    # From the burst on one unit flows every period/amount seconds; the window's borders may fall on one each.
    most = limit.burst + int(window * limit.amount / limit.period)
    assert 1 <= most <= per_minute * window / 60


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TAVILY_BASE_URL", "ftp://example.org"),
        ("PERPLEXITY_BASE_URL", "https://user@example.org"),
        ("TAVILY_BASE_URL", "https://example.org:99999"),
        ("TAVILY_BASE_URL", "https://example.org/?a=b"),
        ("LYCOSA_TAVILY_CREDIT_USD", "-1"),
        ("LYCOSA_PERPLEXITY_PRESET", "best"),
        ("LYCOSA_TAVILY_RATE_PER_MINUTE", "0"),
    ],
)
def test_a_setting_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=f"(?i){name.removeprefix('LYCOSA_')}"):
        settings()


def test_addresses_may_be_set_with_and_without_our_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAVILY_BASE_URL", "http://127.0.0.1:8101")
    monkeypatch.setenv("LYCOSA_PERPLEXITY_BASE_URL", "http://127.0.0.1:8102/v2")
    given = settings()
    assert given.tavily_base_url == "http://127.0.0.1:8101"
    assert given.perplexity_base_url == "http://127.0.0.1:8102/v2"


def test_a_key_shows_itself_to_nobody() -> None:
    given = settings(tavily_api_key="tvly-hidden")
    assert "hidden" not in repr(given) + repr(accounts_of("tavily", given.tavily_api_key, "TAVILY_API_KEY"))
    assert without_keys("tvly-abcd1234 pplx-abcd sk-abcdef xyz", "xyz") == "[key] [key] [key] [key]"


@pytest.mark.parametrize(
    ("headers", "payload", "expected"),
    [
        ({"retry-after": "3"}, None, 3.0),
        ({"retry-after": "0.5"}, None, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, None, 0.25),
        ({"retry-after": "-3"}, None, None),
        ({"retry-after": "nan"}, None, None),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "1" * 400}, None, None),
        ({"retry-after": "99999999999"}, None, 31 * 86_400.0),
        ({}, {"error": {"retry_after_seconds": 12}}, 12.0),
        ({}, ["?"], None),
    ],
)
def test_the_wait_that_is_told(headers: dict[str, str], payload: object, expected: float | None) -> None:
    assert retry_after(headers, payload) == expected


def test_a_wait_may_be_told_as_a_date() -> None:
    said = {"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)}
    assert retry_after(said, None) == pytest.approx(30, abs=2)
    past = {"retry-after": email.utils.formatdate(time.time() - 30, usegmt=True)}
    assert retry_after(past, None) == 0


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"detail": {"error": "a"}}, "a"),
        ({"error": {"message": "b\u202e\nc", "type": "t"}}, "b c"),
        ({"error": "d"}, "d"),
        ({"detail": [{"msg": "e", "loc": []}]}, "e"),
        ({"error": {"type": "t", "message": ""}}, "t"),
        ({"error": {"message": 7}}, ""),
        ({"error": "x" * 1_000}, "x" * 300),
        (["?"], ""),
        (None, ""),
    ],
)
def test_what_a_refusal_says(payload: object, words: str) -> None:
    assert Refusal(400, payload).words == words


def test_the_month_ends() -> None:
    first = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=month_ends_in() + 1)
    assert (first.day, first.hour) == (1, 0)
    assert 0 < month_ends_in() <= 31 * 86_400


def test_the_budget_bounds_retries() -> None:
    budget = RetryBudget()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(4):
        budget.earn()
    assert [budget.take(), budget.take()] == [True, False]
    for _ in range(1_000):
        budget.earn()
    assert sum(budget.take() for _ in range(20)) == 10
