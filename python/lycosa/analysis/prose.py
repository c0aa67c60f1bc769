"""A model's answer as it streams: prose apart from the block of facts, and a gate for a weak model's sentences."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Final

from langchain_core.utils.json import parse_partial_json

from lycosa.analysis.texts import content_words, sentences
from lycosa.analysis.verify import normalised, numbers

__all__ = ["Prose", "SentenceGate", "read_block", "visible"]

# Where part 2 begins: a fence, or its object without one.
_BLOCK: Final = re.compile(r'```|(?:^|\n)[^\S\n]*\{\s*"(?:facts|risks|opportunities|open_questions)"')
# An end of the text that may still become such a beginning.
_MAYBE: Final = re.compile(r'(?:`{1,2}|(?:^|\n)\s*(?:\{\s*(?:"\w*)?)?)$')
_MAX_BLOCK: Final = 64 * 1024


def visible(text: str) -> str:
    """The text without control, format and other unseen characters except line feeds."""
    return "".join(
        c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )


class Prose:
    """Takes the model's pieces, gives the prose among them; the block behind it is kept whole."""

    def __init__(self) -> None:
        self._pending = ""
        self._written: list[str] = []
        self._block: str | None = None

    @property
    def text(self) -> str:
        """The prose given out so far."""
        return "".join(self._written).strip()

    @property
    def block(self) -> str:
        """What came after the prose."""
        return self._block or ""

    def feed(self, piece: str) -> str:
        """The prose that is now certain, possibly none."""
        if self._block is not None:
            if len(self._block) < _MAX_BLOCK:
                self._block += piece
            return ""
        self._pending += piece
        begins = _BLOCK.search(self._pending)
        if begins is not None:
            ready, self._block = self._pending[: begins.start()].rstrip(), self._pending[begins.start() :]
            self._pending = ""
        else:
            held = _MAYBE.search(self._pending)
            at = held.start() if held is not None else len(self._pending)
            ready, self._pending = self._pending[:at], self._pending[at:]
        return self._give(ready)

    def finish(self) -> str:
        """The prose that was held back, now that nothing follows."""
        ready, self._pending = self._pending.rstrip(), ""
        return self._give(ready)

    def _give(self, text: str) -> str:
        if not self._written:
            text = text.lstrip()
        shown = visible(text)
        if shown:
            self._written.append(shown)
        return shown


def read_block(text: str) -> dict[str, Any]:
    """The object in part 2, as much of it as can be read: with text around it, trailing commas, or cut off."""
    start = text.find("{")
    if start < 0:
        return {}
    body = re.sub(r",(\s*[\]}])", r"\1", text[start:])
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(body)
    except ValueError:
        try:
            value = parse_partial_json(body.split("```")[0])
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


class SentenceGate:
    """Lets a weak model's sentence out only when what it was given bears it out.

    All its numbers, all its names and nearly all its other words stand in the given texts, most of them in one
    sentence there; and it does not repeat an earlier one. `dropped` counts the others.
    """

    MOST: Final = 3

    def __init__(self, given: Iterable[str]) -> None:
        texts = list(given)
        self._words = [content_words(text) for text in texts]
        self._all = set().union(*self._words) if texts else set()
        self._numbers = set().union(*(numbers(text) for text in texts)) if texts else set()
        self._tail = ""
        self.accepted: list[str] = []
        self.dropped = 0

    @property
    def is_full(self) -> bool:
        """Whether there are sentences enough."""
        return len(self.accepted) >= self.MOST

    def feed(self, piece: str) -> Iterator[str]:
        """The sentences that this piece completes and that are borne out."""
        self._tail += piece
        parts = list(sentences(self._tail))
        # The last one may go on; an answer that is cut off ends with one that never ended, which is left out.
        for sentence in parts[:-1]:
            yield from self._judge(sentence)
        if parts:
            self._tail = self._tail[self._tail.rfind(parts[-1]) :]

    def finish(self) -> Iterator[str]:
        """The last sentence, when it ended."""
        for sentence in sentences(self._tail):
            if sentence.rstrip("\"'»”)").endswith((".", "!", "…")):
                yield from self._judge(sentence)
        self._tail = ""

    def _judge(self, sentence: str) -> Iterator[str]:
        if self.is_full:
            return
        shown = visible(sentence).replace("\n", " ")
        if self._is_borne_out(shown):
            self.accepted.append(shown)
            yield shown
        else:
            self.dropped += 1

    def _is_borne_out(self, sentence: str) -> bool:
        found = content_words(sentence)
        if len(found) < 3 or not numbers(sentence) <= self._numbers:
            return False
        names = set(re.findall(r"(?<!^)\b[A-ZА-ЯЁ][\w-]+", sentence))
        if not all(content_words(normalised(name)) <= self._all for name in names):
            return False
        if len(found & self._all) < 0.85 * len(found):
            return False
        if max((len(found & words) for words in self._words), default=0) < 0.6 * len(found):
            return False
        earlier = (content_words(other) for other in self.accepted)
        return all(len(found & other) <= 0.6 * min(len(found), len(other)) for other in earlier)
