"""A model's answer taken apart, and the gate for a weak one."""

import json
import random

import pytest

from lycosa.analysis.prose import Prose, SentenceGate, read_block

BLOCK = {"facts": [{"statement": "s", "quote": "q { } ```", "source": "S1"}]}
ANSWERS = [
    f"The prose. With `code` and ``two``.\n\n```json\n{json.dumps(BLOCK)}\n```\nbye",
    f"The prose. With `code` and ``two``.\n\n```\n{json.dumps(BLOCK)}```",
    f"The prose. With `code` and ``two``.\n{json.dumps(BLOCK)}",
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("seed", range(5))
def test_prose_and_block_part_wherever_the_pieces_are_cut(answer: str, seed: int) -> None:
    chance = random.Random(seed)
    prose, shown, rest = Prose(), "", answer
    while rest:
        size = chance.randint(1, 6)
        piece, rest = rest[:size], rest[size:]
        shown += prose.feed(piece)
    shown += prose.finish()
    assert shown == prose.text == "The prose. With `code` and ``two``."
    assert read_block(prose.block) == BLOCK


def test_prose_streams_at_once() -> None:
    prose = Prose()
    assert prose.feed("  The") == "The"
    assert prose.feed(" first\u202e words ") == " first words"
    assert prose.feed("end`") == " end"
    assert prose.finish() == "`"


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ('```json\n{"facts": [{"quote": "a"}, {"quote": "b"},],}\n```', 2),
        ('{"facts": [{"quote": "a"}, {"quote": "b', 2),
        ('```json {"facts": [{"quote": "a"}]', 1),
        ("no block at all", 0),
        ("[1, 2]", 0),
        ("{{{", 0),
    ],
)
def test_a_broken_block_gives_what_can_be_read(text: str, facts: int) -> None:
    assert len(read_block(text).get("facts", [])) == facts


GIVEN = [
    "Acme was founded in Berlin in 1990 by Ada Smith and Ben Jones.",
    "In 1995 it bought Fir, a maker of trees, and in 1999 it sold the machines.",
    "The support team is not content with the answers of March.",
]


def through(answer: str) -> tuple[list[str], int]:
    gate = SentenceGate(GIVEN)
    accepted = [sentence for word in answer.split(" ") for sentence in gate.feed(word + " ")]
    accepted += gate.finish()
    assert accepted == gate.accepted
    return accepted, gate.dropped


def test_what_is_borne_out_passes() -> None:
    answer = "Acme was founded by Ada Smith and Ben Jones. In 1995 it bought Fir, the maker of trees."
    assert len(through(answer)[0]) == 2


@pytest.mark.parametrize(
    "lie",
    [
        "Acme was founded in Berlin in 1995 by Ada Smith and Ben Jones.",
        "Acme was founded in Berlin in 1990 by Ada Smith and Max Miller.",
        "In 1999 it bought Fir, a maker of trees.",
        "The support team is content with the answers of March.",
        "Acme is a leading company with a bright future in its industry.",
        "Acme was founded in Berlin in Berlin in 1990 by Ada Smith.",
        "Acme was founded in Berlin in 1990 by Ada Smith and",
    ],
)
def test_what_is_not_borne_out_does_not(lie: str) -> None:
    assert through(lie) == ([], 1)


def test_a_sentence_passes_once_and_bad_ones_end_it() -> None:
    accepted, dropped = through(
        "Acme was founded in Berlin in 1990. Acme was founded in Berlin in 1990 by Ada Smith."
    )
    assert (len(accepted), dropped) == (1, 1)
    gate = SentenceGate(GIVEN)
    list(gate.feed("It is big and bold. It is great and good. It is new and nice. More follows. "))
    assert gate.is_done
