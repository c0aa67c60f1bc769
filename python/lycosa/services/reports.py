"""Reports as they are kept: found again by their key, and written by one caller at a time."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from pydantic import ValidationError

from lycosa.analysis.chain import Note
from lycosa.analysis.report import Report
from lycosa.errors import LycosaError
from lycosa.identity import Identity
from lycosa.procedures import LookupCandidate, LookupDecision, LookupLease, Procedures
from lycosa.services.cache import Cache
from lycosa.services.lookup_forms import MODEL

__all__ = ["Recent", "ReportMemory"]

_log = structlog.get_logger(__name__)

# A leader that has not written it by then is not waited for any longer, nor is one that died.
_LEASE_SECONDS: Final = 45.0
# So long what the web says counts as unchanged without being asked for: much less than it is kept anyway.
_NOTE_SECONDS: Final = 60.0
# Reports that a process keeps read; the store's note decides whether they still hold.
_MOST_RECENT: Final = 32

Recent = dict[tuple[str, str], Report]


class ReportMemory:
    """Reports in the cache, for one tenant and a time in seconds."""

    def __init__(
        self, procedures: Procedures, cache: Cache, identity: Identity, ttl: float, recent: Recent
    ) -> None:
        """`recent` holds what this process has read or written last."""
        self._recent = recent
        self._procedures = procedures
        self._cache = cache
        self._identity = identity
        self._ttl = ttl
        self._lease: LookupLease | None = None

    async def get(self, key: str) -> str | None:
        """The report's JSON, None when there is none or it has expired."""
        entry = await self._cache.get(self._identity, _name(key))
        return None if entry is None else entry.value.decode(errors="replace")

    async def put(self, key: str, report: str) -> None:
        """Keep a report's JSON. Raises Unavailable when memory is full."""
        await self._cache.set(
            self._identity,
            _name(key),
            report.encode(),
            ttl=self._ttl,
            media_type="application/json",
            tags=("analysis",),
        )

    async def note(self, question: str, witness: str, key: str, written: datetime) -> None:
        """Note which report answers a question as long as the witness is the same, for a minute. Raises nothing."""
        value = json.dumps(Note(witness, key, written.isoformat())).encode()
        try:
            await self._cache.set(
                self._identity, _note(question), value, ttl=min(_NOTE_SECONDS, self._ttl), tags=("analysis",)
            )
        except LycosaError as problem:
            _log.info("report_not_noted", code=problem.code)

    async def noted(self, question: str) -> Note | None:
        """What was noted for a question."""
        entry = await self._cache.get(self._identity, _note(question))
        return None if entry is None else Note(*json.loads(entry.value))

    async def report(self, note: Note) -> Report | None:
        """The report that a note names, None when it is gone or was written anew since."""
        place = self._identity.tenant, note.key
        report = self._recent.get(place)
        if report is None or report.created_at.isoformat() != note.written:
            text = await self.get(note.key)
            try:
                report = Report.model_validate_json(text) if text is not None else None
            except ValidationError:
                report = None
            if report is None or report.created_at.isoformat() != note.written:
                return None
            self._recent[place] = report
            if len(self._recent) > _MOST_RECENT:
                self._recent.pop(next(iter(self._recent)))
        return report

    async def lead(self, key: str, question: str, waits: Callable[[], None]) -> str | None:
        """Take the lead in writing a report, or wait for whoever has it: the report's JSON when he has kept one.

        `waits` is told before the waiting, which ends after 45 s at the most. None says to write it oneself, and
        `release` is to be called then. A gate that fails keeps nobody from writing.
        """
        try:
            decision = await self._begin(key, question)
            if decision.ticket is not None and decision.outcome == "pending":
                waits()
                decision = await self._follow(key, question, decision.ticket)
        except LycosaError as problem:
            _log.warning("report_not_led", code=problem.code)
            return None
        self._lease = decision.lease
        if decision.entry is None or decision.outcome != "hit":
            return None
        return decision.entry.value.decode(errors="replace")

    async def release(self, key: str) -> None:
        """Let the next one lead, or find the report. Nothing to do for who does not lead."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            await self._procedures.lookup_release(
                tenant=self._identity.tenant, key=_name(key), token=lease.token, charged=False
            )
        except LycosaError as problem:
            # It ended by itself meanwhile.
            _log.info("report_lease_ended", code=problem.code)

    async def _begin(self, key: str, question: str) -> LookupDecision:
        return await self._procedures.lookup_begin(
            tenant=self._identity.tenant,
            key=_name(key),
            question=question,
            providers=[LookupCandidate(provider=MODEL)],
            lease=_LEASE_SECONDS,
        )

    async def _follow(self, key: str, question: str, ticket: str) -> LookupDecision:
        return await self._procedures.lookup_await(
            tenant=self._identity.tenant,
            key=_name(key),
            question=question,
            providers=[LookupCandidate(provider=MODEL)],
            lease=_LEASE_SECONDS,
            ticket=ticket,
            wait=_LEASE_SECONDS,
        )


def _note(question: str) -> str:
    return f"analysis-note:{question}"


def _name(key: str) -> str:
    return f"analysis:{key}"
