"""Which model writes, by the settings."""

from typing import Any

import pytest
from langchain_openai import ChatOpenAI

from lycosa.errors import Invalid
from lycosa.providers import offline_model
from lycosa.providers.llm import Models
from lycosa.settings import Settings


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LYCOSA_LLM"):
        monkeypatch.delenv(name, raising=False)


def models(**given: Any) -> Models:
    return Models(Settings(_env_file=None, **given))


@pytest.mark.parametrize(
    ("given", "installed", "kind", "name"),
    [
        ({}, True, "offline", "SmolLM2-135M-Instruct"),
        ({}, False, "extractive", "extractive"),
        ({"llm": "offline"}, True, "offline", "SmolLM2-135M-Instruct"),
        ({"llm": "offline"}, False, "extractive", "extractive"),
        ({"llm": "extractive", "openai_api_key": "k"}, True, "extractive", "extractive"),
        ({"openai_api_key": "k"}, True, "model", "openai:gpt-5-mini"),
        ({"llm": "offline", "openai_api_key": "k"}, True, "offline", "SmolLM2-135M-Instruct"),
        ({"llm": "openai:other"}, True, "model", "openai:other"),
    ],
)
def test_who_writes(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], installed: bool, kind: str, name: str
) -> None:
    monkeypatch.setattr(offline_model, "is_installed", lambda: installed)
    writer = models(**given).writer
    assert (writer.kind, writer.name) == (kind, name)
    assert (writer.reason is None) == (kind != "extractive")


@pytest.mark.parametrize("llm", ["gpt", "openai:", ":gpt", "always"])
def test_a_setting_that_names_nothing_is_refused(llm: str) -> None:
    with pytest.raises(Invalid, match="LYCOSA_LLM") as raised:
        models(llm=llm)
    assert raised.value.details == {"argument": "llm"}


async def test_the_provider_gets_key_and_address_of_the_settings() -> None:
    source = models(llm="openai:m", openai_api_key="k", openai_base_url="http://127.0.0.1:9/v1").writer.source
    assert source is not None
    async with source as chat:
        assert isinstance(chat, ChatOpenAI)
        assert (chat.openai_api_base, chat.model_name, chat.stream_usage) == (
            "http://127.0.0.1:9/v1",
            "m",
            True,
        )
        assert chat.use_responses_api is False
    async with source as again:
        assert again is chat


async def test_an_unknown_provider_fails_when_it_is_asked_not_before() -> None:
    source = models(llm="nowhere:m").writer.source
    assert source is not None
    with pytest.raises(ValueError, match="nowhere"):
        async with source:
            pass
