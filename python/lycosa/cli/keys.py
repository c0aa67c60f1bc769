"""`lycosa keys`: create, list, revoke."""

import re
import time
from enum import StrEnum
from typing import Annotated, Any

import typer

from lycosa.cli.command import Invocation, command
from lycosa.cli.customers import Cursor, confirm, note_page
from lycosa.cli.output import moment, record, table
from lycosa.cli.session import open_session
from lycosa.errors import Invalid
from lycosa.identity import SCOPES, Scope

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LIFETIME = re.compile(r"([1-9]\d{0,5})([mhdw])")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="Rows of the page.")]


class State(StrEnum):
    """Whether a key opens anything."""

    live = "live"
    expired = "expired"
    revoked = "revoked"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="API keys: who may ask over HTTP, as whom, and what.")
    app.add_typer(group, name="keys")
    command(
        group,
        "create",
        examples=[
            "lycosa keys create --name crm-import --scopes read,write",
            "lycosa keys create --name assistant --scopes read,spend --expires 30d --tenant acme",
        ],
    )(create)
    command(group, "list", examples=["lycosa keys list", "lycosa keys list --tenant acme --json"])(find)
    command(group, "revoke", examples=["lycosa keys revoke 4mzlrk2q7wva --yes"])(revoke)


async def create(
    run: Invocation,
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    scopes: Annotated[
        str, typer.Option("--scopes", help="Of read, write, spend and admin, between commas.")
    ] = "read",
    expires: Annotated[str, typer.Option("--expires", help="When it ends: 12h, 90d, 52w, or never.")] = "90d",
) -> None:
    """Make a key of the tenant and show it: this once, for it is kept nowhere."""
    wanted, lifetime = _scopes(scopes), _lifetime(expires)
    async with open_session(run.settings) as session:
        made = await session.services.access.create(session.identity, name, wanted, lifetime=lifetime)
    shown = made.key._asdict()
    run.output.show(
        {"key": made.credential, "tenant": run.settings.tenant, **shown},
        record(
            {
                "key": made.credential,
                "id": made.key.id,
                "name": made.key.name,
                "tenant": run.settings.tenant,
                "scopes": " ".join(made.key.scopes),
                "expires (UTC)": moment(made.key.expires_at) or "never",
            }
        ),
    )
    run.output.note("keep the key now: it is not shown again")


async def find(run: Invocation, cursor: Cursor = None, limit: Limit = 20) -> None:
    """A page of the tenant's keys, the newest first. Those that ended are listed for 90 days."""
    async with open_session(run.settings) as session:
        page = await session.services.access.find(session.identity, cursor=cursor, limit=limit)
    now = time.time()
    rows = [row._asdict() | {"state": _state(row, now).value} for row in page.rows]
    run.output.show(
        {"rows": rows, "next": page.next, "previous": page.previous},
        table(
            ["id", "name", "scopes", "state", "created (UTC)", "by", "expires (UTC)", "last used (UTC)"],
            [
                [
                    row["id"],
                    row["name"],
                    " ".join(row["scopes"]),
                    row["state"],
                    moment(row["created_at"]),
                    row["created_by"] or "",
                    moment(row["expires_at"]) or "never",
                    moment(row["last_used_at"]),
                ]
                for row in rows
            ],
        ),
    )
    note_page(run, len(rows), page.next, page.previous)


async def revoke(
    run: Invocation,
    id: Annotated[str, typer.Argument(metavar="ID", help="As `lycosa keys list` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """End a key. Servers that know it refuse it within 10 seconds."""
    confirm(run, f"Revoke key {id} of tenant {run.settings.tenant}?", yes)
    async with open_session(run.settings) as session:
        row = await session.services.access.revoke(session.identity, id)
    run.output.show(row._asdict(), f"revoked {row.id} ({row.name})")


def _state(row: Any, now: float) -> State:
    if row.revoked_at is not None:
        return State.revoked
    return State.expired if row.expires_at is not None and row.expires_at <= now else State.live


def _scopes(text: str) -> list[Scope]:
    """Raises Invalid for a word that is no scope."""
    words = {word.strip() for word in text.split(",") if word.strip()}
    found = [scope for scope in SCOPES if scope in words]
    if not found or len(found) < len(words):
        raise Invalid(
            f"--scopes: {text[:80]!r} is not some of {', '.join(SCOPES)}",
            code="INVALID_ARGUMENT",
            details={"argument": "scopes"},
        )
    return found


def _lifetime(text: str) -> float | None:
    """Seconds; None for never. Raises Invalid."""
    if text == "never":
        return None
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise Invalid(
            f"--expires: {text[:40]!r} is not such as 12h, 90d, 52w, or never",
            code="INVALID_ARGUMENT",
            details={"argument": "expires"},
        )
    return float(int(match[1]) * _UNITS[match[2]])
