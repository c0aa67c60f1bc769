"""The samples are what their README says, and the registry of companies is read as data/README.md says (P9)."""

import csv
import json
import unicodedata
from collections import Counter
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from data import make_companies

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
RESERVED_DOMAINS = {"example.com", "example.org", "example.net"}
FACTS = {"profile", "history", "product", "market"}
DOCUMENT_FIELDS = {"id", "external_id", "title", "text", "language", "kind", "source", "created_at"}


@pytest.fixture(scope="module")
def customers() -> list[dict[str, str]]:
    with (SAMPLES / "customers.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture(scope="module")
def documents() -> list[dict[str, str]]:
    lines = (SAMPLES / "documents.ndjson").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def is_cyrillic(text: str) -> bool:
    return any(unicodedata.name(c, "").startswith("CYRILLIC") for c in text)


@pytest.mark.parametrize("name", ["customers.csv", "documents.ndjson", "README.md"])
def test_files_are_utf8_without_control_characters(name: str) -> None:
    text = (SAMPLES / name).read_bytes().decode("utf-8")
    assert [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Co", "Cn"} and c != "\n"] == []
    assert unicodedata.normalize("NFC", text) == text
    assert text.endswith("\n")


def test_there_are_sixty_customers_with_unique_ids(customers: list[dict[str, str]]) -> None:
    assert [row["external_id"] for row in customers] == [f"S-{number:03d}" for number in range(1, 61)]
    assert len({row["name"] for row in customers}) == 60
    assert list(customers[0]) == list(make_companies.COLUMNS)


def test_customers_have_what_is_real(customers: list[dict[str, str]]) -> None:
    countries = set(make_companies.read_countries().values())
    for row in customers:
        assert row["name"].strip()
        assert row["country"] in countries
        assert row["industry"]
        assert row["headquarters"]
        assert urlsplit(row["website"]).scheme == "https"
        assert row["founded"] == "" or 1800 < int(row["founded"]) < 2025
        assert row["employees"] == "" or int(row["employees"]) > 0
    former_ussr = [
        row for row in customers if row["country"] in {"Russia", "Belarus", "Ukraine", "Kazakhstan"}
    ]
    assert len(former_ussr) == 20
    assert sum(is_cyrillic(row["name"]) for row in customers) >= 15
    assert len({row["country"] for row in customers}) >= 20


def test_made_up_relation_data_is_well_formed(customers: list[dict[str, str]]) -> None:
    emails = [row["email"] for row in customers]
    assert {email.rpartition("@")[2] for email in emails} == RESERVED_DOMAINS
    assert len(set(emails)) == 60
    assert {row["segment"] for row in customers} == {"enterprise", "growth", "smb"}
    for row in customers:
        assert int(row["revenue_cents"]) > 0
        assert int(row["orders"]) > 0
        assert date(2000, 1, 1) < date.fromisoformat(row["since"]) < date(2026, 11, 21)
        tags = row["tags"].split(";")
        assert all(tag == tag.strip() != "" for tag in tags)
        assert len(set(tags)) == len(tags)


def test_every_document_belongs_to_a_customer(
    customers: list[dict[str, str]], documents: list[dict[str, str]]
) -> None:
    assert len({document["id"] for document in documents}) == len(documents) == 134
    assert all(set(document) == DOCUMENT_FIELDS for document in documents)
    known = {row["external_id"] for row in customers}
    assert {document["external_id"] for document in documents} == known
    facts = Counter((d["external_id"], d["language"]) for d in documents if d["kind"] in FACTS)
    assert facts == {(customer, language): 1 for customer in known for language in ("en", "ru")}


def test_documents_are_texts_in_their_language(documents: list[dict[str, str]]) -> None:
    assert Counter(d["language"] for d in documents) == {"en": 67, "ru": 67}
    for document in documents:
        text = document["text"]
        assert 60 <= len(text.split()) <= 200, document["id"]
        assert text[-1] in ".!?", document["id"]
        letters = [c for c in text if c.isalpha()]
        share = sum(is_cyrillic(c) for c in letters) / len(letters)
        assert share > 0.6 if document["language"] == "ru" else share < 0.1, document["id"]
        date.fromisoformat(document["created_at"])
    assert len({d["text"] for d in documents}) == len(documents)


def test_facts_say_where_to_check_them_and_notes_that_they_are_made_up(
    documents: list[dict[str, str]],
) -> None:
    kinds = Counter(document["kind"] for document in documents)
    assert set(kinds) == FACTS | {"note"}
    assert kinds["note"] == 14
    for document in documents:
        if document["kind"] == "note":
            assert document["source"] == "sample:note"
            assert "(invented note)" in document["title"] or "(вымышленная заметка)" in document["title"]
        else:
            address = urlsplit(document["source"])
            assert address.scheme == "https"
            assert address.hostname


REGISTRY_HEADER = "Registry,Assignment,Organization Name,Organization Address\n"


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    entries = {
        "oui.csv": "MA-L,0000AB,Ünal  Elektronik\u200b GmbH,Hauptstr. 1 Berlin DE 10115\n"
        "MA-L,0000AA,ÜNAL Elektronik GmbH.,Hauptstr. 1 Berlin DE 10115\n"
        "MA-L,0000AC,Private,\n"
        "MA-L,0000AA,Dritte B.V.,De Run 1 Veldhoven NL 5504 DR\n",
        "mam.csv": "MA-M,0000AD1,Завод,Ленина 1 Москва RU 101000 \n",
        "oui36.csv": "MA-S,0000AE123,Nowhere Ltd,Harbour Road 1\n",
        "iab.csv": 'IAB,0050C2AAA,Завод,"Ленина 1, Москва RU 101000"\n',
    }
    for name, text in entries.items():
        (tmp_path / name).write_text(REGISTRY_HEADER + text, encoding="utf-8")
    return tmp_path


def test_registry_becomes_customers_and_documents(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, texts = registry / "out.csv", registry / "out.ndjson"
    assert make_companies.main([str(target), "--documents", str(texts), "--data", str(registry)]) == 0
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["external_id"], r["name"], r["country"], r["tags"]) for r in rows] == [
        ("IEEE-0000AA", "Ünal Elektronik GmbH", "Germany", "ma-l"),
        ("IEEE-0000AA-2", "Dritte B.V.", "Netherlands", "ma-l"),
        ("IEEE-0000AD1", "Завод", "Russia", "iab;ma-m"),
        ("IEEE-0000AE123", "Nowhere Ltd", "", "ma-s"),
    ]
    written = [json.loads(line) for line in texts.read_text(encoding="utf-8").splitlines()]
    assert [d["external_id"] for d in written] == [r["external_id"] for r in rows]
    assert "2 large (MA-L)" in written[0]["text"]
    assert set(written[0]) == DOCUMENT_FIELDS
    assert "4 companies" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("80 West Tasman Drive San Jose CA US 94568", "United States"),
        ("27 Boulevard Saint-Régis Dorval Quebec CA H9P 1A1", "Canada"),
        ("Vreeland 2 Hilversum NL 1234 NA", "Netherlands"),
        ("No. 6 Science Park West Avenue Shatin HK NA", "Hong Kong"),
        ("Unit 7, Cambridge Science Park Cambridge GB CB4 0WS", "United Kingdom"),
        ("somewhere", ""),
        ("", ""),
    ],
)
def test_country_is_the_code_before_the_postal_code(address: str, country: str) -> None:
    assert make_companies.country_of(address, make_companies.read_countries()) == country


def test_missing_package_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.csv"
    assert make_companies.main([str(target), "--data", str(tmp_path / "none")]) == 1
    message = capsys.readouterr().err
    assert "apt-get install ieee-data" in message
    assert message.count("\n") == 1
    assert not target.exists()
