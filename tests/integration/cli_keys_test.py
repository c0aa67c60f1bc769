"""`lycosa keys` against the real store."""

import time

import pytest

from tests.conftest import Store
from tests.integration.cli_runner import Run, answer, runner


@pytest.fixture
def run(server: Store, tenant: str) -> Run:
    return runner("keys", server, tenant)


def test_a_key_is_made_shown_once_listed_and_revoked(run: Run, tenant: str) -> None:
    made = answer(run("create", "--name", "отдел продаж", "--scopes", "write, read", "--json"))
    assert (made["tenant"], made["name"], made["scopes"]) == (tenant, "отдел продаж", ["read", "write"])
    assert made["expires_at"] == pytest.approx(time.time() + 90 * 86400, abs=60)
    assert made["key"].startswith(f"lyc_{made['id']}_")
    [row] = answer(run("list", "--json"))["rows"]
    assert (row["id"], row["state"], row["last_used_at"]) == (made["id"], "live", None)
    assert made["key"].rsplit("_", 1)[1] not in run("list").output
    assert "revoked" in run("revoke", made["id"], "--yes").stdout
    [row] = answer(run("list", "--json"))["rows"]
    assert row["state"] == "revoked"
    assert row["revoked_at"] >= row["created_at"]


def test_for_people_the_key_stands_on_a_line_of_its_own(run: Run) -> None:
    result = run("create", "--name", "ci", "--expires", "never")
    lines = result.stdout.splitlines()
    assert any(line.split()[:1] == ["key"] and line.split()[1].startswith("lyc_") for line in lines), lines
    assert "never" in result.stdout
    assert "not shown again" in result.stderr
    listed = run("list").stdout.splitlines()
    assert "ci" in listed[-1]
    assert "read" in listed[-1]


def test_keys_belong_to_a_tenant(run: Run, tenant: str) -> None:
    made = answer(run("create", "--name", "k", "--tenant", f"{tenant}-other", "--json"))
    assert made["tenant"] == f"{tenant}-other"
    assert answer(run("list", "--json"))["rows"] == []
    assert "does not exist" in run("revoke", made["id"], "--yes", status=4).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--scopes", "read,root"],
        ["--scopes", ""],
        ["--expires", "0d"],
        ["--expires", "90"],
        ["--expires", "-1d"],
        ["--expires", "999999w"],
        ["--name", ""],
        ["--name", "a\nb"],
    ],
)
def test_what_is_no_key_is_said_in_one_line(run: Run, words: list[str]) -> None:
    result = run("create", "--name", "k", *words, status=2)
    assert len(result.stderr.strip().splitlines()) == 1


def test_revoking_asks_first(run: Run) -> None:
    made = answer(run("create", "--name", "k", "--json"))
    assert "--yes" in run("revoke", made["id"], status=2).stderr
    assert answer(run("list", "--json"))["rows"][0]["state"] == "live"
