"""Texts as data, and quotes looked up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lycosa.analysis.knowledge import Customer, guess_language
from lycosa.analysis.report import Fact, Source
from lycosa.analysis.texts import clean, clip_bytes, content_words, language_of, one_line, sentences
from lycosa.analysis.verify import is_quoted, is_supported


def test_hidden_characters_go() -> None:
    assert clean("a\u202eb\u200bc\x00d\u2066e\U000e0041f\ud800g", 100) == "abcdefg"
    assert clean("one\n\n\n two\t three", 100) == "one\ntwo three"
    assert one_line("one\ntwo", 100) == "one two"


def test_a_text_is_cut_at_a_word() -> None:
    assert clean("alpha beta gamma", 13) == "alpha beta"
    assert clean("й" * 50, 10) == "й" * 10
    assert clean("и\u0306", 10) == "й"


@given(st.text(max_size=300), st.integers(0, 200))
def test_bounds_hold(text: str, limit: int) -> None:
    assert len(clean(text, limit)) <= limit
    encodable = text.encode(errors="ignore").decode()
    clipped = clip_bytes(encodable, limit)
    assert len(clipped.encode()) <= limit
    assert encodable.startswith(clipped)


@given(st.text(alphabet='Ab Вг.!?…»\n1"', max_size=200))
def test_sentences_are_pieces_of_the_text_in_their_order(text: str) -> None:
    at = 0
    for sentence in sentences(text):
        at = text.index(sentence, at) + len(sentence)
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Acme Inc. was founded by A. B. Smith in 1990. It grew.", 2),
        ("Завод построен в 1932 г. в Горьком. Его директор — И. И. Иванов. Вырос!", 3),
        ("Она стоит 3.5 млн руб. за штуку. Дорого? Да.", 3),
        ("“Sold.” He left. 1998 came.", 3),
        ("Heading\nA line without an end", 2),
    ],
)
def test_abbreviations_and_initials_end_no_sentence(text: str, count: int) -> None:
    assert len(list(sentences(text))) == count


def test_languages() -> None:
    assert language_of("Кто основал Acme?") == "ru"
    assert language_of("Who founded Яндекс, please?") == "en"
    assert language_of("1998 — 2000") is None
    cyrillic, latin = Customer("1", 1, "Яндекс"), Customer("1", 1, "Yandex")
    assert guess_language(None, cyrillic, []) == "ru"
    assert guess_language("What do they sell?", cyrillic, ["ru"]) == "en"
    assert guess_language(None, latin, ["ru", "ru"]) == "ru"
    assert guess_language(None, latin, ["ru", "en"]) == "en"
    assert guess_language("2019?", latin, []) == "en"


def test_inflected_words_meet() -> None:
    assert content_words("Поисковая система Ёлка") & content_words("поисковой системой ёлки") >= {
        "поиск",
        "систе",
    }


SOURCE = "Компания «Ёлка» основана\nв 1990 году — в Москве. It's called “The Fir”, and sells 1,500 trees."


@pytest.mark.parametrize(
    "quote",
    [
        'компания "Елка" основана в 1990 году - в москве',
        "“it's called 'the fir'”",
        "…and sells 1,500 trees.",
        SOURCE,
    ],
)
def test_a_true_quote_is_found_however_it_is_set(quote: str) -> None:
    assert is_quoted(quote, SOURCE)


@pytest.mark.parametrize(
    "quote",
    [
        "",
        "...",
        "trees",
        "Компания «Ёлка» основана в 1991 году",
        "омпания «Ёлка» основана",
        "sells 1,500 tree",
        "It is called The Fir",
    ],
)
def test_what_the_source_does_not_say_is_no_quote(quote: str) -> None:
    assert not is_quoted(quote, SOURCE)


def test_a_fact_needs_its_own_source_and_its_numbers_in_the_quote() -> None:
    sources = {"S1": Source(id="S1", kind="document", ref="d", title="t", text=SOURCE)}
    quote = "sells 1,500 trees"
    assert is_supported(Fact(statement="They sell 1500 trees.", quote=quote, source="S1"), sources)
    assert not is_supported(Fact(statement="They sell 1,600 trees.", quote=quote, source="S1"), sources)
    assert not is_supported(Fact(statement="They sell trees.", quote=quote, source="S2"), sources)
