"""The demonstration of faults plays, and what it shows is what happened."""

from tests.standins.demo_faults import CASES, Outcome, run, show

PLAYED = (
    "nothing",
    "Tavily: 401, key refused",
    "both searches: 500, known question",
    "model: the first refuses",
    "everything",
)


async def test_the_demonstration_plays() -> None:
    outcomes: dict[str, Outcome] = {}

    def keep(outcome: Outcome) -> None:
        outcomes[outcome.case.name] = outcome
        show(outcome)

    await run([case for case in CASES if case.name in PLAYED], keep)
    assert tuple(outcomes) == PLAYED
    well, refused, known, second, nothing = (outcomes[name] for name in PLAYED)
    assert (well.requests, well.report.degraded) == ((1, 0, 1), [])
    assert refused.requests == (1, 1, 1)
    assert any("tavily" in reason for reason in refused.report.degraded)
    assert (known.requests[:2], known.credits) == ((0, 0), 0)
    assert any(source.kind == "web" for source in known.report.sources)
    assert second.report.model == "openai:second"
    assert nothing.report.writer == "extractive"
    assert not any(source.kind == "web" for source in nothing.report.sources)
    assert all(outcome.report.facts for outcome in outcomes.values())
