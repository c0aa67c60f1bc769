"""procedures.py: one typed async method a procedure, its records and its error classes."""

import keyword
import textwrap
from collections.abc import Iterator
from typing import Any

from lycosa.codegen.coalescing import LARGE, Coalescing, coalescing

Type = dict[str, Any]

_SCALARS = {
    "name": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "time": "float",
    "boolean": "bool",
    "bytes": "bytes",
    "scalar": "Scalar",
    "none": "None",
}

_HEADER = '''"""GENERATED from the server's contract by `make contract`; do not edit."""

# ruff: noqa: E501

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal, NamedTuple, Required, TypedDict

from ormsgpack import packb, unpackb

from lycosa.client import Client
from lycosa.coalescing import Coalescer
from lycosa.errors import Conflict, Denied, Exhausted, Invalid, LycosaError, NotFound, Unavailable
from lycosa.settings import Settings

Scalar = str | int | float | bool

# What NamedTuple._make does, for a third of its time.
_new = tuple.__new__


def _bytes(value: Any) -> Any:
    """Bytes that happen to be UTF-8 arrive as text."""
    return value.encode() if type(value) is str else value


def _repeated(argument: str, value: Any, longest: int) -> Any:
    """A value that the server takes apart once, however often it is sent."""
    try:
        packed = packb(value)
    except TypeError as problem:
        raise Invalid.argument(argument, f"cannot be packed: {problem}") from None
    return packed if len(packed) <= longest else value

'''

_FOOTER = '''

def contract() -> dict[str, Any]:
    """The contract that this module was generated from."""
    loaded: dict[str, Any] = json.loads(files("lycosa").joinpath("contract.json").read_text(encoding="utf-8"))
    return loaded


def connect(settings: Settings) -> Client:
    """A client that compares contracts on connecting and raises this module's error classes. Not yet open."""
    return Client(settings, contract=contract(), error_classes=ERRORS)
'''


def class_name(code: str) -> str:
    """`QUOTA_EXCEEDED` -> `QuotaExceeded`."""
    return "".join(part.capitalize() for part in code.split("_"))


def kind_class(kind: str) -> str:
    """`not_found` -> `NotFound`."""
    return class_name(kind.upper())


def hint(type_: Type, *, argument: bool) -> str:
    """The annotation of a type, as an argument or as part of an answer."""
    kind = type_["kind"]
    if kind == "bytes" and argument:
        return "bytes | str"
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "enum":
        return "Literal[" + ", ".join(f'"{value}"' for value in type_["values"]) + "]"
    if kind == "nullable":
        return f"{hint(type_['of'], argument=argument)} | None"
    if kind == "repeated":
        return hint(type_["of"], argument=argument)
    if kind == "list":
        container = "Sequence" if argument else "list"
        return f"{container}[{hint(type_['of'], argument=argument)}]"
    if kind == "map":
        container = "Mapping" if argument else "dict"
        return f"{container}[str, {hint(type_['of'], argument=argument)}]"
    if kind == "unchecked":
        if type_["of"]["kind"] == "none":
            return "Any"
        return f"{hint(type_['of'], argument=argument)} | Mapping[str, object]"
    if kind == "record":
        return str(type_["name"])
    raise ValueError(f"type {kind} is not known to the generator")


def _is_plain(type_: Type) -> bool:
    """Whether a value of it is used as it came."""
    if type_["kind"] in ("record", "bytes"):
        return False
    return _is_plain(type_["of"]) if "of" in type_ else True


def decode(type_: Type, value: str) -> str:
    """The expression that turns the wire's value into the record types."""
    kind = type_["kind"]
    if kind == "map" and _is_plain(type_):
        return f"{value} or {{}}"
    if _is_plain(type_):
        return value
    if kind == "nullable":
        return f"None if {value} is None else {decode(type_['of'], value)}"
    if kind == "list":
        return f"[{decode(type_['of'], 'item')} for item in {value}]"
    if kind == "map":
        return f"{{key: {decode(type_['of'], 'item')} for key, item in ({value} or {{}}).items()}}"
    if kind == "record":
        return f"{_decoder(type_)}({value})"
    if kind == "bytes":
        return f"_bytes({value})"
    raise ValueError(f"type {kind} is not known to the generator")


def _decoder(record: Type) -> str:
    return f"_{record['name'].lower()}"


def _records(type_: Type) -> Iterator[Type]:
    """Inner records first, so that classes stand before their use."""
    if "of" in type_:
        yield from _records(type_["of"])
    for field in type_.get("fields", []):
        yield from _records(field["type"])
    if type_["kind"] == "record":
        yield type_


def _field_name(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _answer_record(record: Type) -> str:
    name, fields = record["name"], record["fields"]
    lines = [f"class {name}(NamedTuple):"]
    lines.append(f'    """{name} as the store answers it."""\n')
    for field in fields:
        optional = field.get("optional") and not hint(field["type"], argument=False).endswith("None")
        lines.append(
            f"    {_field_name(field['name'])}: {hint(field['type'], argument=False)}{' | None' if optional else ''}"
        )
    lines.append(f"\n\ndef {_decoder(record)}(value: Any) -> {name}:")
    if record.get("form") in ("tuple", "array"):
        if all(_is_plain(field["type"]) or field["type"]["kind"] == "bytes" for field in fields):
            count = len(fields)
            for position, field in enumerate(fields):
                if field["type"]["kind"] == "bytes":
                    # In place: the list is ours, and building the record field by field costs three times as much.
                    lines.append(f"    value[{position}] = _bytes(value[{position}])")
            lines.append(f"    return _new({name}, value if len(value) == {count} else value[:{count}])")
        else:
            parts = "".join(f"{decode(field['type'], f'value[{i}]')}, " for i, field in enumerate(fields))
            lines.append(f"    return _new({name}, ({parts}))")
    else:
        parts = ",\n".join(
            "        "
            + decode(
                field["type"],
                f'value.get("{field["name"]}")'
                if field.get("optional") or field["type"]["kind"] == "nullable"
                else f'value["{field["name"]}"]',
            )
            for field in fields
        )
        lines.append(f"    return _new({name}, (\n{parts},\n    ))")
    return "\n".join(lines)


def _argument_record(record: Type) -> str:
    lines = [f"class {record['name']}(TypedDict, total=False):"]
    lines.append(f'    """{record["name"]} as the store takes it."""\n')
    for field in record["fields"]:
        annotation = hint(field["type"], argument=True)
        if not field.get("optional"):
            annotation = f"Required[{annotation}]"
        elif field.get("nullable"):
            annotation = f"{annotation} | None"
        lines.append(f"    {field['name']}: {annotation}")
    return "\n".join(lines)


def _attribute(name: str) -> str:
    return f"_{name.replace('.', '_')}"


def _constructor(procedures: dict[str, Type]) -> str:
    found = [(name, how) for name in procedures if (how := coalescing(procedures[name], procedures))]
    lines = [
        "    def __init__(self, client: Client, *, coalesce: bool = True) -> None:",
        '        """Over an open (or starting) client. `coalesce` sends calls of one tick as one."""',
        "        self._call: Callable[..., Awaitable[Any]] = client.call",
        "        self._wait: Callable[..., Awaitable[Any]] = client.wait",
        "        # Unix seconds by the server's wall clock.",
        "        self.server_time = client.server_time",
    ]
    for name, how in found:
        element = f'"{how.element}"' if how.element else "None"
        refusals = ", ".join(["Invalid", *(class_name(code) for code in how.errors)])
        options = "" if how.reads else ", reads=False"
        options += "" if how.idempotent else ", idempotent=False"
        options += f", refusals=({refusals})" if how.errors else ""
        options += ", refused=client.error_of" if how.outcomes else ""
        lines.append(
            f'        self.{_attribute(name)} = Coalescer(client.send, one="lycosa.{name}", '
            f'many="lycosa.{how.many}", shared=({_listed(how.shared, quoted=True)}), element={element}, '
            f'elements="{how.elements}", limit={how.limit}{options}) if coalesce else None'
        )
    return "\n".join(lines)


def _listed(names: list[str], *, quoted: bool) -> str:
    """Inside of a tuple, of one name too."""
    return "".join(f'"{name}", ' if quoted else f"{_field_name(name)}, " for name in names)


def _gathered(args: list[Type]) -> list[str]:
    """The lines that put what is given of some arguments into a map."""
    literal = ", ".join(f'"{arg["name"]}": {_sent(arg)}' for arg in args if not arg.get("optional"))
    lines = [f"args: dict[str, Any] = {{{literal}}}"]
    for arg in args:
        if arg.get("optional"):
            lines.append(f"if {_field_name(arg['name'])} is not None:")
            lines.append(f'    args["{arg["name"]}"] = {_sent(arg)}')
    return lines


def _sent(arg: Type) -> str:
    """The expression of an argument as it goes to the wire."""
    name = _field_name(arg["name"])
    if arg["type"]["kind"] == "repeated":
        return f'_repeated("{arg["name"]}", {name}, {arg["type"]["max"]})'
    return name


def _sending(procedure: Type) -> str:
    name = procedure["name"]
    options = "" if procedure["idempotent"] else ", idempotent=False"
    options += ", packed=True" if procedure.get("packs") else ""
    send = "_wait" if procedure["mode"] == "wait" else "_call"
    answer = "" if procedure["returns"]["kind"] == "none" else "answer = "
    return f'{answer}await self.{send}("lycosa.{name}", args, timeout{options})'


def _asking(procedure: Type, how: Coalescing | None) -> list[str]:
    """The lines that send the arguments and take the answer."""
    alone = [*_gathered(procedure["args"]), _sending(procedure)]
    if how is None:
        return alone
    attribute, shared = _attribute(procedure["name"]), _listed(how.shared, quoted=False)
    lines, element = [], "args"
    if how.element is None:
        lines = _gathered([arg for arg in procedure["args"] if arg["name"] not in how.shared])
        rest = [arg for arg in procedure["args"] if arg["name"] in how.shared]
        alone = [line.replace("args: dict[str, Any] =", "args |=") for line in _gathered(rest)]
        alone.append(_sending(procedure))
    else:
        element = _field_name(how.element)
    small = "".join(
        f" and not (isinstance({value}, (bytes, str)) and len({value}) > {LARGE})"
        for value in map(_field_name, how.values)
    )
    return [
        *lines,
        f"if self.{attribute} is not None{small}:",
        f"    answer = await self.{attribute}.ask(({shared}), {element}, timeout)",
        "else:",
        *(f"    {line}" for line in alone),
    ]


def _method(procedure: Type, procedures: dict[str, Type]) -> str:
    name, args = procedure["name"], procedure["args"]
    required = [arg for arg in args if not arg.get("optional")]
    optional = [arg for arg in args if arg.get("optional")]
    signature = [f"{_field_name(arg['name'])}: {hint(arg['type'], argument=True)}" for arg in required]
    signature += [
        f"{_field_name(arg['name'])}: {hint(arg['type'], argument=True)} | None = None" for arg in optional
    ]
    signature.append("timeout: float | None = None")
    returns = hint(procedure["returns"], argument=False)
    lines = [f"    async def {name.replace('.', '_')}(self, *, {', '.join(signature)}) -> {returns}:"]
    lines.append(textwrap.indent(_docstring(procedure), "        "))
    lines += [f"        {line}" for line in _asking(procedure, coalescing(procedure, procedures))]
    if procedure["returns"]["kind"] == "none":
        return "\n".join(lines)
    if procedure.get("packs"):
        lines.append(f'        answer["{procedure["packs"]}"] = unpackb(answer["{procedure["packs"]}"])')
    answer = decode(procedure["returns"], "answer")
    if answer == "answer":
        lines.append(f"        result: {returns} = answer")
        answer = "result"
    lines.append(f"        return {answer}")
    return "\n".join(lines)


def _docstring(procedure: Type) -> str:
    text = procedure["doc"].strip()
    notes = [f"{arg['name']}: {arg['doc']}" for arg in procedure["args"] if arg.get("doc")]
    if procedure["errors"]:
        notes.append("Raises " + ", ".join(class_name(code) for code in procedure["errors"]) + ".")
    if not notes and "\n" not in text:
        return f'"""{text}"""'
    body = "\n\n".join([text, "\n".join(notes)]) if notes else text
    return f'"""{body}\n"""'


def module(contract: Type) -> str:
    """The whole text of procedures.py."""
    parts = [_HEADER]
    for code, entry in contract["errors"].items():
        parts.append(
            f"class {class_name(code)}({kind_class(entry['kind'])}):\n"
            f'    """{entry["message"]}"""\n\n    code = "{code}"\n\n'
        )
    codes = ",\n".join(f'    "{code}": {class_name(code)}' for code in contract["errors"])
    parts.append(f"ERRORS: dict[str, type[LycosaError]] = {{\n{codes},\n}}\n\n")
    seen: dict[str, Type] = {}
    for procedure in contract["procedures"]:
        arguments = [(arg["type"], _argument_record) for arg in procedure["args"]]
        for type_, render in [*arguments, (procedure["returns"], _answer_record)]:
            for record in _records(type_):
                if record["name"] not in seen:
                    seen[record["name"]] = record
                    parts.append(render(record) + "\n\n")
                elif seen[record["name"]] != record:
                    raise ValueError(f"two different records are called {record['name']}")
    parts.append(
        'class Procedures:\n    """Every procedure of the store: one map of arguments, checked by the store."""\n\n'
    )
    procedures = {procedure["name"]: procedure for procedure in contract["procedures"]}
    parts.append(_constructor(procedures) + "\n\n")
    parts.append("\n\n".join(_method(procedure, procedures) for procedure in contract["procedures"]))
    parts.append("\n" + _FOOTER)
    return "\n".join(parts)
