"""The prompts: versioned files of this package, and sources fenced as data."""

import hashlib
import secrets
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from langchain_core.prompts import ChatPromptTemplate

from lycosa.analysis.report import Language, Source
from lycosa.analysis.texts import one_line

__all__ = [
    "EXTRACTIVE_VERSION",
    "REPORT",
    "SUMMARY",
    "fenced",
    "language_name",
    "new_mark",
    "template",
    "version",
]

REPORT = "report.v2"
SUMMARY = "summary.v1"
# Rises when ranking, rules or wording change what the same input gives.
EXTRACTIVE_VERSION = "extractive.v1"

_SEPARATOR = "\n===\n"


@cache
def _text(name: str) -> str:
    return files("lycosa.analysis").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")


@cache
def version(name: str) -> str:
    """Name and digest of a prompt: an edited file is another version even when its name stays.

    What the rules add to a model's report depends on the extractive version too.
    """
    digest = hashlib.sha256(_text(name).encode()).hexdigest()[:8]
    return f"{name}-{digest}+{EXTRACTIVE_VERSION}"


@cache
def template(name: str) -> ChatPromptTemplate:
    """The prompt as a LangChain template of one system and one human message."""
    system, human = _text(name).strip().split(_SEPARATOR)
    return ChatPromptTemplate.from_messages([("system", system), ("human", human)])


def language_name(language: Language) -> str:
    """The language as a prompt names it."""
    return "English" if language == "en" else "Russian"


def new_mark() -> str:
    """A fence that a text cannot foresee."""
    return f"<<<{secrets.token_hex(8)}"


def _site(url: str) -> str:
    """The host alone: enough to weigh what it says, and shorter than the address."""
    return one_line(urlsplit(url).hostname or "", 100).replace('"', "'")


def fenced(sources: Sequence[Source], mark: str) -> str:
    """The sources between lines that begin with the mark. Their texts were cleaned when they were gathered."""
    parts = []
    for source in sources:
        title = one_line(source.title, 200).replace('"', "'")
        site = f' site="{_site(source.url)}"' if source.kind == "web" and source.url else ""
        head = f'{mark} {source.id} kind={source.kind} title="{title}"{site}'
        parts.append(f"{head}\n{source.text}\n{mark} end {source.id}")
    return "\n".join(parts)
