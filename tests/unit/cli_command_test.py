"""What every command has in common: shared options, errors, exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from lycosa import errors
from lycosa.cli.command import Invocation, Root, Shared, command, load_settings
from lycosa.cli.main import app
from lycosa.cli.main import options as root_options


def probe(raised: BaseException | None = None) -> typer.Typer:
    """The root command with one command of ours, which shows its settings or raises."""
    made = typer.Typer(cls=Root)
    made.callback()(root_options)

    async def show(run: Invocation, word: str = "none") -> None:
        """Show.

        More words.
        """
        if raised is not None:
            raise raised
        run.output.show(
            {"tenant": run.settings.tenant, "data": str(run.settings.data), "word": word}, f"{word}!"
        )

    command(made, "show", examples=["lycosa show"])(show)
    return made


def run(made: typer.Typer, *words: str) -> Result:
    return CliRunner().invoke(made, list(words), prog_name="lycosa")


@pytest.mark.parametrize(
    "words",
    [
        ("--tenant", "acme", "--data", "/srv/x", "--json", "show", "--word", "да"),
        ("show", "--word", "да", "--tenant", "acme", "--data", "/srv/x", "--json"),
        ("--tenant", "other", "--json", "show", "--word", "да", "--data", "/srv/x", "--tenant", "acme"),
    ],
)
def test_shared_options_stand_before_or_after_the_command_and_the_nearer_wins(words: tuple[str, ...]) -> None:
    result = run(probe(), *words)
    assert json.loads(result.stdout) == {"tenant": "acme", "data": "/srv/x", "word": "да"}


def test_keys_stay_those_of_the_environment_whoever_a_command_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYCOSA_TENANT", "operator")
    assert load_settings(Shared()).account == "operator"
    other = load_settings(Shared(tenant="acme"))
    assert (other.tenant, other.account) == ("acme", "operator")
    # Also of copies.
    assert other.model_copy(update={"llm": "extractive"}).account == "operator"


KINDS = [
    (errors.Invalid, 2),
    (errors.Denied, 3),
    (errors.NotFound, 4),
    (errors.Conflict, 5),
    (errors.Exhausted, 6),
    (errors.Unavailable, 7),
    (errors.TimedOut, 8),
    (errors.Internal, 70),
]


@pytest.mark.parametrize(("kind", "status"), KINDS)
def test_every_kind_has_its_exit_status_and_one_line(kind: type[errors.LycosaError], status: int) -> None:
    result = run(probe(kind("это не так", code="WRONG")), "show")
    assert (result.exit_code, result.stdout, result.stderr) == (status, "", "error: WRONG: это не так\n")


def test_a_fault_of_ours_is_one_line_and_its_trace_is_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(probe(ZeroDivisionError("oops")), "show")
    assert result.exit_code == 70
    assert result.stderr == "error: INTERNAL: ZeroDivisionError: oops (LYCOSA_LOG_LEVEL=debug shows where)\n"
    monkeypatch.setenv("LYCOSA_LOG_LEVEL", "debug")
    assert "Traceback" in run(probe(ZeroDivisionError("oops")), "show").stderr


def test_interrupts_end_with_130() -> None:
    assert run(probe(KeyboardInterrupt()), "show").exit_code == 130
    assert run(probe(typer.Abort()), "show").exit_code == 130


@pytest.mark.parametrize("words", [("show", "--nope"), ("nope",), ("show", "--word")])
def test_wrong_usage_is_one_line_and_json_where_json_is_asked_for(words: tuple[str, ...]) -> None:
    result = run(probe(), *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: USAGE: ")
    assert result.stderr.count("\n") == 1
    assert "--help" in result.stderr
    answer = run(probe(), "--json", *words)
    assert answer.exit_code == 2
    assert json.loads(answer.stderr)["error"]["code"] == "USAGE"


def test_a_setting_out_of_bounds_is_named_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(probe(), "show", "--tenant", "a\tb")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: SETTING_INVALID: --tenant: ")
    monkeypatch.setenv("LYCOSA_HTTP_PORT", "70000")
    with pytest.raises(errors.Invalid, match=r"^LYCOSA_HTTP_PORT: .*70000"):
        load_settings(Shared())
    monkeypatch.delenv("LYCOSA_HTTP_PORT")
    monkeypatch.setenv("TARANTOOL_PORT", "none")
    with pytest.raises(errors.Invalid, match=r"TARANTOOL_PORT: .*none"):
        load_settings(Shared())


def test_help_shows_the_first_words_and_the_examples() -> None:
    result = run(probe(), "show", "--help")
    assert result.exit_code == 0
    for text in ("Show.", "More words.", "Examples:", "lycosa show", "--tenant", "--data", "--json"):
        assert text in result.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("up",),
        ("status",),
        ("import",),
        ("analyze",),
        ("console",),
        ("bench",),
        *[("customers", name) for name in ("get", "list", "segments", "delete")],
        *[("documents", name) for name in ("search", "get", "list", "delete")],
        *[("requests", name) for name in ("get", "list", "totals")],
    ],
)
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*words, "--help"], prog_name="lycosa")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"lycosa {' '.join(words)}" in result.stdout.split("Examples:")[1]
    assert "--json" in result.stdout


def test_the_version_and_no_command() -> None:
    assert run(app, "--version").stdout.startswith("lycosa 0.")
    result = run(app)
    assert "Commands" in result.stdout + result.stderr


def test_without_a_store_it_says_at_once_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("LYCOSA_", "TARANTOOL_"))]:
        monkeypatch.delenv(name)
    result = run(app, "status", "--data", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: PASSWORD_MISSING: ")
    (tmp_path / "password").write_text("secret")
    monkeypatch.setenv("TARANTOOL_HOST", str(tmp_path / "none.sock"))
    result = run(app, "status", "--data", str(tmp_path), "--json")
    assert result.exit_code == 7
    assert json.loads(result.stderr)["error"]["code"] == "NOT_CONNECTED"
    result = run(app, "console", "--data", str(tmp_path))
    assert result.exit_code == 7
    assert "lycosa up" in result.stderr
    assert run(app, "console", "--json").exit_code == 2


def test_the_command_starts_without_what_only_an_analysis_needs() -> None:
    """Its import takes a second; with the model libraries it would take two."""
    code = "import sys, lycosa.cli.main; print([name for name in ('langchain_core', 'fastapi') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
