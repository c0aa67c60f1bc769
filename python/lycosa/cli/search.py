"""`lycosa search`: knowledge from outside, bought once."""

from enum import StrEnum
from typing import Annotated

import typer
from pydantic import ValidationError

from lycosa.cli.command import Invocation, command
from lycosa.cli.session import open_session
from lycosa.errors import Invalid
from lycosa.providers.findings import SearchOptions


class Topic(StrEnum):
    """What is searched."""

    general = "general"
    news = "news"
    finance = "finance"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app,
        "search",
        examples=[
            'lycosa search "What does Acme Corp sell?"',
            'lycosa search "Новости о Яндексе" --topic news --days 7 -n 10 --json',
            'lycosa search "Who owns Acme Corp?" --answer --customer S-001',
        ],
    )(search)


async def search(
    run: Invocation,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In words, in any language.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=20, help="Results.")] = 5,
    topic: Annotated[Topic, typer.Option(help="What is searched.")] = Topic.general,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Nothing older.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only of this domain; may be given again.")] = None,
    language: Annotated[str | None, typer.Option(help="Two letters, such as en or ru.")] = None,
    advanced: Annotated[bool, typer.Option("--advanced", help="Dig deeper, for twice the price.")] = False,
    answer: Annotated[bool, typer.Option("--answer", help="Ask who writes an answer; dearer.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Buy it anew, whatever the cache holds.")] = False,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Keep what is found with him.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, max=590, help="Seconds.")] = None,
) -> None:
    """Search outside: from the cache, or by the first provider that can be had. Equal questions are bought once."""
    try:
        options = SearchOptions(
            depth="advanced" if advanced else "basic",
            topic=topic.value,
            max_results=limit,
            days=days,
            include_domains=site or [],
            language=language,
        )
    except ValidationError as problem:
        first = problem.errors()[0]
        name = str(first["loc"][0])
        raise Invalid(
            f"{name}: {first['msg']}", code="INVALID_ARGUMENT", details={"argument": name}
        ) from problem
    async with open_session(run.settings) as session:
        found = await session.services.lookups.search(
            session.identity,
            question,
            options,
            max_age=0.0 if fresh else None,
            deadline=timeout,
            customer_id=customer,
            agents=answer,
        )
    if run.output.json:
        run.output.document(found)
        return
    if found.findings.answer:
        run.output.print(found.findings.answer + "\n")
    for number, one in enumerate(found.findings.results, 1):
        run.output.print(f"{number}. {one.title or one.url}\n   {one.url}")
        run.output.print(f"   {' '.join(one.text.split())[:300]}")
    if not found.findings.results and not found.findings.answer:
        run.output.print("nothing was found")
    for reason in found.degraded:
        run.output.note(f"degraded: {reason}")
    cost = f"{found.cost_microusd / 1_000_000:.4f} USD"
    run.output.note(f"{found.outcome} from {found.provider}; {cost}; request {found.request_id}")
