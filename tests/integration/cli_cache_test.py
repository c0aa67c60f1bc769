"""`lycosa cache` against the real store."""

import base64
import json

import pytest

from tests.conftest import Store
from tests.integration.cli_runner import Run, answer, runner


@pytest.fixture
def run(server: Store, tenant: str) -> Run:
    return runner("cache", server, tenant)


def test_a_text_is_stored_read_and_deleted(run: Run) -> None:
    run("set", "курс:день", "Ёлка 1,5", "--ttl", "60", "--tag", "курс", "--tag", "day")
    result = run("get", "курс:день")
    assert result.stdout == "Ёлка 1,5"
    for word in ("text/plain", "tags курс, day", "12 B", "expires 2"):
        assert word in result.stderr
    entry = answer(run("get", "курс:день", "--json"))
    assert (entry["value"], entry["tags"], entry["stale"]) == ("Ёлка 1,5", ["курс", "day"], False)
    assert entry["expires_at"] - entry["created_at"] == pytest.approx(60)
    assert answer(run("delete", "курс:день", "none", "--json")) == {"deleted": 1}
    error = json.loads(run("get", "курс:день", "--json", status=4).stderr)["error"]
    assert (error["code"], error["details"]) == ("CACHE_ENTRY_NOT_FOUND", {"key": "курс:день"})


def test_bytes_go_in_and_out_unchanged(run: Run) -> None:
    value = b"\x00\xff\r\n\x1b[2J" * 100
    assert answer(run("set", "b", "-", "--json", given=value)) == {"key": "b", "bytes": len(value)}
    result = run("get", "b")
    assert result.stdout_bytes == value
    assert "application/octet-stream" in result.stderr
    assert base64.b64decode(answer(run("get", "b", "--json"))["value_base64"]) == value


def test_a_value_that_is_too_long_is_refused(run: Run) -> None:
    result = run("set", "b", "-", given=b"x" * 1_000_001, status=2)
    assert "INVALID_ARGUMENT" in result.stderr
    assert "value" in result.stderr
    run("get", "b", status=4)


def test_figures(run: Run) -> None:
    run("set", "a", "1")
    run("get", "a")
    run("get", "b", status=4)
    figures = answer(run("stats", "--json"))
    assert {name: figures[name] for name in ("entries", "hits", "misses", "hit_rate")} == {
        "entries": 1, "hits": 1, "misses": 1, "hit_rate": 0.5,
    }  # fmt: skip
    text = run("stats").stdout
    for word in ("hit rate", "50.0%", "budget", "MiB", "stale hits"):
        assert word in text
    assert answer(run("stats", "--whole", "--json"))["entries"] >= 1


def test_invalidation(run: Run) -> None:
    for key in ("x:1", "x:2", "y:1"):
        run("set", key, "1", "--tag", "all")
    assert answer(run("invalidate", "--prefix", "x:", "--json")) == {"deleted": 2}
    assert "deleted 1" in run("invalidate", "--tag", "all").stdout
    for words in ((), ("--tag", "a", "--prefix", "b")):
        assert "INVALID_ARGUMENT" in run("invalidate", *words, status=2).stderr
