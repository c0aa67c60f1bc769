"""By which names HTTP is asked, and from whose pages."""

import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from lycosa.hosts import AllowedHosts, HostGuard
from lycosa.settings import Settings

LOOPBACK = AllowedHosts.listed([])
NAMED = AllowedHosts.listed(["Crm.Example.com", "other.example:8443", "*.internal"], ["https://app.example/"])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "127.9.9.9", "[::1]", "[::1]:8000"],
)
def test_names_of_this_machine_are_always_answered(host: str) -> None:
    assert LOOPBACK.has_host(host)
    assert NAMED.has_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8000",
        "localhost:80:80",
        "localhost:x",
        "[::1",
        "[::1]x",
        "10.0.0.1",
        "0.0.0.0",
        "crm.example.com",
        "user@localhost",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not LOOPBACK.has_host(host)


def test_names_of_the_settings_are_answered_too() -> None:
    for host in (
        "crm.example.com",
        "CRM.example.com:8000",
        "other.example:8443",
        "a.b.internal",
        "a.internal:1",
    ):
        assert NAMED.has_host(host), host
    for host in ("other.example", "other.example:80", "internal", "evilinternal", "x.crm.example.com"):
        assert not NAMED.has_host(host), host
    assert AllowedHosts.listed(["*"]).has_host("anything.example")
    settings = Settings(_env_file=None, http_host="192.0.2.7", allowed_hosts="a.example, b.example")
    allowed = AllowedHosts.of(settings)
    assert all(allowed.has_host(host) for host in ("192.0.2.7:8000", "a.example", "b.example"))
    everywhere = Settings(_env_file=None, http_host="0.0.0.0")
    assert not AllowedHosts.of(everywhere).has_host("0.0.0.0:8000")


def test_pages_of_its_own_and_of_this_machine_and_of_the_list_may_ask() -> None:
    assert NAMED.has_origin("https://crm.example.com", "crm.example.com")
    assert NAMED.has_origin("https://APP.example", "crm.example.com")
    assert NAMED.has_origin("http://localhost:6274", "127.0.0.1:8000")
    for origin in (
        "null",
        "",
        "https://evil.example",
        "https://app.example.evil",
        "http://app.example",
        "file://",
    ):
        assert not NAMED.has_origin(origin, "crm.example.com"), origin
    assert not NAMED.has_origin("https://[broken", "crm.example.com")


async def _ask(*headers: tuple[bytes, bytes], kind: str = "http") -> tuple[int, str]:
    """The status and the code of the guard's answer; 204 from the application behind it."""
    sent: list[Message] = []

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def keep(message: Message) -> None:
        sent.append(message)

    async def nothing() -> Message:
        return {"type": "http.request"}

    guard = HostGuard(application, LOOPBACK)
    await guard({"type": kind, "method": "GET", "headers": list(headers)}, nothing, keep)
    return sent[0]["status"], json.loads(sent[1]["body"]).get("code", "")


async def test_the_guard_answers_421_and_403() -> None:
    local = (b"host", b"127.0.0.1:8000")
    assert await _ask(local) == (204, "")
    assert await _ask(local, (b"origin", b"http://127.0.0.1:8000")) == (204, "")
    assert await _ask((b"host", b"evil.example")) == (421, "HOST_REFUSED")
    assert await _ask() == (421, "HOST_REFUSED")
    assert await _ask(local, local) == (421, "HOST_REFUSED")
    assert await _ask(local, (b"origin", b"https://evil.example")) == (403, "ORIGIN_REFUSED")
    assert await _ask(local, (b"origin", b"null")) == (403, "ORIGIN_REFUSED")
    assert await _ask(local, (b"origin", b"http://127.0.0.1:8000"), (b"origin", b"https://evil.example")) == (
        403,
        "ORIGIN_REFUSED",
    )
