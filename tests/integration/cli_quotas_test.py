"""`lycosa quotas` against the real store."""

from collections.abc import Iterator

import pytest

from lycosa.procedures import QuotaClaim
from tests.conftest import Store
from tests.integration.cli_runner import Run, answer, runner
from tests.model.store_driver import Driver


@pytest.fixture
def run(server: Store, tenant: str) -> Run:
    return runner("quotas", server, tenant)


@pytest.fixture
def driver(server: Store) -> Iterator[Driver]:
    """The store beside the commands, which have an event loop each."""
    driver = Driver(server)
    yield driver
    driver.run(driver.clock.release())
    driver.close()


USD = (
    "usd.month",
    "25.00",
    "--window",
    "month",
    "--scale",
    "2",
    "--unit",
    "USD",
    "--time-zone",
    "Europe/Moscow",
)


def test_limits_of_every_kind_are_defined_and_listed(run: Run) -> None:
    defined = answer(run("define", *USD, "--json"))
    assert (defined["quota"], defined["kind"], defined["amount"], defined["scale"]) == (
        "usd.month",
        "window",
        "25.00",
        2,
    )
    assert "utc_offsets" not in defined
    text = run("define", "поиск", "100", "--period", "60", "--burst", "20", "--shadow").stdout
    assert "in 60 s, 20 at once" in text
    assert "at a time" in run("define", "models", "4", "--slots").stdout
    rows = answer(run("list", "--json"))["rows"]
    assert [(row["quota"], row["kind"], row["shadow"]) for row in rows] == [
        ("models", "slots", False), ("usd.month", "window", False), ("поиск", "rate", True),
    ]  # fmt: skip
    text = run("list").stdout
    assert "a month in Europe/Moscow" in text
    assert "25.00" in text
    page = answer(run("list", "-n", "2", "--json"))
    assert [row["quota"] for row in answer(run("list", "--cursor", page["next"], "--json"))["rows"]] == [
        "поиск"
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("x", "1"), ("x", "1", "--slots", "--window", "day"), ("x", "many", "--slots"), ("x", "0.5", "--slots"),
        ("x", "NaN", "--slots"), ("x", "1", "--window", "week"), ("x", "1", "--period", "1", "--burst", "0.1"),
        ("x", "1", "--window", "day", "--time-zone", "Mars/Olympus"), ("x", "1", "--slots", "--scale", "10"),
    ],
)  # fmt: skip
def test_a_wrong_definition_is_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    assert run("define", *words, status=2).stderr.startswith("error: ")
    assert answer(run("list", "--json"))["rows"] == []


def test_kind_and_scale_stay(run: Run) -> None:
    run("define", *USD)
    assert "QUOTA_KIND_FIXED" in run("define", "usd.month", "5", "--slots", status=5).stderr


def test_a_report_shows_what_is_left(run: Run, driver: Driver, tenant: str) -> None:
    run("define", *USD)
    driver.run(driver.procedures.quota_take(tenant=tenant, claims=[{"quota": "usd.month", "amount": 2001}]))
    row = answer(run("report", "usd.month", "--json"))["rows"][0]
    assert (row["limit"], row["used"], row["left"], row["near"]) == ("25.00", "20.01", "4.99", True)
    text = run("report").stdout
    assert "20.01" in text
    assert "near" in text
    run("define", "usd.month", "20", *USD[2:])
    assert "over by 0.01" in run("report").stdout
    assert "QUOTA_UNKNOWN" in run("report", "nobody", status=4).stderr


def test_what_is_unknown_is_reconciled(run: Run, driver: Driver, tenant: str) -> None:
    driver.run(driver.clock.freeze())
    run("define", *USD)
    run("define", "models", "4", "--slots")
    claims: list[QuotaClaim] = [{"quota": "usd.month", "amount": 150}, {"quota": "models", "amount": 1}]
    driver.run(driver.procedures.quota_reserve(tenant=tenant, id="r-17", claims=claims, lease=60))
    shown = answer(run("reservations", "--state", "reserved", "--json"))["rows"]
    assert [(claim["quota"], claim["amount"], claim["spent"]) for claim in shown[0]["claims"]] == [
        ("usd.month", "1.50", None), ("models", "1", None),
    ]  # fmt: skip
    assert "QUOTA_RESERVATION_STATE" in run("reconcile", "r-17", status=5).stderr
    driver.run(driver.clock.advance(61))
    driver.run(driver.clock.drain("quota.lapse"))
    assert "usd.month 1.50, models 1" in run("reservations").stdout
    for wrong in ("usd.month", "usd.month=x", "eur=1", "usd.month=0.001"):
        assert "INVALID_ARGUMENT" in run("reconcile", "r-17", wrong, status=2).stderr
    assert "INVALID_ARGUMENT" in run("reconcile", "r-17", "usd.month=1", "usd.month=1", status=2).stderr
    closed = answer(run("reconcile", "r-17", "usd.month=0.42", "--json"))
    assert (closed["state"], closed["claims"][0]["spent"]) == ("reconciled", "0.42")
    assert "spent 0.42" in run("reservations", "--state", "reconciled").stdout
    assert answer(run("report", "usd.month", "--json"))["rows"][0]["used"] == "0.42"
    assert "QUOTA_RESERVATION_NOT_FOUND" in run("reconcile", "nobody", status=4).stderr


def test_reset_and_removal_want_a_word(run: Run, driver: Driver, tenant: str) -> None:
    run("define", *USD)
    driver.run(driver.procedures.quota_take(tenant=tenant, claims=[{"quota": "usd.month", "amount": 100}]))
    for verb in ("reset", "remove"):
        assert "NOT_CONFIRMED" in run(verb, "usd.month", status=2).stderr
    assert run("reset", "usd.month", "--yes").stdout == "reset usd.month\n"
    assert answer(run("report", "usd.month", "--json"))["rows"][0]["used"] == "0.00"
    assert run("remove", "usd.month", "--yes").stdout == "removed usd.month\n"
    assert "QUOTA_UNKNOWN" in run("remove", "usd.month", "--yes", status=4).stderr


def test_every_command_has_help_with_an_example(run: Run) -> None:
    for verb in ("list", "define", "report", "reset", "remove", "reservations", "reconcile"):
        assert f"lycosa quotas {verb}" in run(verb, "--help").stdout
