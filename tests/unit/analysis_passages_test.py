"""Which passages are taken: best first, none twice, within the budget; and what the web is asked."""

import pytest

from lycosa.analysis.knowledge import Customer, Passage
from lycosa.analysis.passages import choose, in_turns, normal_url, tokens_of
from lycosa.analysis.queries import web_queries

LONG = "The mill in Bergen was opened in May and makes paper for books and newspapers of the whole region."


def passage(name: str, text: str = "", url: str | None = None, chunk: int = 1) -> Passage:
    return Passage(
        name, chunk, name, text or f"{name} stands alone with words of {name} only", "note", url=url
    )


def test_each_group_gives_its_best_first() -> None:
    groups = [
        [passage("a1"), passage("a2"), passage("a3")],
        [],
        [passage("b1")],
        [passage("c1"), passage("c2")],
    ]
    assert [one.document_id for one in in_turns(groups)] == ["a1", "b1", "c1", "a2", "c2", "a3"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://www.Example.com/news/", "http://example.com/news"),
        ("https://example.com/news?b=2&a=1", "https://example.com/news?a=1&b=2&utm_source=x&gclid=7"),
        ("https://example.com:443/news#part", "https://example.com/news"),
    ],
)
def test_addresses_of_one_page_are_one(one: str, other: str) -> None:
    assert normal_url(one) == normal_url(other)
    found = choose([passage("a", url=one), passage("b", url=other)], most=9, budget=1000)
    assert ([p.document_id for p in found.passages], found.repeats) == (["a"], 1)


def test_other_pages_and_other_chunks_stay() -> None:
    url = "https://example.com/news"
    given = [
        passage("a", url=url),
        passage("a", "another part of it", url, chunk=2),
        passage("b", url=url + "/2"),
    ]
    assert len(choose(given, most=9, budget=1000).passages) == 3
    assert normal_url("http://[bad") == "http://[bad"


def test_near_same_texts_are_one_and_a_longer_one_is_not() -> None:
    copied = LONG.replace("whole region", "entire region").upper()
    longer = f"{LONG} It employs two hundred people, and a second machine was ordered for the coming year."
    found = choose([passage("a", LONG), passage("b", copied), passage("c", longer)], most=9, budget=1000)
    assert [one.document_id for one in found.passages] == ["a", "c"]
    assert found.repeats == 1
    russian = "Завод в Бергене открылся в мае и делает бумагу для книг и газет всей области."
    found = choose([passage("a", russian), passage("b", russian.replace("мае", "июне"))], most=9, budget=1000)
    assert len(found.passages) == 1 + (found.repeats == 0)


def test_the_budget_is_kept_and_the_last_passage_cut() -> None:
    texts = [" ".join(f"{name}{number}" for number in range(100)) for name in ("first", "second", "third")]
    given = [passage(text[:5], text) for text in texts]
    whole = tokens_of(texts[0]) + 24
    found = choose(given, most=9, budget=whole + 150)
    assert [one.document_id for one in found.passages] == ["first", "secon"]
    assert found.tokens <= whole + 150
    assert texts[1].startswith(found.passages[1].text)
    assert 60 <= tokens_of(found.passages[1].text) <= 126
    assert found.beyond_budget == 1
    assert len(choose(given, most=2, budget=10_000).passages) == 2
    assert choose(given, most=9, budget=100, taken=100).passages == []
    assert tokens_of("слово") > tokens_of("words")


def test_what_the_web_is_asked() -> None:
    fir = Customer(
        "c1", 1, "Fir", industry="Forestry", country="NO", email="boss@fir.example", revenue_cents=7
    )
    assert web_queries(fir, None, "en", "quick") == []
    assert web_queries(fir, None, "en", "standard") == ["Fir Forestry NO latest news"]
    assert web_queries(fir, "Who owns it?", "en", "standard") == ["Fir: Who owns it"]
    assert web_queries(fir, "Who owns Fir?", "en", "standard") == ["Who owns Fir"]
    deep = web_queries(fir, "Чей завод?", "ru", "deep")
    assert deep[0] == "Fir: Чей завод"
    assert len(deep) == len(set(deep)) == 4
    assert "суд" in " ".join(deep)
    assert len(web_queries(fir, None, "en", "deep")) == 3
    assert not any("boss" in query or "7" in query for query in deep)
    assert all(len(query) <= 380 for query in web_queries(fir, "x" * 4_000, "en", "deep"))
