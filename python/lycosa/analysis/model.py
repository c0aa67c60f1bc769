"""What writes a report, as the analysis sees it."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel

__all__ = ["ChatSource", "ModelBusy", "Writer"]


class ModelBusy(Exception):
    """Too many analyses wait for the model already."""


# Hands out the chat model for one call, starting it when it is first asked for.
ChatSource = AbstractAsyncContextManager[BaseChatModel]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes. `model` follows the long prompt and quotes; `offline` is small and only summarises, in English;
    `extractive` is no model, and `reason` says why not. `others` write when it fails before its first piece, in order.
    """

    kind: Literal["model", "offline", "extractive"]
    name: str
    source: ChatSource | None = None
    reason: str | None = None
    others: tuple[tuple[str, ChatSource], ...] = ()
