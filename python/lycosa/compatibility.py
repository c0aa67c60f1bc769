"""Whether a client made from one contract may talk to a server that has another.

A new procedure, a new optional argument, or a field at the end of a record of an answer is free. Anything else
differs, and the procedure that differs is named.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Described = Mapping[str, Any]

# What a type is made of, apart from its inner types. Bounds of arguments are the server's to widen.
_SHAPE = ("kind", "form", "values")


def differences(ours: Described, theirs: Described) -> list[str]:
    """What of `ours` (the contract the client was generated from) does not hold on the server, one line each.

    Each line begins with the procedure's name and a colon. Empty when every call of the client is understood.
    """
    served = {procedure["name"]: procedure for procedure in theirs["procedures"]}
    found: list[str] = []
    for procedure in ours["procedures"]:
        name = procedure["name"]
        other = served.get(name)
        if other is None:
            found.append(f"{name}: the server does not have it")
        elif other["digest"] != procedure["digest"]:
            found.extend(f"{name}: {line}" for line in _procedure_differences(procedure, other))
    return found


def _procedure_differences(ours: Described, theirs: Described) -> Iterator[str]:
    offered = {arg["name"]: arg for arg in theirs["args"]}
    for arg in ours["args"]:
        other = offered.pop(arg["name"], None)
        if other is None:
            yield f"argument {arg['name']} is gone"
        elif not _same(arg["type"], other["type"]):
            yield f"argument {arg['name']} changed its type"
        elif arg.get("optional") and not other.get("optional"):
            yield f"argument {arg['name']} is now required"
    for name, arg in offered.items():
        if not arg.get("optional"):
            yield f"argument {name} is new and required"
    if ours.get("packs") != theirs.get("packs") or not _same(ours["returns"], theirs["returns"]):
        yield "its answer changed"


def _same(ours: Described, theirs: Described) -> bool:
    """Whether a value of the server's type can be read (or one of ours accepted) as the same type."""
    if any(ours.get(part) != theirs.get(part) for part in _SHAPE):
        return False
    if ("of" in ours) != ("of" in theirs) or ("of" in ours and not _same(ours["of"], theirs["of"])):
        return False
    fields, others = ours.get("fields", []), theirs.get("fields", [])
    if len(others) < len(fields):
        return False
    return all(
        mine["name"] == other["name"] and _same(mine["type"], other["type"])
        for mine, other in zip(fields, others, strict=False)
    )
