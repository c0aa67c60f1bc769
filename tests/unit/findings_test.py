"""Results of strangers: cleaned, bounded, one a page."""

import pytest
from pydantic import ValidationError

from lycosa.analysis.texts import visible
from lycosa.providers.findings import SearchOptions, cleaned, distinct, web_address


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a?b=c#d",
        "http://example.org:8080",
        "HTTPS://EXAMPLE.ORG/",
        "https://пример.рф/страница",
        "https://[::1]/x",
    ],
)
def test_addresses_of_the_web_are_kept(url: str) -> None:
    assert web_address(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://example.org/",
        "//example.org/",
        "example.org",
        "https://",
        "https://user:secret@example.org/",
        "https://bank.com@evil.org/",
        "https://example.org\\@evil.org/",
        "https://example.org/a b",
        "https://example.org/\u202egnp.exe",
        "https://exam\u200bple.org/",
        "https://example.org/\nset-cookie",
        "https://example.org:port/",
        "https://[::1/",
        "https://example.org/\ud800",
        "https://example.org/" + "я" * 1_020,
        None,
        7,
        ["https://example.org/"],
    ],
)
def test_anything_else_is_no_address(url: object) -> None:
    assert web_address(url) is None


def test_texts_are_cleaned_and_bounded() -> None:
    found = cleaned(
        "https://example.org/",
        "Рост\u202e\x00 продаж\n" + "т" * 600,
        "a\u2066b\x1b[31m\r\nc\ue000" + " слово" * 2_000,
        0.5,
        "2026-11-01\x07" + "9" * 100,
    )
    assert found is not None
    assert found.title.startswith("Рост продаж т")
    assert len(found.title) <= 512
    assert found.text.startswith("ab[31m\nc слово")
    assert len(found.text) <= 4_000
    assert found.published is not None
    assert len(found.published) <= 64


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "0.9", None, True, 10**400, [1]])
def test_what_is_no_number_is_no_score(score: object) -> None:
    found = cleaned("https://example.org/", None, 7, score, 20261101)
    assert found is not None
    assert (found.title, found.text, found.score, found.published) == ("", "", None, None)


def test_a_page_is_found_once() -> None:
    urls = [
        "https://example.org/a",
        "http://EXAMPLE.org/a/",
        "https://example.org/a#part",
        "https://example.org/a?x=1",
        "https://example.org/A",
    ]
    rows = [cleaned(url, str(number), "", None, None) for number, url in enumerate(urls)]
    assert [one.title for one in distinct([None, *rows], 20)] == ["0", "3", "4"]
    assert len(distinct(rows, 2)) == 2
    many = [cleaned(f"https://example.org/{number}", "", "", None, None) for number in range(30)]
    assert len(distinct(many, 30)) == 20


def test_a_piece_keeps_its_blanks() -> None:
    assert visible(" and\u202e \x00so\n") == " and so\n"


@pytest.mark.parametrize(
    "options",
    [
        {"max_results": 0},
        {"max_results": 21},
        {"days": 0},
        {"depth": "deep"},
        {"language": "russian"},
        {"include_domains": ["https://example.org"]},
        {"exclude_domains": ["a b.org"]},
        {"include_domains": ["example.org"] * 21},
        {"pages": 1},
    ],
)
def test_options_have_bounds(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        SearchOptions(**options)


def test_domains_may_be_of_any_script() -> None:
    assert SearchOptions(include_domains=["пример.рф", "sub.example-1.org"]).depth == "basic"
