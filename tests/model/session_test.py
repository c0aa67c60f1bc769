"""Chat histories against lists: appends, repeats, ends and deletions in any order, read through every window (E1)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from lycosa.errors import NotFound
from lycosa.procedures import SessionBatch
from tests.conftest import Store
from tests.model.store_driver import Driver

IDLE = 100.0

sessions = st.sampled_from(["a", "ab", "b"])
# Few ids, so that they repeat; the content follows the id but for the odd liar.
messages = st.builds(
    lambda number, tokens, lies: {
        "id": f"m{number}",
        "role": "user",
        "content": f"текст {number}{' not' if lies else ''}",
        "tokens": tokens,
    },
    st.integers(0, 30),
    st.integers(0, 5),
    st.sampled_from([False] * 9 + [True]),
)
batches = st.lists(st.tuples(sessions, st.lists(messages, min_size=1, max_size=8)), min_size=1, max_size=4)
steps = st.one_of(
    batches.map(lambda given: ("append", given)),
    sessions.map(lambda session: ("delete", session)),
    st.sampled_from([1.0, 60.0, IDLE]).map(lambda seconds: ("pass", seconds)),
    st.just(("sweep", None)),
)
windows = st.fixed_dictionaries(
    {"limit": st.integers(1, 12)},
    optional={"tokens": st.integers(0, 20), "place": st.tuples(st.booleans(), st.integers(0, 20))},
)


@dataclass
class Model:
    """What is there: messages by session, and when each was last active."""

    now: float = 0.0
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    active: dict[str, float] = field(default_factory=dict)

    def end_idle(self) -> None:
        for session in [name for name, at in self.active.items() if self.now >= at + IDLE]:
            del self.rows[session], self.active[session]

    def append(self, session: str, batch: list[dict[str, Any]]) -> tuple[int, int, bool]:
        """Last number, messages appended, whether it was refused."""
        stored = self.rows.get(session, [])
        known = {row["id"]: row["content"] for row in stored}
        fresh: list[dict[str, Any]] = []
        for message in batch:
            if known.setdefault(message["id"], message["content"]) != message["content"]:
                return len(stored), 0, True
            if all(row["id"] != message["id"] for row in [*stored, *fresh]):
                fresh.append(message)
        self.rows[session] = [*stored, *fresh]
        if fresh or session not in self.active:
            self.active[session] = self.now
        return len(self.rows[session]), len(fresh), False

    def window(self, session: str, asked: dict[str, Any]) -> tuple[list[str], bool]:
        forwards, place = asked.get("place", (False, len(self.rows[session]) + 1))
        numbered = list(enumerate(self.rows[session], 1))
        beyond = [one for one in numbered if one[0] > place] if forwards else [
            one for one in reversed(numbered) if one[0] < place
        ]  # fmt: skip
        left, found = asked.get("tokens", 10**9), []
        for _, row in beyond[: asked["limit"]]:
            left -= row["tokens"]
            if left < 0:
                break
            found.append(row["id"])
        return (found if forwards else found[::-1]), len(found) < len(beyond)


@pytest.fixture(scope="module")
def driver(server: Store) -> Iterator[Driver]:
    opened = Driver(server)
    opened.run(opened.clock.freeze())
    yield opened
    opened.run(opened.clock.release())
    opened.close()


def check(driver: Driver, tenant: str, model: Model, asked: list[dict[str, Any]]) -> None:
    """Every session through every window, and the sessions that are none."""
    for session in ("a", "ab", "b"):
        if session not in model.rows:
            with pytest.raises(NotFound):
                driver.run(driver.procedures.session_get(tenant=tenant, id=session))
            continue
        for window in asked:
            forwards, place = window.get("place", (False, None))
            found = driver.run(
                driver.procedures.session_history(
                    tenant=tenant,
                    id=session,
                    limit=window["limit"],
                    tokens=window.get("tokens"),
                    after=place if forwards else None,
                    before=None if forwards else place,
                )
            )
            assert ([row.id for row in found.messages], found.more) == model.window(session, window)
            assert found.session.messages == len(model.rows[session])
            assert found.session.tokens == sum(row["tokens"] for row in model.rows[session])


@profile(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(steps, min_size=1, max_size=12), asked=st.lists(windows, min_size=1, max_size=3))
def test_histories_are_lists(
    driver: Driver, history: list[tuple[str, Any]], asked: list[dict[str, Any]]
) -> None:
    tenant, model, procedures = f"t-{token_hex(6)}", Model(), driver.procedures
    for action, value in history:
        model.end_idle()
        if action == "append":
            for session, _ in value:
                # Whoever begins says for how long it may be idle.
                if session not in model.active:
                    driver.run(procedures.session_create(tenant=tenant, id=session, idle=IDLE))
                    model.rows[session], model.active[session] = [], model.now
            sent = [SessionBatch(session=session, messages=batch) for session, batch in value]
            outcomes = driver.run(procedures.session_append(tenant=tenant, batches=sent))
            expected = [model.append(session, batch) for session, batch in value]
            assert [(one.last, one.appended, one.code is not None) for one in outcomes] == expected
        elif action == "delete":
            deleted = driver.run(procedures.session_delete(tenant=tenant, id=value)).deleted
            assert deleted == (model.rows.pop(value, None) is not None)
            model.active.pop(value, None)
        elif action == "pass":
            driver.run(driver.clock.advance(value))
            model.now += value
            model.end_idle()
        else:
            driver.run(driver.clock.drain("session.expire"))
        check(driver, tenant, model, asked)
