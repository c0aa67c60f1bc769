"""What a start of the store needs, checked before it and explained after it failed: one clear line each.

Every problem is a class of `lycosa.errors`, so that its kind decides the exit status.
"""

import errno
import fcntl
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import lycosa
from lycosa.errors import Conflict, Denied, Invalid, LycosaError, NotFound, Unavailable
from lycosa.settings import Settings

OLDEST = (2, 6)

# sun_path of the platform, less its closing NUL.
_LONGEST_SOCKET = 107

_REFUSED = re.compile(r"^lycosa: (?P<code>[A-Z][A-Z_]+): (?P<message>.*?)(?: \{.*\})?$")
_REFUSED_PLAIN = re.compile(r"^lycosa: (?:(?P<place>settings): )?(?P<message>.*)$")
_FATAL = re.compile(r" F> (?P<message>.*)$")
_CONFLICTS = frozenset({"SCHEMA_NEWER", "SCHEMA_CHANGED"})


def find_tarantool(environment: Mapping[str, str]) -> Path:
    """The Tarantool to run: $TARANTOOL, else `tarantool` on the PATH.

    Raises NotFound when there is none, Conflict when it is older than 2.6, Unavailable when it does not run.
    """
    named = environment.get("TARANTOOL")
    found = shutil.which(named or "tarantool", path=environment.get("PATH"))
    if found is None:
        where = (
            f"TARANTOOL={named} is not a program that can be run" if named else "no `tarantool` on the PATH"
        )
        raise NotFound(
            f"{where}; install Tarantool 2.6 or newer (`make setup` does) or set TARANTOOL to its path",
            code="TARANTOOL_MISSING",
        )
    try:
        answer = subprocess.run(
            [found, "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as problem:
        raise Unavailable(
            f"{found} --version failed ({problem}); set TARANTOOL to a Tarantool that runs",
            code="TARANTOOL_FAILED",
        ) from problem
    version = re.search(r"Tarantool\D*(\d+)\.(\d+)(\S*)", answer)
    if version is None:
        raise Unavailable(f"{found} is not Tarantool; set TARANTOOL to its path", code="TARANTOOL_FAILED")
    if (int(version[1]), int(version[2])) < OLDEST:
        raise Conflict(
            f"{found} is Tarantool {version[1]}.{version[2]}{version[3]}, Lycosa needs 2.6 or newer; "
            "install one or set TARANTOOL to its path",
            code="TARANTOOL_TOO_OLD",
        )
    return Path(found)


def find_home(environment: Mapping[str, str]) -> Path:
    """The checkout that holds instance.lua: $LYCOSA_HOME, else the working directory, else where this package lies.

    Raises NotFound when none of them has it.
    """
    named = environment.get("LYCOSA_HOME")
    places = [Path(named)] if named else [Path.cwd(), Path(lycosa.__file__).resolve().parents[2]]
    for place in places:
        if (place / "instance.lua").is_file() and (place / "lua" / "lycosa").is_dir():
            return place.resolve()
    raise NotFound(
        f"no instance.lua in {' or '.join(str(place) for place in places)}; "
        "run this in a checkout of Lycosa or set LYCOSA_HOME to one",
        code="INSTANCE_MISSING",
    )


def check(settings: Settings) -> None:
    """Everything that can be known to fail before Tarantool is started.

    Makes the data directory. Raises Denied when it cannot be written, Invalid when its path is too long, Conflict when
    another instance has it, or a port is in use.
    """
    data = settings.data.absolute()
    for path in (str(data / "console.sock"), settings.tarantool_host):
        if path.startswith("/") and len(os.fsencode(path)) > _LONGEST_SOCKET:
            raise Invalid(
                f"{path} is longer than the {_LONGEST_SOCKET} bytes a socket's path may have; use a shorter directory",
                code="PATH_TOO_LONG",
                details={"argument": "data" if path.startswith(str(data)) else "tarantool_host"},
            )
    _check_writable(data)
    _check_unlocked(data)
    if settings.tarantool_host.startswith("/"):
        _check_socket_free(settings.tarantool_host)
    else:
        _check_port_free(settings.tarantool_host, settings.tarantool_port, "Tarantool", "TARANTOOL_PORT")
    _check_port_free(settings.http_host, settings.http_port, "REST", "LYCOSA_HTTP_PORT")


def _check_writable(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data):
            pass
    except OSError as problem:
        raise _not_writable(data, problem.strerror or str(problem)) from problem


def _not_writable(data: Path, reason: str) -> Denied:
    return Denied(
        f"cannot write to the data directory {data} ({reason}); make it writable or set LYCOSA_DATA to another",
        code="DATA_NOT_WRITABLE",
        details={"argument": "data"},
    )


def _check_unlocked(data: Path) -> None:
    # Tarantool holds the same lock on its directory for as long as it lives, and the kernel frees it when it dies.
    descriptor = os.open(data, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        raise _data_in_use(data) from problem
    except OSError:
        pass  # a file system without locks; Tarantool will say what it thinks of it
    finally:
        os.close(descriptor)


def _data_in_use(data: Path) -> Conflict:
    return Conflict(
        f"the data directory {data} is in use by a running Tarantool; stop that one, "
        "or set LYCOSA_DATA to another directory",
        code="DATA_IN_USE",
        details={"argument": "data"},
    )


def _check_socket_free(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return
    raise Conflict(
        f"another process listens on {path}; stop it or set TARANTOOL_HOST to another path",
        code="PORT_IN_USE",
    )


def _check_port_free(host: str, port: int, purpose: str, variable: str) -> None:
    """Bind and let go. REST's own listener and Tarantool's are opened with the same reuse of the address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise Conflict(
                f"port {port} on {host}, wanted for {purpose}, is in use; "
                f"stop the process that has it or set {variable} to a free port",
                code="PORT_IN_USE",
                details={"argument": variable, "port": port},
            ) from problem
        if problem.errno in (errno.EACCES, errno.EPERM):
            raise Denied(
                f"may not listen on port {port} of {host} for {purpose}; set {variable} to a port above 1023",
                code="PORT_DENIED",
                details={"argument": variable, "port": port},
            ) from problem
        raise Invalid(
            f"cannot listen on {host}, wanted for {purpose} ({problem.strerror}); "
            f"set {variable.replace('PORT', 'HOST')} to an address of this machine",
            code="ADDRESS_INVALID",
            details={"argument": variable.replace("PORT", "HOST")},
        ) from problem


def store_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """What Tarantool is given: the settings as this side read them (from .env too), and no key of any provider."""
    given = {
        name: value
        for name, value in environment.items()
        if not name.endswith("_API_KEY") and not name.startswith("LYCOSA_")
    }
    given |= {
        "LYCOSA_DATA": str(settings.data.absolute()),
        "TARANTOOL_HOST": settings.tarantool_host,
        "TARANTOOL_PORT": str(settings.tarantool_port),
        "TARANTOOL_USER": settings.tarantool_user,
        "LYCOSA_MEMORY_MB": str(settings.memory_mb),
        "LYCOSA_WAL_MODE": settings.wal_mode,
        "LYCOSA_RETENTION_DAYS": str(settings.retention_days),
        "LYCOSA_CACHE_BUDGET_MB": "" if settings.cache_budget_mb is None else str(settings.cache_budget_mb),
        "LYCOSA_CACHE_SHARE_PERCENT": str(settings.cache_share_percent),
        "LYCOSA_CACHE_VOLATILE": settings.cache_volatile,
        "LYCOSA_REQUEST_COLD_DAYS": str(settings.request_cold_days),
        "LYCOSA_TESTING": "1" if settings.testing else "",
    }
    if settings.password is not None:
        given["LYCOSA_PASSWORD"] = settings.password.get_secret_value()
    return given


def explain(output: str, settings: Settings, log: Path, ended: str = "an error") -> LycosaError:
    """Why Tarantool ended, from what it wrote and how it ended, as an error that says what to do."""
    lines = output.splitlines()
    data = settings.data.absolute()
    last = ""
    for line in reversed(lines):
        refused = _REFUSED.match(line)
        if refused and refused["code"] in _CONFLICTS:
            return Conflict(refused["message"], code=refused["code"], details={"data": str(data)})
        fatal = _FATAL.search(line)
        plain = _REFUSED_PLAIN.match(line)
        if fatal or plain:
            last = (fatal or plain)["message"]  # type: ignore[index]
            if plain and plain["place"] == "settings":
                return Invalid(last, code="SETTING_INVALID")
            break
    if "lock WAL directory" in last:
        return _data_in_use(data)
    if "bind" in last or "Address already in use" in last:
        host, port = settings.tarantool_host, settings.tarantool_port
        place = host if host.startswith("/") else f"port {port} on {host}"
        return Conflict(
            f"Tarantool cannot listen on {place}: in use, or not of this machine; set TARANTOOL_HOST or TARANTOOL_PORT",
            code="PORT_IN_USE",
        )
    if "Permission denied" in output or "Read-only file system" in output:
        return _not_writable(data, "permission denied; see " + str(log))
    if "No space left on device" in output:
        return Unavailable(f"the disk of {data} is full; free some of it", code="DISK_FULL")
    if "memtx_memory" in last or "slab allocator" in last:
        return Unavailable(
            f"LYCOSA_MEMORY_MB={settings.memory_mb} does not fit: {last}; set it above what the data takes "
            "and below what the machine has",
            code="MEMORY_UNFIT",
        )
    return Unavailable(
        f"Tarantool ended at its start with {ended}{f': {last}' if last else ''}; its log is {log}",
        code="TARANTOOL_FAILED",
    )
