"""Imports when batches are sent again or overtake each other: what a file says last, and of whom, is what is stored."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from lycosa.client import Client
from lycosa.errors import Unavailable
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.services.imports import MAX_CUSTOMERS, MAX_DOCUMENTS, ImportService, RowOutcome


class Interrupted(Procedures):
    """The store, whose first write is refused as by one that just restarts."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._refusals = 1

    def _refuse_once(self) -> None:
        if self._refusals:
            self._refusals -= 1
            raise Unavailable("the store restarts", code="NOT_CONNECTED")

    async def customer_upsert(self, **given: Any) -> Any:
        self._refuse_once()
        return await super().customer_upsert(**given)

    async def document_put(self, **given: Any) -> Any:
        self._refuse_once()
        return await super().document_put(**given)


async def ndjson(rows: Sequence[dict[str, Any]]) -> AsyncIterator[bytes]:
    for row in rows:
        yield json.dumps(row).encode() + b"\n"


def note(identifier: str, **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "text": "Wants to renew in May."} | fields


async def put_documents(
    procedures: Procedures, identity: Identity, rows: Sequence[dict[str, Any]]
) -> list[RowOutcome]:
    given = ImportService(procedures).documents(identity, ndjson(rows))
    return [outcome async for step in given if isinstance(step, list) for outcome in step]


async def test_a_refused_document_stays_refused_when_its_batch_is_sent_again(
    client: Client, procedures: Procedures, identity: Identity
) -> None:
    await procedures.customer_upsert(
        tenant=identity.tenant, rows=[{"id": "c-1", "external_id": "S-1", "name": "Ромашка"}]
    )
    outcomes = await put_documents(
        Interrupted(client), identity, [note("ours", external_id="S-1"), note("whose", external_id="S-2")]
    )
    assert [(each.id, each.outcome, each.field) for each in outcomes] == [
        ("ours", "inserted", None),
        ("whose", "invalid", "external_id"),
    ]
    stored = (await procedures.document_list(tenant=identity.tenant)).rows
    assert [(row.id, row.customer_id) for row in stored] == [("ours", "c-1")]


async def test_an_external_id_counts_beside_a_null_customer_id(
    procedures: Procedures, identity: Identity
) -> None:
    await procedures.customer_upsert(
        tenant=identity.tenant, rows=[{"id": "c-1", "external_id": "S-1", "name": "Ромашка"}]
    )
    await put_documents(procedures, identity, [note("n-1", customer_id=None, external_id="S-1")])
    stored = await procedures.document_get(tenant=identity.tenant, id="n-1")
    assert stored.document.customer_id == "c-1"


async def test_the_last_document_of_an_id_is_stored_though_its_batch_has_less_to_look_up(
    procedures: Procedures, identity: Identity
) -> None:
    await procedures.customer_upsert(
        tenant=identity.tenant,
        rows=[{"id": f"c-{n}", "external_id": f"S-{n}", "name": "x"} for n in range(MAX_DOCUMENTS)],
    )
    rows = [note(f"n-{n}", external_id=f"S-{n}") for n in range(MAX_DOCUMENTS)]
    outcomes = await put_documents(procedures, identity, [*rows, note("n-7", title="later")])
    assert [each.outcome for each in outcomes] == ["inserted"] * MAX_DOCUMENTS + ["replaced"]
    assert (await procedures.document_get(tenant=identity.tenant, id="n-7")).document.title == "later"


async def test_the_last_row_of_a_customer_is_stored_though_the_batch_before_is_sent_again(
    client: Client, procedures: Procedures, identity: Identity
) -> None:
    rows = [{"external_id": f"S-{n}", "name": "earlier"} for n in range(MAX_CUSTOMERS)]
    importing = ImportService(Interrupted(client)).customers(
        identity, ndjson([*rows, {"external_id": "S-7", "name": "later"}]), "ndjson"
    )
    steps = [step async for step in importing]
    assert len(steps) == 3
    assert (await procedures.customer_get(tenant=identity.tenant, id="S-7")).name == "later"
