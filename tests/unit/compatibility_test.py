"""Which changes of the contract are free, and how the others are named."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from lycosa.compatibility import differences

NAME = {"kind": "name", "min": 1, "max": 128}
ROW = {
    "kind": "record",
    "name": "Row",
    "form": "tuple",
    "fields": [
        {"name": "id", "type": NAME},
        {"name": "tags", "type": {"kind": "list", "of": NAME, "max": 8}},
    ],
}
CONTRACT: dict[str, Any] = {
    "procedures": [
        {
            "name": "thing.get",
            "digest": "a",
            "args": [
                {"name": "id", "type": NAME},
                {"name": "limit", "type": {"kind": "integer"}, "optional": True},
            ],
            "returns": ROW,
        }
    ]
}

Change = Callable[[dict[str, Any]], object]


def _changed(change: Change) -> list[str]:
    theirs = copy.deepcopy(CONTRACT)
    theirs["procedures"][0]["digest"] = "b"
    change(theirs["procedures"][0])
    return differences(CONTRACT, theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda procedure: procedure["args"].append({"name": "new", "type": NAME, "optional": True}),
        lambda procedure: procedure["returns"]["fields"].append({"name": "new", "type": NAME}),
        lambda procedure: procedure["args"][0]["type"].update(max=256),
    ],
    ids=["new optional argument", "field at a record's end", "wider bounds"],
)
def test_free_changes(change: Change) -> None:
    assert _changed(change) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda procedure: procedure["args"].pop(), "argument limit is gone"),
        (
            lambda procedure: procedure["args"].append({"name": "new", "type": NAME}),
            "new is new and required",
        ),
        (lambda procedure: procedure["args"][1].update(optional=False), "limit is now required"),
        (lambda procedure: procedure["args"][0].update(type={"kind": "integer"}), "id changed its type"),
        (lambda procedure: procedure["returns"]["fields"].pop(), "its answer changed"),
        (lambda procedure: procedure["returns"]["fields"].reverse(), "its answer changed"),
        (lambda procedure: procedure["returns"].update(form="map"), "its answer changed"),
        (lambda procedure: procedure.update(packs="rows"), "its answer changed"),
        (lambda procedure: procedure["returns"]["fields"][1].update(type=NAME), "its answer changed"),
    ],
)
def test_other_changes_are_named(change: Change, said: str) -> None:
    found = _changed(change)
    assert len(found) == 1
    assert found[0].startswith("thing.get: ")
    assert said in found[0]


def test_a_missing_procedure_is_named() -> None:
    assert differences(CONTRACT, {"procedures": []}) == ["thing.get: the server does not have it"]


def test_a_new_procedure_is_free() -> None:
    theirs = {"procedures": [*CONTRACT["procedures"], {"name": "thing.put", "digest": "c"}]}
    assert differences(CONTRACT, theirs) == []
