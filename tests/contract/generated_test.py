"""What is generated equals what a running server says of itself."""

from lycosa.codegen.__main__ import generated


def test_generated_files_are_fresh() -> None:
    """On a difference: `make contract`."""
    stale = [
        path.name
        for path, text in generated().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == []
