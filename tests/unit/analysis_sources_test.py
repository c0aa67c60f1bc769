"""What a passage is called as a source: by where it comes from, not by its owner's word for it."""

import pytest

from lycosa.analysis.knowledge import Customer, Passage
from lycosa.analysis.sources import make_sources


@pytest.mark.parametrize(
    ("passage", "kind"),
    [
        (Passage("d1", 1, "How it began", "It began in a garage.", "history"), "document"),
        (Passage("d2", 1, "Found before", "It was found on the web.", "web"), "document"),
        (Passage("w1", 1, "Found now", "It is on the web.", "web", is_live=True), "web"),
        (Passage("r1", 1, "What is it?", "It is a garage.", "history", is_past=True), "history"),
    ],
)
def test_a_document_is_a_document_whatever_its_kind(passage: Passage, kind: str) -> None:
    customer = Customer(id="c1", version=1, name="Ромашка")
    sources, _, _ = make_sources(customer, None, [passage], "en", "standard", 4_000)
    assert [source.kind for source in sources] == ["record", kind]
    assert sources[1].ref == passage.document_id
