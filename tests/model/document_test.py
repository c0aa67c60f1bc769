"""Documents against a model: whatever was put, replaced and deleted, a search answers as brute force would."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from lycosa.client import Client
from lycosa.procedures import DocumentSearch, Procedures, connect
from lycosa.settings import Settings
from tests.conftest import Clock

K1, B = 1.2, 0.75

# Words with digits stand for themselves: the model needs no stemmer.
WORDS = [f"w{number}" for number in range(12)]
IDS = [f"d{number}" for number in range(8)]
CUSTOMERS = ["c1", "c2"]

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=30)
documents = st.fixed_dictionaries(
    {"id": st.sampled_from(IDS), "text": words.map(" ".join)},
    optional={
        "title": st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
        "customer_id": st.sampled_from(CUSTOMERS),
        "kind": st.sampled_from(["report"]),
    },
)
steps = st.one_of(
    st.lists(documents, min_size=1, max_size=6, unique_by=lambda row: row["id"]).map(
        lambda rows: ("put", rows)
    ),
    st.lists(st.sampled_from(IDS), max_size=4).map(lambda ids: ("delete", ids)),
    st.just(("settle", None)),
)
queries = st.fixed_dictionaries(
    {"query": st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=1, max_size=4).map(" ".join)},
    optional={
        "limit": st.integers(1, 10),
        "customer_id": st.sampled_from(CUSTOMERS),
        "include_general": st.booleans(),
        "kind": st.sampled_from(["note", "report"]),
    },
)


@dataclass
class Model:
    """What is stored, in the order of storing."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, row: dict[str, Any]) -> str:
        stored = self.rows.get(row["id"])
        if stored == row:
            return "unchanged"
        self.rows.pop(row["id"], None)
        self.rows[row["id"]] = row
        return "inserted" if stored is None else "replaced"

    def delete(self, ids: list[str]) -> int:
        return sum(self.rows.pop(id, None) is not None for id in ids)

    def wanted(self, query: dict[str, Any]) -> set[str]:
        """Ids that a query's filters let through."""
        customer, kind = query.get("customer_id"), query.get("kind")
        customers = {customer, None} if query.get("include_general") else {customer}
        return {
            id
            for id, row in self.rows.items()
            if (customer is None or row.get("customer_id") in customers)
            and (kind is None or row.get("kind", "note") == kind)
        }

    def rank(self, query: dict[str, Any]) -> list[tuple[str, float]]:
        """Every document's score by the formula of the manual, best first, equal ones in the order of storing."""
        texts = {id: f"{row.get('title', '')} {row['text']}".split() for id, row in self.rows.items()}
        terms = list(dict.fromkeys(query["query"].split()))
        mean = sum(map(len, texts.values())) / max(1, len(texts))
        scores = dict.fromkeys(texts, 0.0)
        for term in terms:
            holding = sum(term in text for text in texts.values())
            idf = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            for id, text in texts.items():
                if frequency := text.count(term):
                    share = idf * (K1 + 1) * frequency / (frequency + K1 * (1 - B + B * len(text) / mean))
                    scores[id] += round(share * 2**20) / 2**20
        wanted = self.wanted(query)
        ranked = [(id, score) for id, score in scores.items() if score > 0 and id in wanted]
        return sorted(ranked, key=lambda hit: -hit[1])[: query.get("limit", 10)]


class Store:
    """The procedures, called from plain functions."""

    def __init__(self, runner: asyncio.Runner, client: Client) -> None:
        self.runner = runner
        self.procedures = Procedures(client)
        self.clock = Clock(client)
        self.tenant = ""

    def put(self, rows: list[dict[str, Any]]) -> list[str]:
        call = self.procedures.document_put(tenant=self.tenant, documents=rows)
        return [outcome.outcome for outcome in self.runner.run(call)]

    def delete(self, ids: list[str]) -> int:
        return self.runner.run(self.procedures.document_delete(tenant=self.tenant, ids=ids)).deleted

    def search(self, query: dict[str, Any]) -> DocumentSearch:
        return self.runner.run(self.procedures.document_search(tenant=self.tenant, **query))

    def settle(self) -> None:
        """Let the background finish what it has to do."""
        for step in ("document.index", "document.remove"):
            self.runner.run(self.clock.drain(step))


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[Store]:
    with asyncio.Runner() as runner:
        opened = connect(settings)
        client = runner.run(opened.__aenter__())
        yield Store(runner, client)
        runner.run(opened.__aexit__(None, None, None))


@profile(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(steps, min_size=1, max_size=10), asked=st.lists(queries, min_size=1, max_size=6))
def test_search_equals_brute_force(
    store: Store, history: list[tuple[str, Any]], asked: list[dict[str, Any]]
) -> None:
    store.tenant, model = f"t-{token_hex(6)}", Model()
    for action, value in history:
        if action == "put":
            assert store.put(value) == [model.put(row) for row in value]
        elif action == "delete":
            assert store.delete(value) == model.delete(value)
        else:
            store.settle()
        # Whatever the background has not done yet: what is gone is never found, and no filter is passed by.
        for query in asked:
            assert {hit.id for hit in store.search(query).hits} <= model.wanted(query)
    store.settle()
    for query in asked:
        answer = store.search(query)
        ranked = model.rank(query)
        assert [hit.id for hit in answer.hits] == [id for id, _ in ranked]
        assert [hit.score for hit in answer.hits] == pytest.approx([score for _, score in ranked], abs=1e-9)
        assert (answer.bounded, answer.waiting, answer.waiting_seconds) == (False, 0, 0)
