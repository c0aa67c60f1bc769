"""The cache's key: everything an answer depends on, and nothing that changes by itself."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from typing import Any

from lycosa.analysis.gather import Asked
from lycosa.analysis.knowledge import Customer
from lycosa.analysis.report import Language, Mode, Source

__all__ = ["analysis_key", "normal_question", "question_key"]


def normal_question(question: str | None) -> str:
    """A question without the differences that do not change it: case, white space, composition, closing mark."""
    if not question:
        return ""
    return " ".join(unicodedata.normalize("NFC", question).casefold().split()).rstrip(" ?!.")


def analysis_key(
    *,
    tenant: str,
    customer: Customer,
    question: str | None,
    mode: Mode,
    language: Language,
    sources: Sequence[Source],
    prompt_version: str,
    model: str,
) -> str:
    """SHA-256 in hexadecimal.

    The record counts by version and content, documents and past answers by id and content in no order. Not in it:
    the segment's figures, which change with every other customer's orders, and past analyses, which are no source -
    else an answer would change its own key.
    """
    texts = sorted(
        (source.kind, source.ref, source.chunk or 0, hashlib.sha256(source.text.encode()).hexdigest())
        for source in sources
        if source.kind != "segment"
    )
    content = {
        "tenant": tenant,
        "customer": [customer.id, customer.version],
        "question": normal_question(question),
        "mode": mode,
        "language": language,
        "sources": texts,
        "prompt": prompt_version,
        "model": model,
    }
    return _digest(content)


def question_key(asked: Asked, tenant: str, prompt_version: str, model: str) -> str:
    """SHA-256 in hexadecimal over what was asked and who answers, and nothing that is known."""
    return _digest(
        {
            "tenant": tenant,
            "customer": asked.customer_id,
            "question": normal_question(asked.question),
            "mode": asked.mode,
            "budget": asked.budget,
            "language": asked.language,
            "prompt": prompt_version,
            "model": model,
        }
    )


def _digest(content: dict[str, Any]) -> str:
    packed = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(packed.encode()).hexdigest()
