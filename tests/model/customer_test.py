"""Customers against a model: outcomes, stored rows, pages in both directions and figures, whatever came before."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lycosa.client import Client
from lycosa.procedures import Customer, CustomerPage, Procedures, connect
from lycosa.settings import Settings
from tests.conftest import Clock

NOW = 1_700_000_000

IDS = ["c0", "c1", "c2", "c3", "клиент"]
# Some external ids are ids of other customers, too.
EXTERNAL_IDS = ["e0", "e1", "c1", "c3"]
NAMES = ["Иванов", "ИВАНОВА  Анна", "Ёлка", "елена", "Ivan", "IVANA", "100% шёлк"]
SEGMENTS = ["", "vip", "новые"]
TAGS = ["a", "b", "ж"]
DEFAULTS: dict[str, Any] = {
    "external_id": None,
    "email": None,
    "segment": "",
    "tags": [],
    "country": None,
    "revenue_cents": 0,
    "orders": 0,
    "profile": {},
}

fields: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(IDS),
    "external_id": st.sampled_from([*EXTERNAL_IDS, None]),
    "name": st.sampled_from(NAMES),
    "email": st.sampled_from(["A@x.ru", "b@x.ru", None]),
    "segment": st.sampled_from([*SEGMENTS, None]),
    "tags": st.none() | st.lists(st.sampled_from(TAGS), max_size=4),
    "country": st.sampled_from(["RU", "DE", None]),
    "revenue_cents": st.none() | st.integers(0, 9_000_000_000_000),
    "orders": st.none() | st.integers(0, 5),
    "since": st.sampled_from([NOW - 100, NOW - 50.5, NOW]),
    "profile": st.none() | st.dictionaries(st.sampled_from(["k", "л"]), st.sampled_from([1, 2.5, "x", True])),
    "version": st.integers(0, 3),
}
good_rows = st.fixed_dictionaries({}, optional=fields)
keyed_rows = st.fixed_dictionaries(
    {"id": fields["id"], "name": fields["name"]},
    optional={name: values for name, values in fields.items() if name not in ("id", "name", "version")},
)
faults = st.sampled_from(
    [
        ("name", ""),
        ("name", None),
        ("name", "a\nb"),
        ("email", "nobody"),
        ("revenue_cents", -1),
        ("revenue_cents", float("nan")),
        ("orders", 1.5),
        ("since", float("inf")),
        ("tags", "a"),
        ("colour", "red"),
    ]
)
bad_rows = st.builds(lambda row, fault: row | dict([fault]), good_rows, faults)
batches = st.lists(keyed_rows | good_rows | bad_rows, max_size=6)
queries = st.one_of(
    st.just({"by": "all"}),
    st.sampled_from(["A@X.ru", "b@x.ru"]).map(lambda value: {"by": "email", "value": value}),
    st.sampled_from(TAGS).map(lambda value: {"by": "tag", "value": value}),
    st.sampled_from(["", "иван", "Ё", "IVAN", "100%", "елена "]).map(lambda v: {"by": "name", "value": v}),
    st.fixed_dictionaries(
        {"by": st.just("segment"), "value": st.sampled_from(SEGMENTS)},
        optional={"from_": st.just(NOW - 60), "until": st.just(NOW)},
    ),
)


def fold(text: str) -> str:
    """How names are ordered and found."""
    return text.lower().replace("ё", "е")


def name_key(name: str) -> str:
    return " ".join(fold(name).split())


def is_bad(name: str, value: object) -> bool:
    """Whether a drawn value is one of the faults."""
    if name == "colour":
        return True
    if name == "name":
        return value in ("", None, "a\nb")
    if isinstance(value, float):
        return name != "since" or value == float("inf")
    return (name, value) in [("email", "nobody"), ("revenue_cents", -1), ("tags", "a")]


@dataclass
class Model:
    """The customers of one tenant."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def by_external_id(self, external_id: str | None) -> str | None:
        found = [id for id, row in self.rows.items() if external_id and row["external_id"] == external_id]
        return found[0] if found else None

    def upsert(self, batch: list[dict[str, Any]]) -> list[tuple[str, str | None, int | None, str | None]]:
        ids: set[str] = set()
        external_ids: set[str] = set()
        return [self._settle(row, ids, external_ids) for row in batch]

    def _settle(
        self, row: dict[str, Any], ids: set[str], external_ids: set[str]
    ) -> tuple[str, str | None, int | None, str | None]:
        given_id, external_id = row.get("id"), row.get("external_id")
        for name, value in row.items():
            if is_bad(name, value):
                return "invalid", given_id, None, name
        if given_id is None and external_id is None:
            return "invalid", None, None, "id"
        id = given_id or self.by_external_id(external_id) or external_id
        assert id is not None
        if id in ids:
            return "invalid", id, None, "id" if given_id else "external_id"
        ids.add(id)
        if external_id is not None:
            if external_id in external_ids:
                return "invalid", id, None, "external_id"
            external_ids.add(external_id)
            owner = self.by_external_id(external_id)
            if owner not in (None, id) or (given_id is None and owner is None and id in self.rows):
                return "invalid", id, None, "external_id"
        stored = self.rows.get(id)
        present = stored["version"] if stored else 0
        if row.get("version", present) != present:
            return "conflict", id, present, "version"
        return self._write(id, stored, row)

    def _write(
        self, id: str, stored: dict[str, Any] | None, row: dict[str, Any]
    ) -> tuple[str, str | None, int | None, str | None]:
        patch = {name: value for name, value in row.items() if name not in ("id", "version")}
        for name, value in patch.items():
            if value is None:
                patch[name] = DEFAULTS[name]
            elif name == "tags":
                patch[name] = sorted(set(value))
            elif name == "email":
                patch[name] = value.lower()
        if stored is None:
            if "name" not in patch:
                return "invalid", id, None, "name"
            self.rows[id] = DEFAULTS | {"since": NOW} | patch | {"version": 1}
            return "inserted", id, 1, None
        if all(stored[name] == value for name, value in patch.items()):
            return "unchanged", id, stored["version"], None
        self.rows[id] = stored | patch | {"version": stored["version"] + 1}
        return "updated", id, stored["version"] + 1, None

    def find(self, query: dict[str, Any], descending: bool) -> list[str]:
        """Ids in the order of the query."""
        value, by = query.get("value", ""), query["by"]
        prefix = fold(value)

        def matches(row: dict[str, Any]) -> bool:
            since = query.get("from_", 0) <= row["since"] < query.get("until", float("inf"))
            matching: dict[str, bool] = {
                "all": True,
                "email": row["email"] == value.lower(),
                "tag": value in row["tags"],
                "name": name_key(row["name"]).startswith(prefix),
                "segment": row["segment"] == value and since,
            }
            return matching[by]

        def order(id: str) -> tuple[Any, bytes]:
            row = self.rows[id]
            first = {"segment": row["since"], "name": name_key(row["name"]).encode()}.get(by, 0)
            return first, id.encode()

        return sorted((id for id, row in self.rows.items() if matches(row)), key=order, reverse=descending)


class Store:
    """The procedures, called from plain functions."""

    def __init__(self, runner: asyncio.Runner, client: Client) -> None:
        self.run = runner.run
        self.procedures = Procedures(client)


class Customers(RuleBasedStateMachine):
    """Random writes; after each, everything that can be read is compared."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.run, self.procedures = self.store.run, self.store.procedures
        self.tenant, self.model = f"t-{token_hex(6)}", Model()

    @rule(batch=batches)
    def upsert(self, batch: list[dict[str, Any]]) -> None:
        outcomes = self.run(self.procedures.customer_upsert(tenant=self.tenant, rows=batch))
        assert [tuple(outcome)[:4] for outcome in outcomes] == self.model.upsert(batch)

    @rule(ids=st.lists(st.sampled_from(IDS), max_size=3))
    def delete(self, ids: list[str]) -> None:
        answer = self.run(self.procedures.customer_delete(tenant=self.tenant, ids=ids))
        assert answer.deleted == sum(self.model.rows.pop(id, None) is not None for id in ids)

    @rule(query=queries, descending=st.booleans(), limit=st.integers(1, 4))
    def find(self, query: dict[str, Any], descending: bool, limit: int) -> None:
        expected = self.model.find(query, descending)
        given = query | {"order": "desc" if descending else "asc", "limit": limit}
        pages = [self._page(given)]
        while pages[-1].next:
            pages.append(self._page(given | {"cursor": pages[-1].next}))
        assert [row.id for page in pages for row in page.rows] == expected
        back = [pages[-1]]
        while back[-1].previous:
            back.append(self._page(given | {"cursor": back[-1].previous}))
        assert [row.id for page in reversed(back) for row in page.rows] == expected
        assert len(back) == len(pages)

    def _page(self, query: dict[str, Any]) -> CustomerPage:
        return self.run(self.procedures.customer_find(tenant=self.tenant, **query))

    @invariant()
    def rows_are_the_model(self) -> None:
        page = self._page({"by": "all", "limit": 1000})
        assert {row.id: self._of(row) for row in page.rows} == self.model.rows

    @staticmethod
    def _of(row: Customer) -> dict[str, Any]:
        assert row.name_key == name_key(row.name)
        return {name: getattr(row, name) for name in [*DEFAULTS, "name", "since", "version"]}

    @invariant()
    def figures_are_a_recount(self) -> None:
        figures = self.run(self.procedures.customer_segments(tenant=self.tenant, limit=1000)).rows
        recount: dict[str, tuple[int, int, int]] = {}
        for row in self.model.rows.values():
            customers, revenue, orders = recount.get(row["segment"], (0, 0, 0))
            recount[row["segment"]] = (customers + 1, revenue + row["revenue_cents"], orders + row["orders"])
        assert {row.segment: (row.customers, row.revenue_cents, row.orders) for row in figures} == recount
        assert self.run(self.procedures.customer_count(tenant=self.tenant)) == len(self.model.rows)


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[Store]:
    with asyncio.Runner() as runner:
        opened = connect(settings)
        client = runner.run(opened.__aenter__())
        clock = Clock(client)
        runner.run(clock.freeze(NOW))
        yield Store(runner, client)
        runner.run(clock.release())
        runner.run(opened.__aexit__(None, None, None))


def test_customers_equal_the_model(store: Store) -> None:
    Customers.store = store
    run_state_machine_as_test(Customers)
