"""docs/reference: a page a domain and one of errors, from the contract."""

from collections.abc import Iterator
from typing import Any

Type = dict[str, Any]

_NOTE = "<!-- GENERATED from the server's contract by `make contract`; do not edit. -->\n"


def _bounds(type_: Type, unit: str) -> str:
    low, high = type_.get("min"), type_.get("max")
    if low is not None and high is not None:
        return f" of {low}..{high}{unit}"
    if high is not None:
        return f" of at most {high}{unit}"
    return f" of at least {low}{unit}" if low is not None else ""


def words(type_: Type) -> str:
    """A type in words."""
    kind = type_["kind"]
    if kind in ("name", "text", "bytes"):
        return f"{kind}{_bounds(type_, ' bytes')}"
    if kind in ("integer", "number"):
        return f"{kind}{_bounds(type_, '')}"
    if kind == "time":
        return "unix seconds"
    if kind == "enum":
        return " \\| ".join(f"`{value}`" for value in type_["values"])
    if kind == "list":
        return f"list of {words(type_['of'])}{_bounds(type_, ' items').replace(' of ', ', ', 1)}"
    if kind == "map":
        return f"map of {words(type_['of'])}, at most {type_['max']} keys"
    if kind == "nullable":
        return f"{words(type_['of'])} or null"
    if kind == "repeated":
        return (
            f"{words(type_['of'])}; or the same as a string of MessagePack of at most {type_['max']:,} bytes"
        )
    if kind == "unchecked":
        return words(type_["of"]) if type_["of"]["kind"] != "none" else "data"
    if kind == "record":
        return f"[{type_['name']}](#{type_['name'].lower()})"
    return "nothing" if kind == "none" else str(kind)


def _records(type_: Type) -> Iterator[Type]:
    if type_["kind"] == "record":
        yield type_
    if "of" in type_:
        yield from _records(type_["of"])
    for field in type_.get("fields", []):
        yield from _records(field["type"])


def _field_rows(fields: list[Type]) -> Iterator[str]:
    for field in fields:
        need = "required"
        if field.get("default") is not None:
            need = f"`{field['default']}` when absent"
        elif field.get("optional"):
            need = "optional"
        yield f"| `{field['name']}` | {words(field['type'])} | {need} | {field.get('doc', '')} |"


def _procedure(procedure: Type) -> str:
    lines = [f"## {procedure['name']}\n", procedure["doc"].strip() + "\n"]
    repeat = "harmless to repeat" if procedure["idempotent"] else "not to be repeated blindly"
    lines.append(f"`{procedure['mode']}`, for role `lycosa_{procedure['access']}`, {repeat}.\n")
    if procedure["args"]:
        lines += ["| argument | type | | |", "|---|---|---|---|", *_field_rows(procedure["args"]), ""]
    lines.append(f"Answers {words(procedure['returns'])}.\n")
    if procedure["errors"]:
        lines.append("Raises " + ", ".join(f"[{code}](errors.md)" for code in procedure["errors"]) + ".\n")
    return "\n".join(lines)


def pages(contract: Type) -> dict[str, str]:
    """File name -> text."""
    domains: dict[str, list[Type]] = {}
    for procedure in contract["procedures"]:
        domains.setdefault(procedure["name"].split(".")[0], []).append(procedure)
    written: dict[str, str] = {}
    for domain, procedures in domains.items():
        parts = [_NOTE, f"# {domain}\n", *(_procedure(procedure) for procedure in procedures)]
        seen: set[str] = set()
        for procedure in procedures:
            for type_ in [*(arg["type"] for arg in procedure["args"]), procedure["returns"]]:
                for record in _records(type_):
                    if record["name"] not in seen:
                        seen.add(record["name"])
                        parts.append(f"## {record['name']}\n\n| field | type | | |\n|---|---|---|---|")
                        parts.append("\n".join(_field_rows(record["fields"])) + "\n")
        written[f"{domain}.md"] = "\n".join(parts)
    rows = [
        f"| `{code}` | {entry['kind']} | {entry['message']} |" for code, entry in contract["errors"].items()
    ]
    written["errors.md"] = "\n".join(
        [_NOTE, "# Errors\n", "| code | kind | message |", "|---|---|---|", *rows, ""]
    )
    index = [
        f"- [{domain}]({domain}.md): {len(procedures)} procedures" for domain, procedures in domains.items()
    ]
    written["README.md"] = "\n".join([_NOTE, "# Reference\n", *index, "- [errors](errors.md)", ""])
    return written
