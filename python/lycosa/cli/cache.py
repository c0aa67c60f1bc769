"""`lycosa cache`: stats, get, set, delete, invalidate."""

import base64
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from lycosa.cli.command import Invocation, command
from lycosa.cli.output import moment, record, size
from lycosa.cli.session import open_session
from lycosa.errors import NotFound
from lycosa.services.cache import ANY_BYTES, DEFAULT_TTL, Entry, Progress, hit_rate

# A byte more than the store takes, so that it says so.
_MOST_READ = 1_000_001

Key = Annotated[str, typer.Argument(metavar="KEY", help="The entry's key.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="The cache: figures, entries, invalidation.")
    app.add_typer(group, name="cache")
    command(group, "stats", examples=["lycosa cache stats", "lycosa cache stats --whole --json"])(stats)
    command(group, "get", examples=["lycosa cache get rates:today", "lycosa cache get page:1 > page.html"])(
        get
    )
    command(
        group,
        "set",
        examples=[
            "lycosa cache set rates:today '{\"USD\": 1.1}' --ttl 3600 --media-type application/json --tag rates",
            "lycosa cache set page:1 - < page.html",
        ],
    )(store)
    command(group, "delete", examples=["lycosa cache delete rates:today page:1"])(delete)
    command(
        group,
        "invalidate",
        examples=["lycosa cache invalidate --tag rates", "lycosa cache invalidate --prefix page:"],
    )(invalidate)


async def stats(
    run: Invocation,
    whole: Annotated[bool, typer.Option("--whole", help="Of all tenants together.")] = False,
) -> None:
    """Entries, bytes and budget, and hits, misses and what became of entries since the store started."""
    async with open_session(run.settings) as session:
        figures = await session.services.cache.figures(session.identity, whole=whole)
    rate = hit_rate(figures)
    shown = figures._asdict() | {"hit_rate": rate}
    for name in ("bytes", "budget"):
        shown[name] = size(shown[name])
    shown["hit_rate"] = "" if rate is None else f"{rate:.1%}"
    run.output.show(
        figures._asdict() | {"hit_rate": rate},
        record({name.replace("_", " "): value for name, value in shown.items()}),
    )


async def get(
    run: Invocation,
    key: Key,
    stale: Annotated[bool, typer.Option("--stale", help="Also within its stale period.")] = False,
) -> None:
    """One value as it is stored; a note tells how long it lives. Binary ones only into a file or a pipe."""
    async with open_session(run.settings) as session:
        entry = await session.services.cache.get(session.identity, key, stale=stale)
    if entry is None:
        raise NotFound(f"nothing is cached under {key}", code="CACHE_ENTRY_NOT_FOUND", details={"key": key})
    if run.output.json:
        run.output.document(_as_json(entry))
    elif sys.stdout.isatty():
        run.output.print(_shown(entry))
    else:
        sys.stdout.buffer.write(entry.value)
        sys.stdout.buffer.flush()
    marks = [
        entry.media_type,
        size(len(entry.value)),
        f"{'expired' if entry.stale else 'expires'} {moment(entry.expires_at)} UTC",
        *(["negative"] if entry.negative else []),
        *([f"tags {', '.join(entry.tags)}"] if entry.tags else []),
    ]
    run.output.note("; ".join(marks))


async def store(
    run: Invocation,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The value; - reads standard input.")],
    ttl: Annotated[float, typer.Option(help="Seconds until it expires.")] = DEFAULT_TTL,
    stale_for: Annotated[float, typer.Option(help="Seconds more for who takes stale entries.")] = 0.0,
    media_type: Annotated[str | None, typer.Option(help="text/plain when the value is given here.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="For invalidate; may be given again.")] = None,
) -> None:
    """Store a value in place of what was there."""
    given = sys.stdin.buffer.read(_MOST_READ) if value == "-" else os.fsencode(value)
    kind = media_type or (ANY_BYTES if value == "-" else "text/plain; charset=utf-8")
    async with open_session(run.settings) as session:
        await session.services.cache.set(
            session.identity, key, given, ttl=ttl, stale_for=stale_for, media_type=kind, tags=tag or ()
        )
    run.output.show({"key": key, "bytes": len(given)}, f"stored {size(len(given))} under {key}")


async def delete(
    run: Invocation,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Keys; unknown ones are passed over.")],
) -> None:
    """Delete entries by key."""
    async with open_session(run.settings) as session:
        deleted = await session.services.cache.delete(session.identity, keys)
    run.output.show({"deleted": deleted}, f"deleted {deleted} of {len(keys)}")


async def invalidate(
    run: Invocation,
    tag: Annotated[str | None, typer.Option(help="All entries of this tag.")] = None,
    prefix: Annotated[str | None, typer.Option(help="All whose key begins with it.")] = None,
) -> None:
    """Delete all entries of a tag or of a prefix, a thousand at a time; Ctrl-C ends it between."""
    with _drawn(run) as progress:
        async with open_session(run.settings) as session:
            gone = await session.services.cache.invalidate(
                session.identity, tag=tag, prefix=prefix, progress=progress
            )
    run.output.show({"deleted": gone.deleted}, f"deleted {gone.deleted:,}")


@contextlib.contextmanager
def _drawn(run: Invocation) -> Iterator[Progress | None]:
    """What tells how many are gone, where a person reads it."""
    if not run.output.live:
        yield None
        return
    with run.output.notes.status("deleting") as line:
        yield lambda deleted: line.update(f"deleted {deleted:,}")


def _as_json(entry: Entry) -> dict[str, Any]:
    """The entry with its value as text, or in base64 where it is none."""
    fields = entry._asdict()
    value = fields.pop("value")
    del fields["answered_at"]
    try:
        return {**fields, "stale": entry.stale, "value": value.decode()}
    except UnicodeDecodeError:
        return {**fields, "stale": entry.stale, "value_base64": base64.b64encode(value).decode()}


def _shown(entry: Entry) -> str:
    try:
        return entry.value.decode()
    except UnicodeDecodeError:
        return "(not text: send it into a file or a pipe)"
