"""The commands of data against the real store."""

import csv
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lycosa.cli.main import app
from tests.conftest import ROOT, Store

SAMPLES = ROOT / "data" / "samples"

Run = Callable[..., Result]


@pytest.fixture
def run(server: Store, tenant: str) -> Run:
    """Run a command for a tenant of the test's own. Raises when its exit status is not the expected one."""

    def invoke(*words: str, status: int = 0, given: str | bytes | None = None) -> Result:
        environment = {
            "LYCOSA_DATA": str(server.data),
            "TARANTOOL_HOST": str(server.socket),
            "LYCOSA_TENANT": tenant,
            "LYCOSA_LLM": "extractive",
        }
        result = CliRunner(env=environment).invoke(app, list(words), input=given, prog_name="lycosa")
        assert result.exit_code == status, result.output
        return result

    return invoke


def answer(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.fixture
def sampled(run: Run) -> Run:
    """The samples are loaded."""
    run("import", str(SAMPLES / "customers.csv"))
    run("import", str(SAMPLES / "documents.ndjson"))
    return run


def test_status_shows_the_server_memory_spaces_steps_and_calls(sampled: Run, tenant: str) -> None:
    shown = answer(sampled("status", "--json"))
    assert shown["health"]["status"] == "running"
    assert shown["tenant"] == tenant
    assert shown["customers"] == 60
    assert {"customer", "document", "request"} <= {space["name"] for space in shown["figures"]["spaces"]}
    assert shown["growth"].keys() == {"bytes_per_second", "seconds_to_full"}
    text = sampled("status").stdout
    for word in (
        "writable",
        f"{tenant}, customers: 60",
        "quota",
        "customer_segment",
        "document.index",
        "customer.upsert",
    ):
        assert word in text


def test_an_import_again_changes_nothing(
    sampled: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    summary = answer(sampled("import", str(SAMPLES / "customers.csv"), "--json"))
    assert summary["outcomes"] == {"unchanged": 60}
    assert summary["bad_rows"] is None
    text = sampled("import", str(SAMPLES / "documents.ndjson")).stdout
    assert "unchanged" in text
    assert "rows/s" in text
    assert list(tmp_path.iterdir()) == []


def test_bad_rows_go_to_a_file_with_their_reasons_and_the_rest_is_stored(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    anna = "Анна".encode()
    path.write_bytes(
        b"external_id,name,revenue_cents\n1," + anna + b",100\n2,B,-5\n3,\xd0\xff,1\n4,D,many\n5,E,7\n"
    )
    bad = tmp_path / "bad.ndjson"
    result = run("import", str(path), "--bad-rows", str(bad), "--json", status=2)
    assert answer(result)["outcomes"]["inserted"] == 2
    assert answer(result)["outcomes"]["invalid"] == 3
    problem = json.loads(result.stderr)["error"]
    assert problem["code"] == "ROWS_REFUSED"
    assert problem["details"]["rows"] == 3
    rows = [json.loads(line) for line in bad.read_text().splitlines()]
    assert [(row["row"], row["line"], row["field"]) for row in rows] == [
        (2, 3, "revenue_cents"),
        (3, 4, None),
        (4, 5, "revenue_cents"),
    ]
    assert rows[0]["record"] == "2,B,-5"
    assert "UTF-8" in rows[1]["problem"]
    assert [row["id"] for row in answer(run("customers", "list", "--json"))["rows"]] == ["1", "5"]


def test_an_import_from_standard_input_wants_its_format(run: Run) -> None:
    assert "FORMAT_UNKNOWN" in run("import", "-", status=2, given="x").stderr
    line = json.dumps({"external_id": "a", "name": "Ёлка"}) + "\n"
    assert answer(run("import", "-", "--format", "ndjson", "--json", given=line))["rows"] == 1
    assert answer(run("customers", "get", "a", "--json"))["name"] == "Ёлка"


def test_what_cannot_be_imported_is_said(run: Run, tmp_path: Path) -> None:
    assert "FILE_NOT_READABLE" in run("import", str(tmp_path / "none.csv"), status=4).stderr
    assert "FILE_NOT_READABLE" in run("import", str(tmp_path), "--format", "csv", status=3).stderr
    path = tmp_path / "a.csv"
    path.write_text("who,what\n1,2\n")
    result = run("import", str(path), status=2)
    assert "INVALID_HEADER" in result.stderr
    assert "name" in result.stderr
    assert "INVALID_ARGUMENT" in run("import", str(path), "--kind", "documents", status=2).stderr
    path.write_text("external_id,name\n1,\n")
    bad = tmp_path / "none" / "bad.ndjson"
    assert "FILE_NOT_WRITABLE" in run("import", str(path), "--bad-rows", str(bad), status=3).stderr


def test_customers_by_every_look_up(sampled: Run) -> None:
    with (SAMPLES / "customers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_segment = {row["external_id"] for row in rows if row["segment"] == "smb"}

    def found(*words: str) -> list[str]:
        return [
            row["id"] for row in answer(sampled("customers", "list", "-n", "100", "--json", *words))["rows"]
        ]

    assert set(found("--segment", "smb")) == by_segment
    assert found("--external-id", "S-002") == ["S-002"]
    assert found("--email", rows[0]["email"].upper()) == [rows[0]["external_id"]]
    assert found("--name-prefix", "ЯНД") == ["S-001"]
    assert set(found("--tag", "software")) == {
        row["external_id"] for row in rows if "software" in row["tags"].split(";")
    }
    late = found("--segment", "smb", "--since-from", "2024-01-01")
    assert set(late) == {
        row["external_id"] for row in rows if row["segment"] == "smb" and row["since"] >= "2024"
    }
    assert found("--order", "desc")[0] == max(row["external_id"] for row in rows)
    assert (
        "one look-up at a time" in sampled("customers", "list", "--tag", "a", "--email", "b", status=2).stderr
    )


def test_pages_turn_both_ways(sampled: Run) -> None:
    first = answer(sampled("customers", "list", "-n", "20", "--json"))
    second = answer(sampled("customers", "list", "-n", "20", "--cursor", first["next"], "--json"))
    back = answer(sampled("customers", "list", "-n", "20", "--cursor", second["previous"], "--json"))
    assert [row["id"] for row in back["rows"]] == [row["id"] for row in first["rows"]]
    assert not {row["id"] for row in first["rows"]} & {row["id"] for row in second["rows"]}
    assert f"--cursor {first['next']}" in sampled("customers", "list", "-n", "20").stderr
    assert (
        "INVALID_CURSOR"
        in sampled("customers", "list", "--tag", "a", "--cursor", first["next"], status=2).stderr
    )


def test_one_customer_by_id_and_by_external_id(run: Run) -> None:
    run(
        "import",
        "-",
        "--format",
        "csv",
        given="id,external_id,name,website\nc1,EXT-1,Ромашка,https://example.com\n",
    )
    assert answer(run("customers", "get", "EXT-1", "--json"))["id"] == "c1"
    lines = run("customers", "get", "c1").stdout.splitlines()
    columns = {line.index(line.split("  ")[-1].strip()) for line in lines}
    assert len(columns) == 1, "the values stand below each other"
    assert any("Ромашка" in line for line in lines)
    assert any(line.startswith("profile.website") for line in lines)
    assert "CUSTOMER_NOT_FOUND" in run("customers", "get", "nobody", status=4).stderr


def test_segments_show_their_figures_with_a_bar(sampled: Run) -> None:
    rows = answer(sampled("customers", "segments", "--json"))["rows"]
    assert sum(row["customers"] for row in rows) == 60
    assert "█" in sampled("customers", "segments").stdout


def test_deletion_asks_first(sampled: Run) -> None:
    assert "NOT_CONFIRMED" in sampled("customers", "delete", "S-001", status=2).stderr
    assert answer(sampled("customers", "delete", "S-001", "none", "--yes", "--json")) == {"deleted": 1}
    assert "deleted 1 of 1" in sampled("documents", "delete", "doc-s002-en-1", "-y").stdout
    sampled("customers", "get", "S-001", status=4)
    sampled("documents", "get", "doc-s002-en-1", status=4)


def test_documents_are_searched_listed_and_read(sampled: Run) -> None:
    until_indexed(sampled)
    hits = answer(sampled("documents", "search", "поисковая система", "--json"))["hits"]
    assert hits[0]["customer_id"] == "S-001"
    only = answer(sampled("documents", "search", "bank", "--customer", "S-002", "-n", "3", "--json"))["hits"]
    assert {hit["customer_id"] for hit in only} == {"S-002"}
    text = sampled("documents", "search", "поисковая система", "-n", "2")
    assert text.stdout.startswith("1. ")
    assert "postings examined" in text.stderr
    assert sampled("documents", "search", "абракадабра").stdout == "nothing found\n"
    listed = answer(sampled("documents", "list", "--customer", "S-001", "--json"))["rows"]
    assert {row["customer_id"] for row in listed} == {"S-001"}
    assert listed[0]["id"] in sampled("documents", "list", "--customer", "S-001").stdout
    found = answer(sampled("documents", "get", listed[0]["id"], "--json"))
    assert found["text"] in sampled("documents", "get", listed[0]["id"]).stdout


def until_indexed(run: Run) -> None:
    for _ in range(200):
        if answer(run("documents", "search", "company", "--json"))["waiting"] == 0:
            return
    raise AssertionError("documents still wait to be indexed")


def test_an_analysis_streams_and_comes_from_the_cache_the_second_time(sampled: Run) -> None:
    until_indexed(sampled)
    first = [
        json.loads(line)
        for line in sampled("analyze", "S-015", "--language", "en", "--json").stdout.splitlines()
    ]
    kinds = [event["event"] for event in first]
    assert set(kinds) == {"step", "source", "fact", "token", "report"}
    assert kinds.count("report") == 1
    assert kinds[-1] == "report"
    report = first[-1]["report"]
    assert not report["cached"]
    text = sampled("analyze", "S-015", "--language", "en").stdout
    for word in (
        "Steps",
        "Sources",
        "Facts",
        "Summary",
        "Report",
        "[S1]",
        "from the cache: yes",
        report["summary"],
    ):
        assert word in text
    fresh = sampled("analyze", "S-015", "--language", "en", "--fresh").stdout
    assert "from the cache: no" in fresh
    russian = sampled("analyze", "S-001", "--question", "Что они продают?", "--json").stdout.splitlines()[-1]
    assert json.loads(russian)["report"]["language"] == "ru"
    sampled("analyze", "nobody", status=4)
    quick = sampled("analyze", "S-015", "--quick", "--json").stdout.splitlines()[-1]
    assert json.loads(quick)["report"]["mode"] == "quick"
    assert "--quick and --deep" in sampled("analyze", "S-015", "--quick", "--deep", status=2).stderr


def test_the_history_tells_what_was_asked_and_what_it_cost(sampled: Run) -> None:
    for _ in range(3):
        sampled("analyze", "S-015", "--question", "What do they want?")
    rows = answer(sampled("requests", "list", "--customer", "S-015", "--json"))["rows"]
    assert [row["question"] for row in rows] == ["What do they want?"] * 3
    assert [row["cached"] for row in rows] == [True, True, False]
    listed = sampled("requests", "list")
    assert "What do they want?" in listed.stdout
    assert "took, " in listed.stderr
    one = answer(sampled("requests", "get", rows[0]["id"], "--json"))
    assert one["sources"]
    text = sampled("requests", "get", rows[0]["id"]).stdout
    assert json.loads(one["request"]["answer"])["summary"] in text
    assert one["sources"][0]["ref"] in text
    totals = answer(sampled("requests", "totals", "--json"))
    assert (totals["requests"], totals["cached"]) == (3, 2)
    assert "from the cache  2" in sampled("requests", "totals", "--kind", "analysis").stdout
    assert answer(sampled("requests", "list", "--status", "failed", "--json"))["rows"] == []
    assert "one look-up" in sampled("requests", "list", "--status", "a", "--customer", "b", status=2).stderr
    assert (
        "INVALID"
        in sampled("requests", "totals", "--first", "2020-02-01", "--last", "2020-01-01", status=2).stderr
    )
    sampled("requests", "get", "none", status=4)


def test_tenants_do_not_see_each_other(sampled: Run) -> None:
    assert answer(sampled("customers", "list", "--tenant", "another", "--json"))["rows"] == []
    sampled("--tenant", "another", "customers", "get", "S-001", status=4)


def command(server: Store, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own, without a terminal."""
    environment = os.environ | {
        "LYCOSA_DATA": str(server.data),
        "TARANTOOL_HOST": str(server.socket),
        "PYTHONPATH": str(ROOT / "python"),
    }
    return subprocess.run(
        [sys.executable, "-m", "lycosa.cli", *words],
        cwd=ROOT,
        env=environment,
        input=given,
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_the_console_runs_what_is_piped_into_it(server: Store) -> None:
    done = command(server, "console", given=b"lycosa.status()\n")
    assert done.returncode == 0, done.stderr
    assert b"customer_segment" in done.stdout


def test_a_reader_that_leaves_early_is_no_error(server: Store) -> None:
    shell = f"{sys.executable} -m lycosa.cli status --json; echo status $? >&2"
    environment = os.environ | {
        "LYCOSA_DATA": str(server.data),
        "TARANTOOL_HOST": str(server.socket),
        "PYTHONPATH": str(ROOT / "python"),
    }
    done = subprocess.run(
        ["bash", "-c", f"({shell}) | (exec true)"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == "status 0\n"


def test_the_benchmarks_are_listed_and_an_unknown_one_is_refused(run: Run) -> None:
    listed = answer(run("bench", "--list", "--json"))
    assert "document_search" in listed
    assert all(listed.values())
    assert "document_search" in run("bench", "--list").stdout
    assert "BENCHMARK_NOT_FOUND" in run("bench", "nothing", status=4).stderr


def test_a_benchmark_prints_its_rows_and_one_that_cannot_measure_is_an_error(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lua" / "lycosa").mkdir(parents=True)
    (tmp_path / "instance.lua").touch()
    scripts = tmp_path / "benchmarks"
    scripts.mkdir()
    ends = "\nimport sys\n\nif __name__ == '__main__':\n"
    (scripts / "fine.py").write_text(f'"""Fine."""\n{ends}    print("p99", *sys.argv[1:], "ok")\n')
    (scripts / "broken.py").write_text(f'"""Broken."""\n{ends}    sys.exit(3)\n')
    monkeypatch.setenv("LYCOSA_HOME", str(tmp_path))
    assert run("bench", "fine", "--quick").stdout == "p99 --quick ok\n"
    assert answer(run("bench", "fine", "--json")) == {"benchmark": "fine", "line": "p99 ok"}
    assert "broken could not measure (status 3)" in run("bench", status=70).stderr


def test_the_console_of_a_store_that_died_says_how_to_start_it(server: Store, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "console.sock"))
    done = command(server, "console", "--data", str(tmp_path))
    assert done.returncode == 7
    assert b"lycosa up" in done.stderr
