"""What is generated equals what a running server says of itself."""

from lycosa.codegen.__main__ import generated
from lycosa.errors import Invalid
from lycosa.procedures import contract


def test_generated_files_are_fresh() -> None:
    """On a difference: `make contract`."""
    stale = [
        path.name
        for path, text in generated().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == []


def test_an_argument_is_refused_in_the_words_of_the_store() -> None:
    refused = Invalid.argument("tags", "is empty")
    told = contract()["errors"][refused.code]
    assert (refused.kind, refused.message) == (told["kind"], told["message"].format(**refused.details))
