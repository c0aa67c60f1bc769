"""Who may ask what over HTTP: every route, every scope, every tenant (M1, M2, M5)."""

import io
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from lycosa.identity import SCOPES, Identity, Scope
from lycosa.procedures import Procedures
from lycosa.rest.app import create_app
from lycosa.rest.authorized import scope_of
from lycosa.services.access import AccessService, NewKey
from lycosa.settings import Settings
from lycosa.telemetry import configure_logging
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving

SECRET = "a secret that is shared with the issuer"
HEALTH = {"/healthz", "/health", "/readyz", "/ready"}
# Without data of anybody's.
DOCUMENTATION = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc", "/static-offline-docs"}
OPEN = HEALTH | DOCUMENTATION | {"/.well-known/oauth-protected-resource/mcp"}

# What each route needs. A new route belongs here, or the first test fails.
NEEDED: dict[str, Scope] = {
    "GET /v1/customers": "read",
    "POST /v1/customers": "write",
    "POST /v1/customers/import": "write",
    "GET /v1/customers/{customer_id}": "read",
    "DELETE /v1/customers/{customer_id}": "write",
    "GET /v1/segments": "read",
    "GET /v1/segments/{segment}": "read",
    "GET /v1/documents": "read",
    "POST /v1/documents": "write",
    "POST /v1/documents/import": "write",
    "GET /v1/documents/search": "read",
    "GET /v1/documents/{document_id}": "read",
    "DELETE /v1/documents/{document_id}": "write",
    "POST /v1/analyses": "spend",
    "GET /v1/analyses/{id}/events": "read",
    "POST /v1/search": "spend",
    "GET /v1/providers": "read",
    "PUT /v1/providers/{name}": "admin",
    "GET /v1/requests": "read",
    "GET /v1/requests/totals": "read",
    "GET /v1/requests/{request_id}": "read",
    "GET /v1/cache": "read",
    "POST /v1/cache/invalidate": "admin",
    "GET /v1/quotas": "read",
    "PUT /v1/quotas/{quota}": "admin",
    "GET /v1/quotas/{quota}": "read",
    "DELETE /v1/quotas/{quota}": "admin",
    "POST /v1/quotas/{quota}/reset": "admin",
    "GET /v1/quota-reports": "read",
    "GET /v1/sessions": "read",
    "POST /v1/sessions": "write",
    "GET /v1/sessions/{session_id}": "read",
    "PATCH /v1/sessions/{session_id}": "write",
    "DELETE /v1/sessions/{session_id}": "write",
    "GET /v1/sessions/{session_id}/history": "read",
    "POST /v1/sessions/{session_id}/messages": "write",
    "GET /metrics": "admin",
}


@pytest.fixture(scope="module")
def guarded(server: Store) -> Settings:
    return server.settings(
        authentication="required",
        tenant="operator",
        http_port=free_port(),
        jwt_secret=SECRET,
        jwt_issuer="https://issuer.example",
        jwt_audience="lycosa",
    )


@pytest_asyncio.fixture(scope="module")
async def rest(guarded: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(guarded) as client:
        yield client


@pytest.fixture
def keys(procedures: Procedures) -> AccessService:
    return AccessService(procedures)


def showing(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


async def key_of(keys: AccessService, tenant: str, *scopes: Scope) -> NewKey:
    return await keys.create(Identity(tenant), "test", scopes or SCOPES)


def routes(settings: Settings) -> list[tuple[str, str]]:
    """Method and template of every route that is not open to all."""
    return [
        (method, route.path)
        for route in create_app(settings).routes
        if isinstance(route, APIRoute) and route.path not in OPEN
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


def filled(template: str, **ids: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "nothing"), template)


def test_every_route_says_which_scope_it_needs(guarded: Settings) -> None:
    declared = {}
    for route in create_app(guarded).routes:
        path = getattr(route, "path", None)
        if path in OPEN or path == "/mcp":
            continue
        assert isinstance(route, APIRoute), route
        for method in (route.methods or set()) - {"HEAD"}:
            declared[f"{method} {path}"] = scope_of(route.endpoint)
    assert declared == NEEDED
    described = create_app(guarded).openapi()
    assert described["components"]["securitySchemes"]["credential"]["scheme"] == "bearer"
    for name, scope in NEEDED.items():
        method, path = name.split()
        operation = described["paths"][path][method.lower()]
        assert operation["security"] == [{"credential": [scope]}], name
        assert {"401", "403"} <= set(operation["responses"]), name


async def test_a_route_that_says_nothing_is_none() -> None:
    from lycosa.rest.bodies import JsonRoute

    async def forgotten() -> None: ...

    with pytest.raises(TypeError, match="forgotten does not say which scope"):
        JsonRoute("/forgotten", forgotten)


async def test_without_a_credential_nothing_but_health_is_answered(
    rest: httpx.AsyncClient, guarded: Settings
) -> None:
    for method, path in [*routes(guarded), ("POST", "/mcp"), ("GET", "/mcp")]:
        answer = await rest.request(method, filled(path))
        assert answer.status_code == 401, (method, path)
        # What stands behind it at /mcp is tested there.
        told = answer.headers["www-authenticate"].partition(", resource_metadata=")[0]
        assert told == 'Bearer realm="lycosa"'
        problem = answer.json()
        assert (problem["code"], problem["kind"], problem["status"]) == ("UNAUTHENTICATED", "denied", 401)
    for path in HEALTH:
        assert (await rest.get(path)).status_code == 200, path


async def test_each_scope_opens_its_own_routes_and_no_other(
    rest: httpx.AsyncClient, keys: AccessService
) -> None:
    credentials: dict[Scope, str] = {
        scope: (await key_of(keys, "operator", scope)).credential for scope in SCOPES
    }
    for name, needed in NEEDED.items():
        method, path = name.split()
        for scope, credential in credentials.items():
            answer = await rest.request(method, filled(path), headers=showing(credential))
            if scope == needed:
                assert answer.status_code not in (401, 403), (name, scope, answer.text)
                continue
            assert answer.status_code == 403, (name, scope, answer.text)
            assert answer.json()["code"] == "SCOPE_MISSING"
            assert answer.json()["details"] == {"scope": needed}
            assert f'scope="{needed}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Basic {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer {key} {key}",
        "Bearer a.b.c",
        "Bearer \xff",
    ],
)
async def test_what_is_no_credential(rest: httpx.AsyncClient, keys: AccessService, header: str) -> None:
    made = await key_of(keys, "operator")
    sent = header.format(key=made.credential).encode("latin-1")
    for path in ("/v1/customers", "/mcp", "/metrics"):
        answer = await rest.get(path, headers=[(b"authorization", sent)])
        assert answer.status_code == 401, answer.text
        told = answer.headers["www-authenticate"].partition(", resource_metadata=")[0]
        assert told == 'Bearer realm="lycosa", error="invalid_token"'
        assert made.credential not in answer.text


async def test_two_credentials_are_none(rest: httpx.AsyncClient, keys: AccessService) -> None:
    made = await key_of(keys, "operator")
    header = ("authorization", f"Bearer {made.credential}")
    for path in ("/v1/customers", "/mcp"):
        assert (await rest.get(path, headers=[header, header])).status_code == 401


async def test_a_credential_is_looked_at_before_the_body(
    rest: httpx.AsyncClient, keys: AccessService
) -> None:
    reader = await key_of(keys, "operator", "read")
    for headers, status in (({}, 401), (showing(reader.credential), 403)):
        answer = await rest.post("/v1/customers", content=b"x" * 5_000_000, headers=headers)
        assert answer.status_code == status


async def test_a_token_of_the_issuer_is_as_good_as_a_key(rest: httpx.AsyncClient, tenant: str) -> None:
    claims: dict[str, Any] = {
        "iss": "https://issuer.example",
        "aud": "lycosa",
        "sub": "anna",
        "exp": int(time.time()) + 60,
        "tenant": tenant,
        "scope": "read write",
    }
    token = jwt.encode(claims, SECRET, "HS256")
    row = {"external_id": "T-1", "name": "Ромашка"}
    answer = await rest.post("/v1/customers", json={"rows": [row]}, headers=showing(token))
    assert answer.status_code == 200, answer.text
    answer = await rest.get("/v1/customers", params={"external_id": "T-1"}, headers=showing(token))
    assert [row["name"] for row in answer.json()["rows"]] == ["Ромашка"]
    answer = await rest.post("/v1/search", json={"question": "?"}, headers=showing(token))
    assert (answer.status_code, answer.json()["code"]) == (403, "SCOPE_MISSING")
    for wrong in ({"aud": "other"}, {"exp": 1}, {"iss": "other"}):
        answer = await rest.get("/v1/customers", headers=showing(jwt.encode(claims | wrong, SECRET, "HS256")))
        assert answer.status_code == 401


async def test_the_log_says_who_asked_and_never_with_what(
    rest: httpx.AsyncClient, keys: AccessService, tenant: str
) -> None:
    made = await key_of(keys, tenant, "read")
    written = io.StringIO()
    configure_logging("info", stream=written)
    try:
        await rest.get("/v1/customers", headers=showing(made.credential))
        await rest.post("/v1/search", headers=showing(made.credential))
        await rest.get("/v1/customers", headers=showing(made.credential + "x"))
    finally:
        configure_logging("warning")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    told = [
        (line["status"], line.get("tenant"), line.get("key_id"))
        for line in lines
        if line["event"] == "request"
    ]
    assert told == [(200, tenant, made.key.id), (403, tenant, made.key.id), (401, None, None)]
    assert made.credential.rsplit("_", 1)[1] not in written.getvalue()


async def test_figures_are_the_operators(rest: httpx.AsyncClient, keys: AccessService, tenant: str) -> None:
    other, own = await key_of(keys, tenant), await key_of(keys, "operator", "admin")
    answer = await rest.get("/metrics", headers=showing(other.credential))
    assert (answer.status_code, answer.json()["code"]) == (403, "OPERATOR_ONLY")
    answer = await rest.get("/metrics", headers=showing(own.credential))
    assert "lycosa_store_up 1.0" in answer.text


async def test_a_page_of_somebody_else_asks_in_vain(rest: httpx.AsyncClient, keys: AccessService) -> None:
    headers = showing((await key_of(keys, "operator")).credential)
    for path in ("/v1/customers", "/healthz", "/mcp"):
        answer = await rest.get(path, headers=headers | {"host": "evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (421, "HOST_REFUSED")
        answer = await rest.get(path, headers=headers | {"origin": "https://evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (403, "ORIGIN_REFUSED")
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    own = str(rest.base_url).rstrip("/")
    assert (await rest.get("/v1/customers", headers=headers | {"origin": own})).status_code == 200
