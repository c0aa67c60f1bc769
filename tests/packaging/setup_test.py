"""deploy/setup.sh on machines that lack something: one clear line that says what to do, and nothing installed."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAIN_TOOLS = (
    "bash", "cat", "cut", "dirname", "env", "flock", "grep", "head", "id", "mktemp", "rm", "sed", "sha256sum", "tail",
)  # fmt: skip

Machine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Run the set-up of a copy of the project on a machine that has just the programs given as scripts."""
    for folder in ("deploy", "requirements"):
        shutil.copytree(ROOT / folder, tmp_path / "lycosa" / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "lycosa")
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in PLAIN_TOOLS:
        found = shutil.which(tool)
        assert found, f"{tool} is needed by this test"
        (programs / tool).symlink_to(found)

    def run(
        scripts: dict[str, str], profile: str = "runtime", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        for name, body in scripts.items():
            script = programs / name
            script.unlink(missing_ok=True)  # a link to the real program
            script.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
            script.chmod(0o755)
        return subprocess.run(
            ["bash", str(tmp_path / "lycosa/deploy/setup.sh"), profile],
            capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
            env={"PATH": str(programs), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)} | environment,
        )  # fmt: skip

    return run


def python(version: str) -> str:
    """A Python that has venv and says it is of this version."""
    return f'case "$2" in *version_info*) echo {version} ;; esac'


def tarantool(version: str) -> str:
    return f"echo 'Tarantool {version}-0-gabcdef'"


def the_line(ended: subprocess.CompletedProcess[str]) -> str:
    """What a refusal printed: one line and a status that is not 0."""
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


PYTHON = {"python3": python("3.11")}


def test_an_old_python(machine: Machine) -> None:
    line = the_line(machine({"python3": python("3.9"), "tarantool": tarantool("2.6.0")}))
    assert "Python 3.9" in line
    assert "3.11" in line


def test_a_newer_python_beside_an_old_one_is_taken(machine: Machine) -> None:
    both = {"python3": python("3.9"), "python3.12": python("3.12")}
    assert "Tarantool 2.5.3" in the_line(machine(both | {"tarantool": tarantool("2.5.3")}))


@pytest.mark.parametrize("version", ["1.10.15", "2.5.3", "2.4.1"])
def test_an_old_tarantool(machine: Machine, version: str) -> None:
    line = the_line(machine(PYTHON | {"tarantool": tarantool(version)}))
    assert f"Tarantool {version}" in line
    assert "2.6" in line
    assert "TARANTOOL=" in line


@pytest.mark.parametrize("version", ["2.6.0", "2.11.5", "3.0.0", "3.10.1"])
def test_a_new_tarantool_gets_past_the_check(machine: Machine, version: str) -> None:
    ended = machine(PYTHON | {"tarantool": tarantool(version)})
    assert "making .venv" in ended.stdout


def test_a_tarantool_that_does_not_run(machine: Machine) -> None:
    assert "does not run" in the_line(machine(PYTHON | {"tarantool": "exit 127"}))


def test_a_named_tarantool_that_is_not_there(machine: Machine) -> None:
    assert "TARANTOOL=/nowhere" in the_line(machine(PYTHON, TARANTOOL="/nowhere"))


def test_no_package_manager(machine: Machine) -> None:
    assert "install Tarantool 2.6 or newer and Python 3.11 or newer" in the_line(machine(PYTHON))


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("dnf", "dnf install -y tarantool"),
        ("zypper", "zypper install -y tarantool"),
        ("apk", "apk add tarantool"),
        ("pacman", "pacman -S --noconfirm tarantool"),
        ("brew", "brew install tarantool"),
    ],
)
def test_another_package_manager(machine: Machine, manager: str, command: str) -> None:
    assert command in the_line(machine(PYTHON | {manager: "exit 99"}))


def test_the_lua_tools_with_another_package_manager(machine: Machine) -> None:
    line = the_line(machine(PYTHON | {"dnf": "exit 99"}, "dev"))
    assert "dnf install -y tarantool" in line
    assert "luarocks --lua-version 5.1 install luacheck" in line


@pytest.mark.parametrize("user", [0, 1000])
def test_a_package_manager_that_knows_no_tarantool(machine: Machine, user: int) -> None:
    apt = {
        "id": f'case "$1" in -u) echo {user} ;; *) echo ada ;; esac',
        "apt-get": "exit 0",
        "apt-cache": "printf 'tarantool:\\n  Candidate: (none)\\n'",
        # It also asks whether it may, by `-n true` and `-v`.
        "sudo": 'case "$1" in -*) exit 0 ;; esac; exec "$@"',
    }
    ended = machine(PYTHON | apt)
    assert ended.returncode == 1
    assert "apt-get knows no package" in ended.stderr


def test_no_rights_to_install(machine: Machine) -> None:
    nobody = {"id": 'case "$1" in -u) echo 1000 ;; *) echo ada ;; esac'}
    line = the_line(machine(PYTHON | nobody | {"apt-get": "exit 99"}))
    assert "ada may not install packages" in line
    assert "apt-get update && apt-get install -y tarantool" in line


def test_a_failing_installation_gives_the_command_to_run_by_hand(machine: Machine) -> None:
    root = {
        "id": "echo 0",
        "apt-cache": "echo '  Candidate: 2.6.0'",
        "apt-get": "echo 'E: no space'; exit 100",
    }
    ended = machine(PYTHON | root)
    assert ended.returncode == 1
    assert "E: no space" in ended.stderr
    assert "By hand: apt-get update && apt-get install -y tarantool" in ended.stderr


def test_an_unknown_profile(machine: Machine) -> None:
    assert "unknown profile" in the_line(machine({}, "production"))
