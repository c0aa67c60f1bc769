"""`lycosa quotas`: list, define, report, reset, remove, reservations, reconcile."""

from decimal import Decimal, DecimalException
from enum import StrEnum
from typing import Annotated, Any

import typer

from lycosa.cli.command import Invocation, command
from lycosa.cli.customers import Cursor, confirm, note_page
from lycosa.cli.output import bar, moment, record, table
from lycosa.cli.session import Session, open_session
from lycosa.errors import Invalid, NotFound
from lycosa.services.amounts import (
    shown_limit,
    shown_report,
    shown_reservation,
    smallest_units,
    units_by_quota,
)
from lycosa.services.quotas import QuotaKind

Name = Annotated[str, typer.Argument(metavar="NAME", help="The limit's name.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="Rows of the page.")]


class Window(StrEnum):
    """How long a window counts."""

    minute = "minute"
    hour = "hour"
    day = "day"
    month = "month"
    total = "total"


class State(StrEnum):
    """What became of a reservation."""

    reserved = "reserved"
    unknown = "unknown"
    lapsed = "lapsed"
    settled = "settled"
    refunded = "refunded"
    reconciled = "reconciled"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Quotas: limits, what is left of them, reservations.")
    app.add_typer(group, name="quotas")
    command(group, "list", examples=["lycosa quotas list"])(find)
    command(
        group,
        "define",
        examples=[
            "lycosa quotas define search 100 --period 60 --burst 20",
            "lycosa quotas define usd.month 25.00 --window month --scale 2 --unit USD --time-zone Europe/Moscow",
            "lycosa quotas define models 4 --slots",
        ],
    )(define)
    command(group, "report", examples=["lycosa quotas report", "lycosa quotas report usd.month --json"])(
        report
    )
    command(group, "reset", examples=["lycosa quotas reset usd.month --yes"])(reset)
    command(group, "remove", examples=["lycosa quotas remove usd.month --yes"])(remove)
    command(
        group,
        "reservations",
        examples=["lycosa quotas reservations", "lycosa quotas reservations --state reserved"],
    )(reservations)
    command(group, "reconcile", examples=["lycosa quotas reconcile r-17 usd.month=0.42"])(reconcile)


async def find(run: Invocation, cursor: Cursor = None, limit: Limit = 20) -> None:
    """A page of limits by name, as they were defined."""
    async with open_session(run.settings) as session:
        page = await session.services.quotas.find(session.identity, cursor=cursor, limit=limit)
    rows = [shown_limit(row) for row in page.rows]
    run.output.show(
        {"rows": rows, "next": page.next, "previous": page.previous},
        table(
            ["quota", "kind", "amount", "unit", "counts", "shadow", "changed (UTC)"],
            [
                [
                    row["quota"],
                    row["kind"],
                    row["amount"],
                    row["unit"],
                    _counts(row),
                    row["shadow"],
                    moment(row["updated_at"]),
                ]
                for row in rows
            ],
            right=["amount"],
        ),
    )
    note_page(run, len(rows), page.next, page.previous)


def _counts(row: dict[str, Any]) -> str:
    """How a limit counts, in words."""
    if row["kind"] == "rate":
        return f"in {row['period']:g} s, {row['burst']} at once"
    if row["kind"] == "window":
        ends = row["window"] != "total"
        return f"{'a ' if ends else 'in '}{row['window']}{' in ' + row['time_zone'] if ends else ''}"
    return "at a time"


async def define(
    run: Invocation,
    name: Name,
    amount: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="The limit, with at most --scale decimals.")
    ],
    period: Annotated[
        float | None, typer.Option(help="A rate: seconds in which the amount flows in.")
    ] = None,
    burst: Annotated[
        str | None, typer.Option(help="Of a rate: how much at once; the amount when absent.")
    ] = None,
    window: Annotated[Window | None, typer.Option(help="A window: how long it counts.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of a window: an IANA name; UTC when absent.")] = None,
    slots: Annotated[bool, typer.Option("--slots", help="Slots: as many reservations at a time.")] = False,
    unit: Annotated[str, typer.Option(help="What is counted, such as USD.")] = "",
    scale: Annotated[int, typer.Option(min=0, max=9, help="Decimals of the smallest amount.")] = 0,
    shadow: Annotated[bool, typer.Option("--shadow", help="Count and report, refuse nothing.")] = False,
) -> None:
    """Define a limit, or change one: a change keeps what is counted."""
    async with open_session(run.settings) as session:
        row = await session.services.quotas.define(
            session.identity,
            name,
            _kind(period, window, slots),
            smallest_units(_decimal("AMOUNT", amount), scale),
            unit=unit,
            scale=scale,
            shadow=shadow,
            period=period,
            burst=None if burst is None else smallest_units(_decimal("--burst", burst), scale, "burst"),
            window=None if window is None else window.value,
            time_zone=time_zone,
        )
    shown = shown_limit(row)
    run.output.show(
        shown,
        record(
            {
                "quota": row.quota,
                "kind": row.kind,
                "amount": f"{shown['amount']} {row.unit}".rstrip(),
                "counts": _counts(shown),
                "shadow": row.shadow or None,
            }
        ),
    )


def _kind(period: float | None, window: Window | None, slots: bool) -> QuotaKind:
    """The kind that the options speak of. Raises Invalid unless they speak of one."""
    kinds: list[tuple[QuotaKind, bool]] = [
        ("rate", period is not None),
        ("window", window is not None),
        ("slots", slots),
    ]
    given = [kind for kind, wanted in kinds if wanted]
    if len(given) != 1:
        raise Invalid(
            "a limit has one kind: give --period, --window or --slots",
            code="INVALID_ARGUMENT",
            details={"argument": "kind"},
        )
    return given[0]


def _decimal(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except DecimalException:
        raise Invalid(
            f"{name}: {text[:40]!r} is no number", code="INVALID_ARGUMENT", details={"argument": name}
        ) from None


async def report(
    run: Invocation,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="A page of all when absent.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> None:
    """What is used, reserved, unknown and left of limits, and when they reset."""
    async with open_session(run.settings) as session:
        page = await session.services.quotas.report(
            session.identity, names or None, cursor=cursor, limit=limit
        )
    rows = [shown_report(row) for row in page.rows]
    shown = [
        [
            row["quota"],
            row["limit"],
            row["used"],
            row["reserved"],
            row["unknown"],
            row["left"],
            row["unit"],
            bar(1 - float(row["left"]) / float(row["limit"]) if float(row["limit"]) else 1.0, 1.0, 10),
            moment(row["reset"]),
            ", ".join(mark for mark in ("near", "shadow") if row[mark])
            + (f" over by {row['over']}" if float(row["over"]) else ""),
        ]
        for row in rows
    ]
    numbers = ["limit", "used", "reserved", "unknown", "left"]
    run.output.show(
        {"rows": rows, "next": page.next, "previous": page.previous},
        table(["quota", *numbers, "unit", "taken", "resets (UTC)", ""], shown, right=numbers),
    )
    note_page(run, len(rows), page.next, page.previous)


async def reset(
    run: Invocation, name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Forget what was used and what is unknown; what is reserved stays."""
    confirm(run, f"Forget what was counted of {name} of tenant {run.settings.tenant}?", yes)
    async with open_session(run.settings) as session:
        await session.services.quotas.reset(session.identity, name)
    run.output.show({"quota": name, "reset": True}, f"reset {name}")


async def remove(
    run: Invocation, name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Remove a limit with what it counted. One that open reservations hold is not removed."""
    confirm(run, f"Remove {name} of tenant {run.settings.tenant}?", yes)
    async with open_session(run.settings) as session:
        removed = await session.services.quotas.remove(session.identity, name)
    if not removed:
        raise NotFound(f"quota {name} is not defined", code="QUOTA_UNKNOWN", details={"quota": name})
    run.output.show({"quota": name, "removed": True}, f"removed {name}")


async def reservations(
    run: Invocation,
    state: Annotated[State, typer.Option(help="Which.")] = State.unknown,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> None:
    """A page of reservations, those whose lease ends first at the top; the unknown ones when nothing is said."""
    async with open_session(run.settings) as session:
        page = await session.services.quotas.reservations(
            session.identity, state.value, cursor=cursor, limit=limit
        )
        scales = await _scales(session, page.rows)
    rows = [shown_reservation(row, scales) for row in page.rows]
    run.output.show(
        {"rows": rows, "next": page.next, "previous": page.previous},
        table(
            ["id", "state", "made (UTC)", "lease ends (UTC)", "claims"],
            [
                [row["id"], row["state"], moment(row["created_at"]), moment(row["lapses_at"]), _claims(row)]
                for row in rows
            ],
        ),
    )
    note_page(run, len(rows), page.next, page.previous)


async def reconcile(
    run: Invocation,
    reservation: Annotated[str, typer.Argument(metavar="ID", help="Of an unknown reservation.")],
    spent: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=AMOUNT]...", help="What was spent where it is not what was reserved."),
    ] = None,
) -> None:
    """Say what was really spent of a reservation that was never settled."""
    amounts: dict[str, Decimal] = {}
    for word in spent or ():
        name, equals, amount = word.rpartition("=")
        if not equals or not name or name in amounts:
            raise Invalid(
                f"{word[:80]!r}: give each limit once, as NAME=AMOUNT",
                code="INVALID_ARGUMENT",
                details={"argument": "amounts"},
            )
        amounts[name] = _decimal(name, amount)
    async with open_session(run.settings) as session:
        held = await session.services.quotas.reservation(session.identity, reservation)
        scales = await _scales(session, [held])
        closed = await session.services.quotas.reconcile(
            session.identity, reservation, units_by_quota(amounts, scales)
        )
    shown = shown_reservation(closed, scales)
    run.output.show(shown, record({"id": closed.id, "state": closed.state, "claims": _claims(shown)}))


async def _scales(session: Session, rows: list[Any]) -> dict[str, int]:
    names = {claim.quota for row in rows for claim in row.claims}
    return await session.services.quotas.scales(session.identity, names)


def _claims(row: dict[str, Any]) -> str:
    return ", ".join(
        f"{claim['quota']} {claim['amount']}"
        + ("" if claim["spent"] in (None, claim["amount"]) else f" (spent {claim['spent']})")
        for claim in row["claims"]
    )
