"""Models that stand in for one another, until the first piece of an answer."""

from typing import Any

import pytest

from lycosa.errors import Invalid
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.providers.llm import Models
from lycosa.settings import Settings
from tests.integration.analysis_world import good, world
from tests.standins.openai_model import Script


@pytest.fixture
def two(settings: Settings) -> Settings:
    return settings.model_copy(update={"llm": "openai:first, openai:second"})


async def test_the_next_model_writes_when_the_first_refuses(
    procedures: Procedures, identity: Identity, two: Settings
) -> None:
    async with world(procedures, identity, two, Script(good, usage=(321, 54))) as fir:
        fir.model.by_model["first"] = Script(status=401)
        report = await fir.analyze()
        assert [call.body["model"] for call in fir.model.calls] == ["first", "second"]
        assert (report.writer, report.model) == ("model", "openai:second")
        assert report.degraded == [
            "model: openai:first failed (OpenAIAuthenticationError 401), openai:second wrote instead"
        ]
        assert (report.tokens.input, report.tokens.output, report.tokens.counted) == (321, 54, "provider")
        assert (await fir.recorded(report.request_id)).request.model == "openai:second"
        fir.model.by_model.clear()
        well = await fir.analyze()
        assert (well.cached, well.model, well.degraded) == (False, "openai:first", [])


async def test_what_may_pass_is_tried_once_more_and_nothing_after_the_first_piece(
    procedures: Procedures, identity: Identity, two: Settings
) -> None:
    async with world(procedures, identity, two, Script(good)) as fir:
        fir.model.next.append(Script(status=503))
        report = await fir.analyze()
        assert [call.body["model"] for call in fir.model.calls] == ["first", "first"]
        assert (report.model, report.degraded) == ("openai:first", [])
        fir.model.next.append(Script(good, break_after=1))
        report = await fir.analyze(fresh=True)
        assert len(fir.model.calls) == 3
        assert report.writer == "extractive"
        assert report.degraded[0].startswith("extractive: the model openai:first failed (")


async def test_when_all_fail_the_report_is_extractive_and_says_who_failed(
    procedures: Procedures, identity: Identity, two: Settings
) -> None:
    async with world(procedures, identity, two, Script(status=429)) as fir:
        report = await fir.analyze()
        assert [call.body["model"] for call in fir.model.calls] == ["first"] * 2 + ["second"] * 2
        assert report.writer == "extractive"
        failures = [f"openai:{name} failed (OpenAIRateLimitError 429)" for name in ("first", "second")]
        assert report.degraded == [f"extractive: {'; '.join(failures)}"]


@pytest.mark.parametrize(
    "llm", ["openai:a,b", "openai:", ",", "extractive,openai:a", ",".join(f"p:{n}" for n in range(6))]
)
def test_a_list_that_is_none_is_refused(settings: Settings, llm: str) -> None:
    with pytest.raises(Invalid) as raised:
        Models(settings.model_copy(update={"llm": llm}))
    assert raised.value.details["argument"] == "llm"


def test_a_model_named_twice_stands_once(settings: Settings) -> None:
    given: dict[str, Any] = {"llm": "openai:a, openai:b,openai:a"}
    writer = Models(settings.model_copy(update=given)).writer
    assert (writer.name, [name for name, _ in writer.others]) == ("openai:a", ["openai:b"])
