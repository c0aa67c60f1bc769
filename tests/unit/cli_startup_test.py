"""What is checked before a start and how a failed one is explained."""

import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lycosa import startup
from lycosa.errors import Conflict, Denied, Invalid, LycosaError, NotFound, Unavailable
from lycosa.settings import Settings

LOG = Path("/data/tarantool.log")
STAMP = "2026-01-01 00:00:00.000 [1] main/103/instance.lua "


def make_settings(data: Path, **given: object) -> Settings:
    return Settings(_env_file=None, data=data, **given)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def program(path: Path, prints: str) -> Path:
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' '{prints}'\n")
    path.chmod(0o755)
    return path


def test_the_tarantool_on_the_path_is_taken_and_a_named_one_before_it(tmp_path: Path) -> None:
    program(tmp_path / "tarantool", "Tarantool 2.6.0-0-g47aa4e01e")
    newer = program(tmp_path / "newer", "Tarantool Enterprise 3.2.1-0-r1")
    assert startup.find_tarantool({"PATH": str(tmp_path)}) == tmp_path / "tarantool"
    assert startup.find_tarantool({"PATH": str(tmp_path), "TARANTOOL": str(newer)}) == newer


@pytest.mark.parametrize("version", ["2.5.9-1", "1.10.4", "2.4.0-beta"])
def test_an_old_tarantool_is_refused_by_its_version(tmp_path: Path, version: str) -> None:
    program(tmp_path / "tarantool", f"Tarantool {version}")
    with pytest.raises(Conflict, match=f"{version}, Lycosa needs 2.6 or newer") as raised:
        startup.find_tarantool({"PATH": str(tmp_path)})
    assert raised.value.code == "TARANTOOL_TOO_OLD"


def test_a_missing_or_other_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no `tarantool` on the PATH; install"):
        startup.find_tarantool({"PATH": str(tmp_path)})
    with pytest.raises(NotFound, match="TARANTOOL=/nope is not a program"):
        startup.find_tarantool({"PATH": str(tmp_path), "TARANTOOL": "/nope"})
    other = program(tmp_path / "other", "GNU coreutils 9.1")
    with pytest.raises(Unavailable, match="is not Tarantool"):
        startup.find_tarantool({"TARANTOOL": str(other)})
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    with pytest.raises(Unavailable, match="--version failed"):
        startup.find_tarantool({"TARANTOOL": str(broken)})


def test_the_checkout_is_named_or_here_or_where_the_package_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (startup.find_home({}) / "instance.lua").is_file()
    with pytest.raises(NotFound, match="set LYCOSA_HOME"):
        startup.find_home({"LYCOSA_HOME": str(tmp_path)})
    (tmp_path / "lua" / "lycosa").mkdir(parents=True)
    (tmp_path / "instance.lua").touch()
    assert startup.find_home({}) == tmp_path.resolve()


def refusal(settings: Settings) -> LycosaError:
    with pytest.raises(LycosaError) as raised:
        startup.check(settings)
    return raised.value


def test_a_free_place_passes_and_the_directory_is_the_owners_only(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "var"
    startup.check(make_settings(data, tarantool_port=free_port(), http_port=free_port()))
    assert data.stat().st_mode & 0o777 == 0o700
    assert list(data.iterdir()) == []


def test_a_port_in_use_is_named_with_its_variable(tmp_path: Path, taken: int) -> None:
    problem = refusal(make_settings(tmp_path, tarantool_port=taken, http_port=free_port()))
    assert isinstance(problem, Conflict)
    assert f"port {taken} on 127.0.0.1, wanted for Tarantool, is in use" in problem.message
    assert problem.details["argument"] == "TARANTOOL_PORT"
    problem = refusal(make_settings(tmp_path, tarantool_port=free_port(), http_port=taken))
    assert "wanted for REST" in problem.message
    assert problem.details["argument"] == "LYCOSA_HTTP_PORT"


def test_an_address_of_another_machine_is_named_with_its_variable(tmp_path: Path) -> None:
    problem = refusal(make_settings(tmp_path, tarantool_host="192.0.2.1", http_port=free_port()))
    assert isinstance(problem, Invalid)
    assert "set TARANTOOL_HOST" in problem.message


def test_a_socket_somebody_listens_on_is_refused_and_one_left_behind_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    given = make_settings(tmp_path / "var", tarantool_host=str(path), http_port=free_port())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert refusal(given).code == "PORT_IN_USE"
    assert path.exists()
    startup.check(given)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    problem = refusal(make_settings(tmp_path / ("x" * 100)))
    assert (problem.kind, problem.code) == ("invalid", "PATH_TOO_LONG")


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    problem = refusal(make_settings(tmp_path / "file" / "var"))
    assert isinstance(problem, Denied)
    assert "Not a directory" in problem.message


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            startup.check(make_settings(tmp_path))
        except Denied as problem:
            os._exit(problem.exit_status)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == Denied.exit_status


def test_a_locked_directory_is_in_use(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    problem = refusal(make_settings(tmp_path))
    os.close(descriptor)
    assert (problem.kind, problem.code) == ("conflict", "DATA_IN_USE")


FAILURES = [
    (
        "lycosa: SCHEMA_NEWER: the data directory has schema 9, this code knows 4; start a newer Lycosa on it "
        '{"found":9,"known":4}',
        Conflict,
        "SCHEMA_NEWER",
        "the data directory has schema 9, this code knows 4; start a newer Lycosa on it",
    ),
    ("lycosa: settings: LYCOSA_WAL_MODE must be", Invalid, "SETTING_INVALID", "LYCOSA_WAL_MODE must be"),
    (
        STAMP + "F> can't initialize storage: Failed to lock WAL directory . and hot_standby mode is off",
        Conflict,
        "DATA_IN_USE",
        "in use by a running Tarantool",
    ),
    ("lycosa: binary: failed to bind, called on fd -1", Conflict, "PORT_IN_USE", "port 3301 on 127.0.0.1"),
    (
        "lycosa: can't initialize storage: bind, called on fd 20, aka 127.0.0.1:3301: Address already in use",
        Conflict,
        "PORT_IN_USE",
        "set TARANTOOL_HOST or TARANTOOL_PORT",
    ),
    (
        STAMP
        + "xlog.c:841 !> SystemError failed to create file './0.snap.inprogress': Permission denied\n"
        + STAMP
        + "F> failed to create a checkpoint",
        Denied,
        "DATA_NOT_WRITABLE",
        "cannot write to the data directory",
    ),
    (
        STAMP
        + "!> SystemError write: No space left on device\n"
        + STAMP
        + "F> failed to create a checkpoint",
        Unavailable,
        "DISK_FULL",
        "is full",
    ),
    (
        STAMP
        + "F> failed to preallocate 1099511627776 bytes: Cannot allocate memory, check option 'memtx_memory'",
        Unavailable,
        "MEMORY_UNFIT",
        "LYCOSA_MEMORY_MB=256 does not fit",
    ),
    (
        STAMP + "F> can't initialize storage: Failed to allocate 172 bytes in slab allocator for memtx_tuple",
        Unavailable,
        "MEMORY_UNFIT",
        "slab allocator",
    ),
    (
        STAMP + "F> can't initialize storage: ./1.xlog: has some data after eof marker at 121",
        Unavailable,
        "TARANTOOL_FAILED",
        "has some data after eof marker at 121; its log is /data/tarantool.log",
    ),
    ("", Unavailable, "TARANTOOL_FAILED", "Tarantool ended at its start with an error; its log is"),
]


@pytest.mark.parametrize(("output", "kind", "code", "words"), FAILURES)
def test_last_words_become_an_error_that_says_what_to_do(
    output: str, kind: type[LycosaError], code: str, words: str
) -> None:
    earlier = STAMP + "I> recover from `./00000000000000000000.xlog'\n"
    problem = startup.explain(earlier + output + "\n", make_settings(Path("/data")), LOG)
    assert (type(problem), problem.code) == (kind, code)
    assert words in problem.message
    assert "\n" not in problem.message


FILL = """
box.cfg{work_dir = arg[1], memtx_memory = tonumber(arg[2]) * 2^20, memtx_max_tuple_size = 2^21}
box.schema.space.create('filled', {if_not_exists = true}):create_index('id', {if_not_exists = true})
for id = 1, 60 do
    box.space.filled:replace{id, ('x'):rep(2^20)}
end
os.exit(0)
"""


def test_the_real_tarantool_is_explained_when_its_memory_does_not_hold_the_data(tmp_path: Path) -> None:
    """The wording is Tarantool's own, so it is asked."""
    script = tmp_path / "fill.lua"
    script.write_text(FILL)
    data = tmp_path / "var"
    data.mkdir()

    def start(megabytes: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [startup.find_tarantool(os.environ), script, data, str(megabytes)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )

    assert start(128).returncode == 0
    small = start(33)
    assert small.returncode != 0
    assert startup.explain(small.stderr, make_settings(data), LOG).code == "MEMORY_UNFIT"


def test_tarantool_is_given_the_settings_and_no_key_of_a_provider(tmp_path: Path) -> None:
    given = make_settings(tmp_path, tarantool_port=4000, password="secret", memory_mb=64)
    environment = startup.store_environment(
        given,
        {
            "PATH": "/bin",
            "OPENAI_API_KEY": "k",
            "LYCOSA_TAVILY_API_KEY": "k",
            "LYCOSA_DATA": "/other",
            "TT_X": "1",
        },
    )
    assert environment["LYCOSA_DATA"] == str(tmp_path)
    assert environment["TARANTOOL_PORT"] == "4000"
    assert environment["LYCOSA_MEMORY_MB"] == "64"
    assert environment["LYCOSA_PASSWORD"] == "secret"
    assert environment["PATH"] == "/bin"
    assert not [name for name in environment if "API_KEY" in name]
    assert "LYCOSA_PASSWORD" not in startup.store_environment(
        make_settings(tmp_path), {"LYCOSA_PASSWORD": "old"}
    )
