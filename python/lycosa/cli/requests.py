"""`lycosa requests`: the history of what was asked and answered, and its sums."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from lycosa.cli.command import Invocation, command
from lycosa.cli.customers import Cursor, Limit, SortOrder, note_page, timestamp
from lycosa.cli.output import moment, plain, record, span, sparkline, table
from lycosa.cli.session import open_session
from lycosa.errors import Invalid
from lycosa.services.requests import RequestLookUp


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="The history: questions, answers, sources, cost.")
    app.add_typer(group, name="requests")
    command(
        group,
        "list",
        examples=["lycosa requests list --customer S-001", "lycosa requests list --status failed"],
    )(find)
    command(group, "get", examples=["lycosa requests get 01J..."])(get)
    command(group, "totals", examples=["lycosa requests totals --first 2026-01-01 --kind analysis"])(totals)


async def find(
    run: Invocation,
    customer: Annotated[str | None, typer.Option(help="Of this customer: id or external id.")] = None,
    status: Annotated[str | None, typer.Option(help="done, degraded, failed or cancelled.")] = None,
    asked_from: Annotated[datetime | None, typer.Option("--from", help="Asked at or after (UTC).")] = None,
    asked_until: Annotated[datetime | None, typer.Option("--until", help="Asked before (UTC).")] = None,
    order: Annotated[SortOrder, typer.Option(help="desc: the newest first.")] = SortOrder.descending,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> None:
    """A page of requests in order of time, without their answers."""
    if customer and status:
        raise Invalid(
            "one look-up at a time, not customer and status",
            code="INVALID_ARGUMENT",
            details={"argument": "by"},
        )
    by: RequestLookUp = "customer" if customer else "status" if status else "time"
    async with open_session(run.settings) as session:
        value = status
        if customer:
            value = (await session.services.customers.locate(session.identity, customer)).id
        page = await session.services.requests.find(
            session.identity,
            by,
            value,
            created_from=timestamp(asked_from),
            created_until=timestamp(asked_until),
            order=order.value,
            cursor=cursor,
            limit=limit,
        )
    run.output.show(page, _listed(plain(page)["rows"]))
    if len(page.rows) > 2:
        took = [row.duration_ms for row in sorted(page.rows, key=lambda row: row.created_at)]
        run.output.note(f"took, from the oldest to the newest: {sparkline(took)}")
    note_page(run, len(page.rows), page.next, page.previous)


def _listed(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        "asked (UTC)",
        "id",
        "customer",
        "kind",
        "status",
        "model",
        "tokens",
        "took",
        "cached",
        "question",
    ]
    shown = [
        [
            moment(row["created_at"]),
            row["id"],
            row["customer_id"],
            row["kind"],
            row["status"],
            row["model"],
            row["tokens_in"] + row["tokens_out"],
            span(row["duration_ms"]),
            row["cached"],
            row["question"][:60],
        ]
        for row in rows
    ]
    return table(columns, shown, right=["tokens", "took"])


async def get(
    run: Invocation, key: Annotated[str, typer.Argument(metavar="ID", help="The request's id.")]
) -> None:
    """One request with its answer and its sources."""
    async with open_session(run.settings) as session:
        found = await session.services.requests.get(session.identity, key)
    request = found.request
    run.output.show(
        found,
        record(
            {
                "id": request.id,
                "asked": f"{moment(request.created_at)} UTC",
                "customer": request.customer_id,
                "kind": request.kind,
                "status": request.status,
                "question": request.question,
                "model": request.model,
                "tokens": f"{request.tokens_in} in, {request.tokens_out} out",
                "cost": f"{request.cost_microusd / 1e6:.6f} USD",
                "took": span(request.duration_ms),
                "cached": request.cached,
                "error": request.error,
                "answer": _prose(request.answer),
            }
        ),
        "",
        table(
            ["#", "kind", "ref", "title", "quote"],
            [
                [source.position, source.kind, source.ref, source.title, source.quote]
                for source in found.sources
            ],
            right=["#"],
        ),
    )


def _prose(answer: str | None) -> str | None:
    """Of a report its summary, any other answer as it is; --json shows all."""
    try:
        found = json.loads(answer or "")
    except ValueError:
        return answer
    return str(found["summary"]) if isinstance(found, dict) and "summary" in found else answer


async def totals(
    run: Invocation,
    first: Annotated[datetime | None, typer.Option(help="First day (UTC).")] = None,
    last: Annotated[datetime | None, typer.Option(help="Last day (UTC).")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as analysis.")] = None,
) -> None:
    """Sums of requests, cost and tokens over at most 366 days; the last 30 when none are given."""
    async with open_session(run.settings) as session:
        sums = await session.services.requests.totals(
            session.identity,
            first=first.date() if first else None,
            last=last.date() if last else None,
            kind=kind,
        )
    run.output.show(
        sums,
        record(
            {
                "requests": sums.requests,
                "from the cache": sums.cached,
                "failed": sums.failed,
                "cost": f"{sums.cost_microusd / 1e6:.6f} USD",
                "tokens in": sums.tokens_in,
                "tokens out": sums.tokens_out,
            }
        ),
    )
