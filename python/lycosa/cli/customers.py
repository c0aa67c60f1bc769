"""`lycosa customers`: get, list, segments, delete."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from lycosa.cli.command import Invocation, command
from lycosa.cli.output import bar, day, moment, money, record, table
from lycosa.cli.session import open_session
from lycosa.errors import Invalid
from lycosa.services.customers import LookUp

Key = Annotated[str, typer.Argument(metavar="ID", help="Its id, or its external id.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Rows of the page.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Of another page of the same query.")]


class SortOrder(StrEnum):
    """Which end of an index comes first."""

    ascending = "asc"
    descending = "desc"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Customers: look-ups, segment figures, deletion.")
    app.add_typer(group, name="customers")
    command(group, "get", examples=["lycosa customers get S-001"])(get)
    command(
        group,
        "list",
        examples=[
            "lycosa customers list --segment enterprise --since-from 2020-01-01",
            "lycosa customers list --name-prefix янд",
            "lycosa customers list --tag cloud -n 100 --json",
        ],
    )(find)
    command(group, "segments", examples=["lycosa customers segments"])(segments)
    command(group, "delete", examples=["lycosa customers delete S-001 S-002 --yes"])(delete)


async def get(run: Invocation, key: Key) -> None:
    """One customer, whole."""
    async with open_session(run.settings) as session:
        customer = await session.services.customers.locate(session.identity, key)
    run.output.show(
        customer,
        record(
            {
                "id": customer.id,
                "external id": customer.external_id if customer.external_id != customer.id else None,
                "name": customer.name,
                "segment": customer.segment,
                "tags": customer.tags,
                "country": customer.country,
                "industry": customer.industry,
                "email": customer.email,
                "revenue": money(customer.revenue_cents),
                "orders": customer.orders,
                "since": day(customer.since),
                **{f"profile.{name}": str(value) for name, value in sorted(customer.profile.items())},
                "version": f"{customer.version}, updated {moment(customer.updated_at)} UTC",
            }
        ),
    )


async def find(
    run: Invocation,
    external_id: Annotated[str | None, typer.Option(help="Equal.")] = None,
    email: Annotated[str | None, typer.Option(help="Equal, in any case.")] = None,
    segment: Annotated[str | None, typer.Option(help="Equal; ordered by since.")] = None,
    tag: Annotated[str | None, typer.Option(help="Has this tag.")] = None,
    name_prefix: Annotated[str | None, typer.Option(help="Begins so, in any case.")] = None,
    since_from: Annotated[datetime | None, typer.Option(help="With --segment: since then (UTC).")] = None,
    since_until: Annotated[datetime | None, typer.Option(help="With --segment: before then (UTC).")] = None,
    order: Annotated[SortOrder, typer.Option(help="Order of the index.")] = SortOrder.ascending,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> None:
    """A page of customers by one look-up, all of them by id when none is given."""
    by, value = _look_up(external_id=external_id, email=email, segment=segment, tag=tag, name=name_prefix)
    async with open_session(run.settings) as session:
        page = await session.services.customers.find(
            session.identity,
            by,
            value,
            since_from=timestamp(since_from),
            since_until=timestamp(since_until),
            order=order.value,
            cursor=cursor,
            limit=limit,
        )
    run.output.show(
        page,
        table(
            ["id", "name", "segment", "country", "industry", "revenue", "orders", "since"],
            [
                [
                    customer.id,
                    customer.name,
                    customer.segment,
                    customer.country,
                    customer.industry,
                    money(customer.revenue_cents),
                    customer.orders,
                    day(customer.since),
                ]
                for customer in page.rows
            ],
            right=["revenue", "orders"],
        ),
    )
    note_page(run, len(page.rows), page.next, page.previous)


def _look_up(**given: str | None) -> tuple[LookUp, str | None]:
    named = {by: value for by, value in given.items() if value is not None}
    if not named:
        return "all", None
    if len(named) > 1:
        raise Invalid(
            f"one look-up at a time, not {' and '.join(named)}",
            code="INVALID_ARGUMENT",
            details={"argument": "by"},
        )
    [(by, value)] = named.items()
    return by, value  # type: ignore[return-value]


def timestamp(moment: datetime | None) -> float | None:
    """A date of the command line, which is in UTC, as unix seconds."""
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def note_page(run: Invocation, rows: int, following: str | None, previous: str | None) -> None:
    """Say beside a page how many rows it has and how to turn it."""
    run.output.note(f"{rows} row{'' if rows == 1 else 's'}")
    for label, cursor in (("next", following), ("previous", previous)):
        if cursor:
            run.output.note(f"{label} page: --cursor {cursor}")


async def segments(run: Invocation, cursor: Cursor = None, limit: Limit = 20) -> None:
    """Customers, revenue and orders by segment, kept by every write."""
    async with open_session(run.settings) as session:
        page = await session.services.customers.segments(session.identity, cursor=cursor, limit=limit)
    largest = max((row.revenue_cents for row in page.rows), default=0)
    run.output.show(
        page,
        table(
            ["segment", "customers", "orders", "revenue", ""],
            [
                [
                    row.segment or "(none)",
                    row.customers,
                    row.orders,
                    money(row.revenue_cents),
                    bar(row.revenue_cents, largest),
                ]
                for row in page.rows
            ],
            right=["customers", "orders", "revenue"],
        ),
    )
    note_page(run, len(page.rows), page.next, page.previous)


async def delete(
    run: Invocation,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids; unknown ones are passed over.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete customers by id. Their documents and history stay."""
    confirm(run, f"Delete {len(ids)} customer(s) of tenant {run.settings.tenant}?", yes)
    async with open_session(run.settings) as session:
        deleted = await session.services.customers.delete(session.identity, ids)
    run.output.show({"deleted": deleted}, f"deleted {deleted} of {len(ids)}")


def confirm(run: Invocation, question: str, yes: bool) -> None:
    """Ask before what cannot be undone; a program says --yes."""
    if yes:
        return
    if not run.output.live:
        raise Invalid(
            "nobody is here to confirm; say --yes", code="NOT_CONFIRMED", details={"argument": "yes"}
        )
    if not typer.confirm(question, err=True):
        raise typer.Abort
