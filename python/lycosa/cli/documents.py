"""`lycosa documents`: search, get, list, delete."""

from typing import Annotated

import typer
from rich.text import Text

from lycosa.cli.command import Invocation, command
from lycosa.cli.customers import Cursor, Limit, confirm, note_page
from lycosa.cli.output import clean, moment, record, table
from lycosa.cli.session import open_session

Customer = Annotated[str | None, typer.Option("--customer", help="Of this customer: id or external id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Documents: search, reading, deletion.")
    app.add_typer(group, name="documents")
    command(
        group,
        "search",
        examples=[
            'lycosa documents search "history of search engines"',
            'lycosa documents search "поисковая система" --customer S-001 -n 3',
        ],
    )(search)
    command(group, "get", examples=["lycosa documents get doc-s001-en-1"])(get)
    command(group, "list", examples=["lycosa documents list --customer S-001"])(find)
    command(group, "delete", examples=["lycosa documents delete doc-s001-en-1 --yes"])(delete)


async def search(
    run: Invocation,
    query: Annotated[str, typer.Argument(help="Words, English or Russian, in any form.")],
    customer: Customer = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as note.")] = None,
    general: Annotated[
        bool, typer.Option("--general", help="With --customer: also those of no customer.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="Hits.")] = 10,
) -> None:
    """The best passages for a query, by BM25, each document once."""
    async with open_session(run.settings) as session:
        owner = None
        if customer is not None:
            owner = (await session.services.customers.locate(session.identity, customer)).id
        answer = await session.services.documents.search(
            session.identity, query, customer_id=owner, kind=kind, include_general=general, limit=limit
        )
    run.output.show(answer)
    if run.output.json:
        return
    for rank, hit in enumerate(answer.hits, 1):
        run.output.print(Text(clean(f"{rank}. {hit.title}"), style="bold"))
        run.output.print(
            Text(
                clean(
                    f"   {hit.score:.2f}  {hit.id}#{hit.chunk}  {hit.kind}"
                    f"{f'  of {hit.customer_id}' if hit.customer_id else ''}{f'  {hit.source}' if hit.source else ''}"
                ),
                style="dim",
            )
        )
        run.output.print(Text("   " + clean(" ".join(hit.text.split()))))
    if not answer.hits:
        run.output.print("nothing found")
    run.output.note(
        f"{answer.examined:,} postings examined{', the bound of one query' if answer.bounded else ''}"
    )
    if answer.waiting:
        run.output.note(f"{answer.waiting:,} documents wait to be indexed")


async def get(
    run: Invocation, key: Annotated[str, typer.Argument(metavar="ID", help="The document's id.")]
) -> None:
    """One document with its text."""
    async with open_session(run.settings) as session:
        found = await session.services.documents.get(session.identity, key)
    document = found.document
    run.output.show(
        found,
        record(
            {
                "id": document.id,
                "title": document.title,
                "kind": document.kind,
                "language": document.language,
                "customer": document.customer_id,
                "source": document.source,
                "created": f"{moment(document.created_at)} UTC",
                "passages": document.chunks,
            }
        ),
        "",
        found.text,
    )


async def find(run: Invocation, customer: Customer = None, cursor: Cursor = None, limit: Limit = 20) -> None:
    """A page of documents, of one customer or of all."""
    async with open_session(run.settings) as session:
        owner = None
        if customer is not None:
            owner = (await session.services.customers.locate(session.identity, customer)).id
        page = await session.services.documents.find(
            session.identity, customer_id=owner, cursor=cursor, limit=limit
        )
    run.output.show(
        page,
        table(
            ["id", "customer", "language", "kind", "created (UTC)", "title"],
            [
                [row.id, row.customer_id, row.language, row.kind, moment(row.created_at), row.title]
                for row in page.rows
            ],
        ),
    )
    note_page(run, len(page.rows), page.next, page.previous)


async def delete(
    run: Invocation,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids; unknown ones are passed over.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete documents by id; searches do not find them from then on."""
    confirm(run, f"Delete {len(ids)} document(s) of tenant {run.settings.tenant}?", yes)
    async with open_session(run.settings) as session:
        deleted = await session.services.documents.delete(session.identity, ids)
    run.output.show({"deleted": deleted}, f"deleted {deleted} of {len(ids)}")
