"""Many callers, one call: who shares it, who has an error, who leaves early."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lycosa.coalescing import Coalescer
from lycosa.errors import Exhausted, Internal, Invalid, TimedOut, Unavailable
from lycosa.sending import Send, Then, sending

Call = tuple[str, dict[str, Any], float | None]


class Store:
    """Answers each key with its upper case, and can be told to wait or to refuse."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.gate: asyncio.Event | None = None
        self.refuse: Callable[[str], Exception | None] = lambda key: None

    async def call(self, name: str, args: dict[str, Any], timeout: float | None, *, idempotent: bool) -> Any:
        assert idempotent
        self.calls.append((name, args, timeout))
        if self.gate is not None:
            await self.gate.wait()
        keys = args["keys"] if name == "get_many" else [args["key"]]
        for key in keys:
            problem = self.refuse(key)
            if problem is not None:
                raise problem
        answers = [None if key == "none" else key.upper() for key in keys]
        return answers if name == "get_many" else answers[0]


@pytest.fixture
def store() -> Store:
    return Store()


def getting(send: Send, *, limit: int, reads: bool = True) -> Coalescer:
    return Coalescer(
        send,
        one="get",
        many="get_many",
        shared=("tenant", "stale"),
        element="key",
        elements="keys",
        limit=limit,
        reads=reads,
    )


@pytest.fixture
def coalescer(store: Store) -> Coalescer:
    return getting(sending(store.call), limit=100)


async def ask(
    coalescer: Coalescer,
    key: str,
    tenant: str = "acme",
    stale: bool | None = None,
    timeout: float | None = None,
) -> Any:
    return await coalescer.ask((tenant, stale), key, timeout)


async def test_gets_of_one_tick_are_one_call(store: Store, coalescer: Coalescer) -> None:
    answers = await asyncio.gather(*(ask(coalescer, key) for key in ("a", "b", "none", "c")))
    assert answers == ["A", "B", None, "C"]
    assert store.calls == [("get_many", {"tenant": "acme", "keys": ["a", "b", "none", "c"]}, None)]
    assert not coalescer._open


async def test_a_key_alone_is_asked_by_the_procedure_itself(store: Store, coalescer: Coalescer) -> None:
    assert await ask(coalescer, "a", stale=True) == "A"
    assert store.calls == [("get", {"tenant": "acme", "stale": True, "key": "a"}, None)]


async def test_the_same_key_is_sent_once(store: Store, coalescer: Coalescer) -> None:
    answers = await asyncio.gather(*(ask(coalescer, key) for key in ("a", "b", "a", "a")))
    assert answers == ["A", "B", "A", "A"]
    assert [args["keys"] for _, args, _ in store.calls] == [["a", "b"]]


async def test_tenants_and_flags_are_never_mixed(store: Store, coalescer: Coalescer) -> None:
    await asyncio.gather(
        *(ask(coalescer, key, tenant) for key in "ab" for tenant in ("one", "two")),
        *(ask(coalescer, key, "one", stale=True) for key in "cd"),
    )
    assert [(args["tenant"], args.get("stale"), args["keys"]) for _, args, _ in store.calls] == [
        ("one", None, ["a", "b"]),
        ("two", None, ["a", "b"]),
        ("one", True, ["c", "d"]),
    ]


async def test_a_call_holds_at_most_the_limit_of_keys(store: Store, coalescer: Coalescer) -> None:
    answers = await asyncio.gather(*(ask(coalescer, f"k{number}") for number in range(250)))
    assert answers == [f"K{number}" for number in range(250)]
    assert [len(args["keys"]) for _, args, _ in store.calls] == [100, 100, 50]


async def test_the_next_tick_is_another_call(store: Store, coalescer: Coalescer) -> None:
    store.gate = asyncio.Event()
    first = [asyncio.create_task(ask(coalescer, key)) for key in "ab"]
    await asyncio.sleep(0.01)
    second = [asyncio.create_task(ask(coalescer, key)) for key in "ac"]
    await asyncio.sleep(0.01)
    store.gate.set()
    assert await asyncio.gather(*first, *second) == ["A", "B", "A", "C"]
    assert [args["keys"] for _, args, _ in store.calls] == [["a", "b"], ["a", "c"]]


async def test_who_is_cancelled_hurts_nobody(store: Store, coalescer: Coalescer) -> None:
    store.gate = asyncio.Event()
    tasks = [asyncio.create_task(ask(coalescer, key)) for key in ("a", "b", "a")]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    await asyncio.wait({tasks[0]})
    store.gate.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) != ["A", "B", "A"]
    assert tasks[0].cancelled()
    assert [task.result() for task in tasks[1:]] == ["B", "A"]


async def test_who_is_cancelled_before_it_was_sent_hurts_nobody(coalescer: Coalescer) -> None:
    futures = [coalescer.ask(("acme", None), key, None) for key in "ab"]
    futures[0].cancel()
    assert await futures[1] == "B"


async def test_who_runs_out_of_time_hurts_nobody(store: Store, coalescer: Coalescer) -> None:
    store.gate = asyncio.Event()
    hasty = [asyncio.create_task(ask(coalescer, "a", timeout=seconds)) for seconds in (0.02, 0.0, -1)]
    patient = asyncio.create_task(ask(coalescer, "b", timeout=5))
    usual = [asyncio.create_task(ask(coalescer, key)) for key in "cd"]
    for task in hasty:
        with pytest.raises(TimedOut) as raised:
            await asyncio.wait_for(task, 1)
        assert raised.value.details == {"procedure": "get"}
    store.gate.set()
    assert await asyncio.gather(patient, *usual) == ["B", "C", "D"]
    # The usual deadline is the client's; the others have that of the most patient.
    assert [timeout for _, _, timeout in store.calls] == [5, None]


async def test_who_asks_for_nonsense_hurts_nobody(store: Store, coalescer: Coalescer) -> None:
    store.refuse = lambda key: Invalid(f"{key} is bad", code="INVALID_ARGUMENT") if key == "bad" else None
    answers = await asyncio.gather(
        *(ask(coalescer, key) for key in ("a", "bad", "b", "bad")), return_exceptions=True
    )
    assert [answers[0], answers[2]] == ["A", "B"]
    assert all(isinstance(answers[place], Invalid) for place in (1, 3))
    assert answers[1] is not answers[3]
    assert [name for name, _, _ in store.calls] == ["get_many", "get", "get", "get"]


async def test_everybody_gets_an_error_of_its_own(store: Store, coalescer: Coalescer) -> None:
    store.refuse = lambda key: Unavailable("away", code="NOT_CONNECTED", details={"a": 1}, retry_after=2.0)
    problems = await asyncio.gather(*(ask(coalescer, key) for key in "abb"), return_exceptions=True)
    for problem in problems:
        assert isinstance(problem, Unavailable)
        assert (problem.code, problem.details, problem.retry_after) == ("NOT_CONNECTED", {"a": 1}, 2.0)
    assert len({id(problem) for problem in problems}) == 3
    assert not coalescer._open


@pytest.mark.parametrize(
    ("answer", "counted"), [(["A"], "1 answers to 2 callers"), (None, "no answers to 2 callers")]
)
async def test_an_answer_of_another_length_is_nobodys(
    coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch, answer: object, counted: str
) -> None:
    async def wrong(name: str, args: dict[str, Any], timeout: float | None, *, idempotent: bool) -> Any:
        return answer

    monkeypatch.setattr(coalescer, "_send", sending(wrong))
    answers = await asyncio.gather(*(ask(coalescer, key) for key in "ab"), return_exceptions=True)
    assert [str(one) for one in answers if isinstance(one, Internal)] == [f"get_many gave {counted}"] * 2


def test_a_loop_that_ends_leaves_nobody_waiting(store: Store, coalescer: Coalescer) -> None:
    async def main() -> list["asyncio.Future[Any]"]:
        store.gate = asyncio.Event()
        futures = [coalescer.ask(("acme", None), key, None) for key in "ab"]
        await asyncio.sleep(0.01)
        return futures

    assert all(future.cancelled() for future in asyncio.run(main()))


async def test_deadlines_leave_no_timer_behind(coalescer: Coalescer, monkeypatch: pytest.MonkeyPatch) -> None:
    handles = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def noting(*args: Any) -> asyncio.TimerHandle:
        handles.append(call_later(*args))
        return handles[-1]

    monkeypatch.setattr(loop, "call_later", noting)
    # Whoever has the deadline of the whole batch has no timer; those who came before a more patient one get theirs.
    asked = (("a", 300), ("b", 300), ("c", 600), ("d", 600), ("e", 200))
    answers = await asyncio.gather(*(ask(coalescer, key, timeout=seconds) for key, seconds in asked))
    assert answers == list("ABCDE")
    await asyncio.sleep(0)
    assert [handle.cancelled() for handle in handles] == [True] * 3


class Ledger:
    """Takes what is not 0, one by one or many at once, and refuses a list with "nonsense" as a whole."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, bool]] = []
        self.lost = False

    async def call(self, name: str, args: dict[str, Any], timeout: float | None, *, idempotent: bool) -> Any:
        claims = args["takes"] if name == "take_many" else [args["claims"]]
        self.calls.append((name, claims, idempotent))
        if self.lost:
            raise Unavailable("lost", code="CONNECTION_LOST")
        if "nonsense" in claims:
            raise Invalid("nonsense", code="INVALID_ARGUMENT")
        if name == "take":
            return ["left", claims[0]]
        return [[None, f"NONE_LEFT: {one}"] if one == 0 else [["left", one], None] for one in claims]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def gathering(ledger: Ledger) -> Coalescer:
    return Coalescer(
        sending(ledger.call),
        one="take",
        many="take_many",
        shared=("tenant",),
        element="claims",
        elements="takes",
        limit=3,
        reads=False,
        idempotent=False,
        refused=lambda text: Exhausted(text, code=text.partition(":")[0]),
    )


def takes(ledger: Ledger, *claims: object) -> list[asyncio.Future[Any]]:
    coalescer = gathering(ledger)
    return [coalescer.ask(("acme",), one, None) for one in claims]


async def test_what_is_written_is_sent_as_often_as_it_is_asked_and_never_again(ledger: Ledger) -> None:
    assert await asyncio.gather(*takes(ledger, [1], [1], [1], [2])) == [
        ["left", [1]], ["left", [1]], ["left", [1]], ["left", [2]]
    ]  # fmt: skip
    assert ledger.calls == [("take_many", [[1], [1], [1]], False), ("take", [[2]], False)]
    ledger.lost = True
    lost = await asyncio.gather(*takes(ledger, 1, 2), return_exceptions=True)
    assert [type(one) for one in lost] == [Unavailable, Unavailable]
    assert len(ledger.calls) == 3


async def test_one_that_is_refused_leaves_the_others_theirs(ledger: Ledger) -> None:
    first, refused, last = await asyncio.gather(*takes(ledger, 1, 0, 2), return_exceptions=True)
    assert (first, last) == (["left", 1], ["left", 2])
    assert isinstance(refused, Exhausted)
    assert (refused.code, len(ledger.calls)) == ("NONE_LEFT", 1)


async def test_what_was_refused_as_a_whole_is_written_one_by_one(ledger: Ledger) -> None:
    first, refused, last = await asyncio.gather(*takes(ledger, 1, "nonsense", 2), return_exceptions=True)
    assert (first, last) == (["left", 1], ["left", 2])
    assert isinstance(refused, Invalid)
    assert [name for name, *_ in ledger.calls] == ["take_many", "take", "take", "take"]


async def test_a_write_is_never_done_for_a_patient_one_after_a_hasty_one_was_told_of_its_end(
    ledger: Ledger,
) -> None:
    given: list[float | None] = []
    call = ledger.call

    async def remembered(name: str, args: dict[str, Any], timeout: float | None, *, idempotent: bool) -> Any:
        given.append(timeout)
        return await call(name, args, timeout, idempotent=idempotent)

    ledger.call = remembered  # type: ignore[method-assign]
    coalescer = gathering(ledger)
    asked = [coalescer.ask(("acme",), [1], timeout) for timeout in (0.1, 60.0, 0.1, None)]
    expired = coalescer.ask(("acme",), [1], 0.0)
    await asyncio.gather(*asked)
    assert given == [0.1, 60.0, None]
    assert isinstance(expired.exception(), TimedOut)
    assert sum(len(claims) for _, claims, _ in ledger.calls) == 4


async def test_a_write_that_was_given_up_before_it_was_sent_is_not_done(ledger: Ledger) -> None:
    first, second = takes(ledger, [1], [2])
    second.cancel()
    assert await first == ["left", [1]]
    assert [claims for _, claims, _ in ledger.calls] == [[[1]]]
    (alone,) = takes(ledger, [4])
    alone.cancel()
    await asyncio.sleep(0.001)
    assert len(ledger.calls) == 1


@pytest.mark.parametrize("reads", [True, False])
async def test_a_full_batch_leaves_in_the_middle_of_the_tick(reads: bool) -> None:
    """The server works on it while the client fills the next."""
    sent: list[list[str]] = []
    answers: list[Then] = []

    def send(
        name: str, args: dict[str, Any], then: Then, timeout: float | None = None, *, idempotent: bool = True
    ) -> None:
        sent.append(list(args["keys"]) if name == "get_many" else [args["key"]])
        answers.append(then)

    coalescer = getting(send, limit=2, reads=reads)
    futures = [coalescer.ask(("acme", None), key, None) for key in "abcde"]
    assert sent == [["a", "b"], ["c", "d"]]
    await asyncio.sleep(0)
    assert sent == [["a", "b"], ["c", "d"], ["e"]]
    # Whoever is answered has the answer now, whatever becomes of the others.
    answers[1](["C", "D"], None)
    assert [future.done() for future in futures] == [False, False, True, True, False]
    answers[0](None, Unavailable("away", code="NOT_CONNECTED"))
    answers[2]("E", None)
    done = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(one).__name__ for one in done[:2]] == ["Unavailable", "Unavailable"]
    assert done[2:] == ["C", "D", "E"]
