"""Which model writes: `LYCOSA_LLM` is auto, offline, extractive or `<provider>:<model>` of init_chat_model, and after a
comma those that write when it fails.
"""

import asyncio
import gc
from types import TracebackType
from typing import Any, Final

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel

from lycosa.analysis.model import Writer
from lycosa.errors import Invalid
from lycosa.providers import offline_model
from lycosa.providers.offline_model import OfflineModel, warmed
from lycosa.settings import Settings

__all__ = ["Models"]

# What `auto` asks of OpenAI; LYCOSA_LLM=openai:<model> asks another.
_DEFAULT_OPENAI: Final = "openai:gpt-5-mini"
_MODEL_SECONDS: Final = 60.0
_EXTRACTIVE: Final = "extractive"
_MOST_MODELS: Final = 5


class _Provider:
    """A configured provider's model, made when it is first asked for: the import alone takes a while."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self._name = name
        self._options = options
        self._chat: BaseChatModel | None = None
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> BaseChatModel:
        async with self._lock:
            chat = self._chat
            if chat is None:
                chat = self._chat = await asyncio.to_thread(self._make)
                # What the import made stays: the collector need not look through it in the middle of an answer.
                gc.freeze()
            return chat

    def _make(self) -> BaseChatModel:
        return warmed(init_chat_model(self._name, **self._options))

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Models:
    """The writers of one process. `close` ends what was started."""

    def __init__(self, settings: Settings) -> None:
        self._offline = OfflineModel()
        self._writer = self._choose(settings)

    @property
    def writer(self) -> Writer:
        """Who writes by the settings."""
        return self._writer

    @property
    def offline(self) -> OfflineModel:
        """The offline model, whether or not it is the one that writes."""
        return self._offline

    async def close(self) -> None:
        """End the offline model's process if there is one."""
        await self._offline.close()

    def _choose(self, settings: Settings) -> Writer:
        wanted = settings.llm.strip() or "auto"
        if wanted == _EXTRACTIVE:
            return Writer("extractive", _EXTRACTIVE, reason="extractive: LYCOSA_LLM says so")
        if wanted == "auto" and settings.openai_api_key is not None:
            wanted = _DEFAULT_OPENAI
        if wanted in ("auto", "offline"):
            if offline_model.is_installed():
                return Writer("offline", offline_model.NAME, self._offline)
            missing = "no model is configured and the offline model is not installed"
            return Writer("extractive", _EXTRACTIVE, reason=f"extractive: {missing}")
        (name, source), *others = [(one, _provider(one, settings)) for one in _names(wanted)]
        return Writer("model", name, source, others=tuple(others))


def _names(wanted: str) -> list[str]:
    """The models in order, none twice. Raises Invalid."""
    found = list(dict.fromkeys(one.strip() for one in wanted.split(",") if one.strip()))
    if not found or len(found) > _MOST_MODELS:
        raise _refused(wanted, f"takes 1 to {_MOST_MODELS} models between commas")
    return found


def _provider(name: str, settings: Settings) -> _Provider:
    provider, colon, model = name.partition(":")
    if not (provider and colon and model):
        raise _refused(
            name, "use auto, offline, extractive or <provider>:<model>, more of these after commas"
        )
    return _Provider(name, _options(provider, settings))


def _refused(wanted: str, problem: str) -> Invalid:
    return Invalid(
        f"LYCOSA_LLM is {wanted!r}; {problem}", code="INVALID_SETTING", details={"argument": "llm"}
    )


def _options(provider: str, settings: Settings) -> dict[str, Any]:
    """What init_chat_model is given. Retrying is the chain's affair, which says what it did.

    Keys of other providers it finds in the environment under their own names.
    """
    options: dict[str, Any] = {"timeout": _MODEL_SECONDS, "max_retries": 0}
    if provider == "openai":
        options["stream_usage"] = True
        if settings.openai_api_key is not None:
            options["api_key"] = settings.openai_api_key
        if settings.openai_base_url:
            # Servers that speak OpenAI's language mostly know its chat completions only.
            options |= {"base_url": settings.openai_base_url, "use_responses_api": False}
    return options
