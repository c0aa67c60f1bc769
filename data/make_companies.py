"""Make a customer file of about 29,000 real companies from Debian's package `ieee-data`.

The package ships the public registry of the IEEE Registration Authority: who holds which block of network hardware
addresses, with name and postal address. IEEE asserts no copyright in that listing and does not restrict its
distribution; Debian's own part of the package is under the WTFPL.

    python3 data/make_companies.py companies.csv [--documents companies.ndjson] [--data DIRECTORY]

The columns are those of data/samples/customers.csv. See data/README.md for what each one holds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

PACKAGE_DATA = Path("/usr/share/ieee-data")
# One file a registry, the largest first: a company is named as its first entry names it.
REGISTRY_FILES = ("oui.csv", "mam.csv", "oui36.csv", "iab.csv")
BLOCK_NAMES = {"MA-L": "large", "MA-M": "medium", "MA-S": "small", "IAB": "individual"}
WHERE_TO_CHECK = "https://standards-oui.ieee.org/"
UNNAMED = frozenset({"", "private"})
COLUMNS = (
    *("external_id", "name", "email", "segment", "tags", "country", "industry", "revenue_cents"),
    *("orders", "since", "website", "founded", "headquarters", "employees"),
)

# "... Hsinchu TW 30078", "... Veldhoven NL 5504 DR": two capitals, then nothing or a postal code of up to three words
# that begins with a word holding a digit. The leftmost match wins, so that the DR of a Dutch code is no country.
COUNTRY = re.compile(r"(?:^|\s)([A-Z]{2})(?:\s(?=\S*\d)\S+(?:\s\S+){0,2})?$")


class MissingDataError(Exception):
    """The registry is not where it was looked for."""


@dataclass
class Company:
    """One registrant: all entries whose names differ only in case, spaces and punctuation.

    `external_id` is IEEE- and the lowest assignment held, which stays when the company is given more blocks. A few
    assignments have several holders in the registry: all but the first carry -2, -3 and so on.
    """

    name: str
    external_id: str = ""
    blocks: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)
    assignments: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The address given most often, the earlier one of two as frequent; empty when none was given."""
        return next((address for address, _ in self.addresses.most_common(1)), "")

    @property
    def segment(self) -> str:
        """By the number of blocks held: enterprise from 20, growth from 3, else smb."""
        held = self.blocks.total()
        return "enterprise" if held >= 20 else "growth" if held >= 3 else "smb"


def clean(text: str) -> str:
    """Text on one line, without control and invisible characters, each run of spaces as one."""
    return " ".join(
        "".join(c if c.isspace() or unicodedata.category(c)[0] != "C" else "" for c in text).split()
    )


def country_of(address: str, countries: dict[str, str]) -> str:
    """Name of the country whose code ends an address, before its postal code; empty where there is none."""
    found = COUNTRY.search(
        re.sub(r"\sNA$", "", address)
    )  # NA stands for "no postal code", hardly ever for Namibia
    return countries.get(found[1], "") if found else ""


def read_countries() -> dict[str, str]:
    """English country names by ISO 3166-1 alpha-2 code."""
    with (Path(__file__).parent / "countries.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: row["name"] for row in csv.DictReader(file)}


def read_entries(directory: Path) -> Iterator[dict[str, str]]:
    """Every entry of the registry.

    Raises MissingDataError when a file of it is not in the directory.
    """
    for name in REGISTRY_FILES:
        path = directory / name
        if not path.is_file():
            raise MissingDataError(
                f"{path} does not exist: install the package with `apt-get install ieee-data`, or unpack it with "
                "`apt-get download ieee-data && dpkg -x ieee-data_*.deb DIR` and give --data "
                "DIR/usr/share/ieee-data"
            )
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def gather(entries: Iterable[dict[str, str]]) -> list[Company]:
    """Companies in the order of their first entries; entries without a name are left out."""
    companies: dict[str, Company] = {}
    for entry in entries:
        name = clean(entry["Organization Name"])
        key = "".join(c for c in name.casefold() if c.isalnum())
        if key in UNNAMED:
            continue
        company = companies.setdefault(key, Company(name))
        company.blocks[entry["Registry"]] += 1
        company.assignments.append(entry["Assignment"])
        if address := clean(entry["Organization Address"]):
            company.addresses[address] += 1
    holders: Counter[str] = Counter()
    for company in companies.values():
        lowest = min(company.assignments)
        holders[lowest] += 1
        company.external_id = f"IEEE-{lowest}" + (f"-{holders[lowest]}" if holders[lowest] > 1 else "")
    return list(companies.values())


def customer_row(company: Company, countries: dict[str, str]) -> dict[str, str]:
    """A row of the customer file. What the registry does not tell is left empty."""
    return {
        "external_id": company.external_id,
        "name": company.name,
        "segment": company.segment,
        "tags": ";".join(sorted(registry.lower() for registry in company.blocks)),
        "country": country_of(company.address, countries),
        "headquarters": company.address,
    }


def document(company: Company, created_at: str) -> dict[str, str]:
    """A text that says in sentences what the registry holds about a company."""
    kinds = ", ".join(
        f"{count} {BLOCK_NAMES[registry]} ({registry})" for registry, count in company.blocks.items()
    )
    sentences = [
        f"{company.name} is listed in the public registry of the IEEE Registration Authority.",
        f"Address blocks held for network hardware: {kinds}.",
        f"The lowest assignment is {min(company.assignments)}.",
    ]
    if company.address:
        sentences.append(f"The registered address is: {company.address}.")
    if len(company.addresses) > 1:
        sentences.append(
            f"Its entries give {len(company.addresses)} different spellings or places of address."
        )
    return {
        "id": f"doc-{company.external_id.lower()}",
        "external_id": company.external_id,
        "title": f"{company.name} in the IEEE registry",
        "text": " ".join(sentences),
        "language": "en",
        "kind": "profile",
        "source": WHERE_TO_CHECK,
        "created_at": created_at,
    }


def write_customers(companies: Iterable[Company], file: TextIO) -> None:
    """Write the customer file as CSV."""
    countries = read_countries()
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(customer_row(company, countries) for company in companies)


def write_documents(companies: Iterable[Company], created_at: str, file: TextIO) -> None:
    """Write one document a company, a JSON object a line."""
    for company in companies:
        file.write(json.dumps(document(company, created_at), ensure_ascii=False) + "\n")


def replace_file(path: Path, write: Callable[[TextIO], None]) -> None:
    """Write a file beside `path` and then put it in its place, so that a half-written one never stands there."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        write(file)
    os.replace(partial, path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when the files were written, 1 with one line on stderr when not."""
    parser = argparse.ArgumentParser(
        description="Make a customer file of real companies from Debian's ieee-data."
    )
    parser.add_argument("customers", type=Path, help="the CSV file to write")
    parser.add_argument(
        "--documents", type=Path, help="an NDJSON file of one text a company to write as well"
    )
    parser.add_argument(
        "--data", type=Path, default=PACKAGE_DATA, help=f"where the registry is ({PACKAGE_DATA})"
    )
    options = parser.parse_args(arguments)
    try:
        companies = gather(read_entries(options.data))
        replace_file(options.customers, lambda file: write_customers(companies, file))
        if options.documents:
            listed = (options.data / REGISTRY_FILES[0]).stat().st_mtime
            created_at = datetime.fromtimestamp(listed, UTC).date().isoformat()
            replace_file(options.documents, lambda file: write_documents(companies, created_at, file))
    except (MissingDataError, OSError) as problem:
        print(f"make_companies: {problem}", file=sys.stderr)
        return 1
    print(
        f"{len(companies)} companies written to {options.customers}. Source: Debian's ieee-data; IEEE asserts no"
    )
    print("copyright in this public listing and does not restrict its distribution (data/README.md).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
