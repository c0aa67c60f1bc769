"""A model's answer as it streams: prose apart from the block of facts, and a gate for a weak model's sentences."""

import json
import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any, Final

from langchain_core.utils.json import parse_partial_json

from lycosa.analysis.texts import content_list, content_words, sentences, visible

__all__ = ["Prose", "SentenceGate", "read_block"]

# Where part 2 begins: a fence, or its object without one.
_BLOCK: Final = re.compile(r'```|(?:^|\n)[^\S\n]*\{\s*"(?:facts|risks|opportunities|open_questions)"')
# An end of the text that may still become such a beginning.
_MAYBE: Final = re.compile(r'\s*(?:`{1,2}|\{\s*(?:"\w*)?)?$')
# "in 1975 in 1975", "multinational multinational": a small model that has begun to stammer.
_REPEATED: Final = re.compile(r"\b(\w+(?:\s+\w+)?)\s+\1\b", re.IGNORECASE)
_NAME: Final = re.compile(r"(?<!^)\b[A-ZА-ЯЁ][\w-]+")
_DENIAL: Final = re.compile(
    r"\b(?:not|no|never|none|neither|nor|without|не|нет|без|ни)\b|n't\b", re.IGNORECASE
)
_MAX_BLOCK: Final = 64 * 1024


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
            assert held is not None, "an empty end matches"
            at = held.start()
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
    """Lets a weak model's sentence out only when one sentence it was given bears it out.

    Laid along that sentence, nearly all its words stand there in the same order, and of its numbers and names every
    one; both deny something or neither does; and it repeats neither an earlier one nor itself. So a year put to
    another event, an invented founder or a forgotten "not" does not pass. `dropped` counts what did not.
    """

    MOST: Final = 3
    # Part of the words that must stand in the given sentence.
    _BORNE: Final = 0.85

    def __init__(self, given: Iterable[str]) -> None:
        self._given = [(content_list(text), _denies(text)) for text in given]
        self._tail = ""
        self.accepted: list[str] = []
        self.dropped = 0

    @property
    def is_done(self) -> bool:
        """Whether there are sentences enough, or so many bad ones that no good one is to be expected."""
        return len(self.accepted) >= self.MOST or self.dropped >= self.MOST

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
            else:
                self.dropped += 1
        self._tail = ""

    def _judge(self, sentence: str) -> Iterator[str]:
        if self.is_done:
            return
        shown = visible(sentence).replace("\n", " ")
        if self._is_borne_out(shown):
            self.accepted.append(shown)
            yield shown
        else:
            self.dropped += 1

    def _is_borne_out(self, sentence: str) -> bool:
        told, denies = content_list(sentence), _denies(sentence)
        if len(told) < 3 or _REPEATED.search(sentence):
            return False
        # The first word of a sentence is capital anyway.
        names = {word for name in _NAME.findall(sentence) for word in content_list(name)}
        weighty = {at for at, word in enumerate(told) if word in names or any(c.isdigit() for c in word)}
        if not any(denies == other and self._stands(told, weighty, given) for given, other in self._given):
            return False
        found = set(told)
        earlier = (content_words(other) for other in self.accepted)
        return all(len(found & other) <= 0.6 * min(len(found), len(other)) for other in earlier)

    def _stands(self, told: list[str], weighty: set[int], given: list[str]) -> bool:
        blocks = SequenceMatcher(None, given, told, autojunk=False).get_matching_blocks()
        aligned = {at for block in blocks for at in range(block.b, block.b + block.size)}
        return weighty <= aligned and len(aligned) >= self._BORNE * len(told)


def _denies(text: str) -> bool:
    return _DENIAL.search(text) is not None
