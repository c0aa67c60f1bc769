"""The generator: annotations, decoders and pages from a description."""

from typing import Any, NamedTuple

import pytest

from lycosa.codegen import markdown, python

NAME: dict[str, Any] = {"kind": "name", "min": 1, "max": 128}
POINT: dict[str, Any] = {
    "kind": "record",
    "name": "Point",
    "form": "map",
    "fields": [
        {"name": "x", "type": {"kind": "number"}},
        {"name": "origin", "type": {"kind": "nullable", "of": NAME}, "optional": True},
    ],
}
CONTRACT: dict[str, Any] = {
    "digest": "0",
    "errors": {"THING_NOT_FOUND": {"kind": "not_found", "message": "thing {id} does not exist"}},
    "procedures": [
        {
            "name": "thing.find",
            "access": "app",
            "mode": "read",
            "doc": "Find things.",
            "idempotent": True,
            "digest": "1",
            "errors": ["THING_NOT_FOUND"],
            "args": [
                {"name": "from", "type": {"kind": "time"}, "doc": "first moment"},
                {
                    "name": "rows",
                    "type": {"kind": "list", "max": 3, "of": {"kind": "unchecked", "of": POINT}},
                },
                {
                    "name": "limit",
                    "type": {"kind": "integer", "min": 1, "max": 9},
                    "optional": True,
                    "default": 2,
                },
            ],
            "returns": {"kind": "map", "max": 5, "of": {"kind": "nullable", "of": {"kind": "boolean"}}},
        }
    ],
}


@pytest.mark.parametrize(
    ("type_", "annotation"),
    [
        (NAME, "str"),
        ({"kind": "enum", "values": ["a", "b"]}, 'Literal["a", "b"]'),
        ({"kind": "nullable", "of": {"kind": "integer"}}, "int | None"),
        ({"kind": "list", "of": NAME}, "Sequence[str]"),
        ({"kind": "map", "of": {"kind": "scalar"}}, "Mapping[str, Scalar]"),
        ({"kind": "unchecked", "of": POINT}, "Point | Mapping[str, object]"),
        ({"kind": "unchecked", "of": {"kind": "none"}}, "Any"),
        ({"kind": "bytes", "max": 9}, "bytes | str"),
        ({"kind": "repeated", "max": 9, "of": {"kind": "list", "of": NAME}}, "Sequence[str]"),
    ],
)
def test_argument_annotations(type_: dict[str, Any], annotation: str) -> None:
    assert python.hint(type_, argument=True) == annotation


def test_unknown_types_stop_the_generator() -> None:
    with pytest.raises(ValueError, match="colour"):
        python.hint({"kind": "colour"}, argument=True)


def test_decoders_rebuild_records() -> None:
    class Point(NamedTuple):
        x: float

    expression = python.decode({"kind": "list", "of": {"kind": "nullable", "of": POINT}}, "wire")
    decoded = eval(expression, {"_point": lambda value: Point(value["x"]), "wire": [{"x": 1.0}, None]})
    assert decoded == [Point(1.0), None]
    expression = python.decode({"kind": "map", "of": POINT, "max": 2}, "wire")
    assert eval(expression, {"_point": lambda value: Point(value["x"]), "wire": []}) == {}


def test_the_module_compiles_and_names_errors_and_keywords() -> None:
    text = python.module(CONTRACT)
    compile(text, "procedures.py", "exec")
    assert "class ThingNotFound(NotFound):" in text
    assert "Raises ThingNotFound." in text
    assert "from_: float" in text
    assert '"from": from_' in text


def test_what_waits_has_a_connection_of_its_own() -> None:
    procedure = CONTRACT["procedures"][0] | {"mode": "wait"}
    text = python.module(CONTRACT | {"procedures": [procedure]})
    assert 'await self._wait("lycosa.thing.find", args, timeout)' in text
    assert "await self._call(" not in text


def test_two_records_of_one_name_are_refused() -> None:
    other = POINT | {"fields": []}
    procedure = CONTRACT["procedures"][0] | {"returns": other}
    with pytest.raises(ValueError, match="Point"):
        python.module(CONTRACT | {"procedures": [procedure]})


def test_pages_show_arguments_records_and_errors() -> None:
    pages = markdown.pages(CONTRACT)
    assert set(pages) == {"thing.md", "errors.md", "README.md"}
    assert "| `limit` | integer of 1..9 | `2` when absent |" in pages["thing.md"]
    assert "## Point" in pages["thing.md"]
    assert "THING_NOT_FOUND" in pages["errors.md"]


ENTRY: dict[str, Any] = {
    "kind": "record",
    "name": "Entry",
    "form": "tuple",
    "fields": [{"name": "key", "type": NAME}, {"name": "value", "type": {"kind": "bytes", "max": 9}}],
}


def coalesced(**changes: Any) -> dict[str, Any]:
    """A contract with a get that is asked for many keys at once."""
    plain = {"access": "read", "mode": "read", "doc": "Get.", "idempotent": True, "digest": "1", "errors": []}
    tenant = {"name": "tenant", "type": NAME}
    found = {"kind": "nullable", "of": ENTRY}
    keys = {"name": "keys", "type": {"kind": "list", "max": 7, "of": NAME}}
    stale = {"name": "stale", "type": {"kind": "boolean"}, "optional": True}
    get = plain | {"name": "thing.get", "coalesce": "thing.get_many", "returns": found}
    get |= {"args": [tenant, {"name": "key", "type": NAME}, stale]}
    many = plain | {"name": "thing.get_many", "returns": {"kind": "list", "of": found}}
    many |= {"args": [tenant, keys, stale]}
    return {"digest": "0", "errors": CONTRACT["errors"], "procedures": [get, many | changes]}


def test_gets_are_coalesced_where_the_contract_says_so() -> None:
    text = python.module(coalesced())
    compile(text, "procedures.py", "exec")
    assert (
        'one="lycosa.thing.get", many="lycosa.thing.get_many", shared=("tenant", "stale", ), '
        'element="key", elements="keys", limit=7) if coalesce else None' in text
    )
    assert "await self._thing_get.ask((tenant, stale, ), key, timeout)" in text
    assert "self._thing_get_many" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "thing.other"},
        {"args": []},
        {"mode": "write"},
        {"packs": "rows"},
        {"returns": {"kind": "list", "of": ENTRY}},
        {"returns": {"kind": "nullable", "of": ENTRY}},
    ],
)
def test_what_is_no_list_of_the_other_is_not_coalesced(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"thing\.get "):
        python.module(coalesced(**changes))


def written(**changes: Any) -> dict[str, Any]:
    """A contract with a put that is called for many values at once, each with an outcome of its own."""
    plain = {
        "access": "app",
        "mode": "write",
        "doc": "Put.",
        "idempotent": False,
        "digest": "1",
        "errors": [],
    }
    tenant = {"name": "tenant", "type": NAME}
    key, value = {"name": "key", "type": NAME}, {"name": "value", "type": {"kind": "bytes", "max": 10**6}}
    kept = {"name": "kept", "type": {"kind": "boolean"}, "optional": True, "default": False}
    item = {"kind": "record", "name": "Item", "form": "map", "fields": [key, value, kept]}
    outcome = {
        "kind": "record", "name": "Outcome", "form": "array", "fields": [
            {"name": "answer", "type": {"kind": "nullable", "of": ENTRY}},
            {"name": "refused", "type": {"kind": "nullable", "of": {"kind": "text", "max": 9}}},
        ],
    }  # fmt: skip
    put = plain | {"name": "thing.put", "coalesce": "thing.put_many", "returns": ENTRY}
    put |= {"args": [tenant, key, value, kept | {"doc": "in other words"}]}
    many = plain | {"name": "thing.put_many", "returns": {"kind": "list", "of": outcome}}
    many |= {"args": [tenant, {"name": "items", "type": {"kind": "list", "max": 99, "of": item}}]}
    return {"digest": "0", "errors": CONTRACT["errors"], "procedures": [put, many | changes]}


def test_writes_are_coalesced_by_their_own_arguments_and_large_ones_are_not() -> None:
    text = python.module(written())
    compile(text, "procedures.py", "exec")
    assert (
        'shared=("tenant", ), element=None, elements="items", limit=32, reads=False, idempotent=False, '
        "refused=client.error_of) if coalesce else None" in text
    )
    assert "is not None and not (isinstance(value, (bytes, str)) and len(value) > 16384):" in text
    assert "await self._thing_put.ask((tenant, ), args, timeout)" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "read"},
        {"args": [{"name": "items", "type": {"kind": "list", "max": 9, "of": NAME}}]},
        {"returns": {"kind": "list", "of": ENTRY | {"name": "Other"}}},
        {"returns": {"kind": "list", "of": NAME}},
    ],
)
def test_what_is_no_list_of_the_writes_is_not_coalesced(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"thing\.put "):
        python.module(written(**changes))


def test_bytes_are_bytes_though_the_wire_gives_text() -> None:
    scope: dict[str, Any] = {}
    exec(compile(python.module(coalesced()), "procedures.py", "exec"), scope)
    decode = scope["_entry"]
    assert decode(["k", "é"]) == ("k", "é".encode())
    assert decode(["k", b"\xff", "new"]) == ("k", b"\xff")
