"""Which procedure is called for many callers at once in place of another, and with what."""

from typing import Any, Final, NamedTuple

Type = dict[str, Any]

# Elements of one coalesced call. While the client takes the first answer of a tick apart, the server works on the
# next; with all elements in one call each would wait for the other.
_MOST_COALESCED: Final = 32
# Bytes of a value that is worth a call of its own: taking many such ones apart would hold the server.
LARGE: Final = 16_384
# Fields of the answer to one of many that are decided each alone.
_OUTCOME: Final = ("answer", "refused")


class Coalescing(NamedTuple):
    """How a procedure is called for many callers, see lycosa.coalescing.Coalescer."""

    many: str
    shared: list[str]
    element: str | None
    elements: str
    limit: int
    reads: bool
    idempotent: bool
    # Codes of errors with which the whole is refused.
    errors: list[str]
    # Whether each answer is a pair with an error of its own.
    outcomes: bool
    # Arguments of bytes that may be large.
    values: list[str]


def coalescing(procedure: Type, procedures: dict[str, Type]) -> Coalescing | None:
    """None when it is always called alone.

    The two procedures share arguments; what is left of one's is an element of the list that is left of the other's:
    the argument itself when it is a single one, else a record of them. The list is answered in order, by the same
    answers or by records of an answer or the error that refused it. Raises ValueError when that does not hold.
    """
    name, coalesce = procedure["name"], procedure.get("coalesce")
    if coalesce is None:
        return None
    many = procedures.get(coalesce)
    if many is None:
        raise ValueError(f"{name} is coalesced into {coalesce}, which is not declared")
    others = {arg["name"]: arg["type"] for arg in many["args"]}
    shared = [arg["name"] for arg in procedure["args"] if arg["type"] == others.get(arg["name"])]
    own = [arg for arg in procedure["args"] if arg["name"] not in shared]
    lists = [arg for arg in others if arg not in shared]
    fits = (
        own
        and len(lists) == 1
        and others[lists[0]]["kind"] == many["returns"]["kind"] == "list"
        and _is_element(own, others[lists[0]]["of"])
        and procedure["mode"] == many["mode"] != "wait"
        and not (procedure.get("packs") or many.get("packs"))
    )
    outcomes = bool(fits) and _is_outcome(procedure["returns"], many["returns"]["of"])
    if not fits or not (outcomes or many["returns"]["of"] == procedure["returns"]):
        raise ValueError(f"{name} cannot be coalesced into {coalesce}, which is not the same for a list")
    return Coalescing(
        many=coalesce,
        shared=shared,
        element=own[0]["name"] if len(own) == 1 else None,
        elements=lists[0],
        limit=min(_MOST_COALESCED, int(others[lists[0]]["max"])),
        reads=procedure["mode"] == "read",
        idempotent=procedure["idempotent"],
        errors=many["errors"],
        outcomes=outcomes,
        values=[
            arg["name"]
            for arg in own
            if arg["type"]["kind"] == "bytes" and arg["type"].get("max", LARGE) >= LARGE
        ],
    )


def _is_element(own: list[Type], element: Type) -> bool:
    if len(own) == 1:
        return bool(element == own[0]["type"])
    return element["kind"] == "record" and [_meaning(field) for field in element["fields"]] == [
        _meaning(arg) for arg in own
    ]


def _meaning(field: Type) -> tuple[object, ...]:
    return field["name"], field["type"], field.get("optional"), field.get("nullable"), field.get("default")


def _is_outcome(returns: Type, outcome: Type) -> bool:
    if outcome["kind"] != "record" or outcome["form"] == "map":
        return False
    types = [field["type"] for field in outcome["fields"]]
    return (
        tuple(field["name"] for field in outcome["fields"]) == _OUTCOME
        and all(type_["kind"] == "nullable" for type_ in types)
        and types[0]["of"] == returns
        and types[1]["of"]["kind"] == "text"
    )
