"""GENERATED from the server's contract by `make contract`; do not edit."""

# ruff: noqa: E501

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal, NamedTuple, Required, TypedDict

from ormsgpack import packb, unpackb

from lycosa.client import Client
from lycosa.coalescing import Coalescer
from lycosa.errors import Conflict, Denied, Exhausted, Invalid, LycosaError, NotFound, Unavailable
from lycosa.settings import Settings

Scalar = str | int | float | bool

# What NamedTuple._make does, for a third of its time.
_new = tuple.__new__


def _bytes(value: Any) -> Any:
    """Bytes that happen to be UTF-8 arrive as text."""
    return value.encode() if type(value) is str else value


def _repeated(argument: str, value: Any, longest: int) -> Any:
    """A value that the server takes apart once, however often it is sent."""
    try:
        packed = packb(value)
    except TypeError as problem:
        raise Invalid.argument(argument, f"cannot be packed: {problem}") from None
    return packed if len(packed) <= longest else value


class AccessKeysFull(Exhausted):
    """a tenant has at most {limit} API keys; those that ended count for 90 days"""

    code = "ACCESS_KEYS_FULL"


class AccessKeyExists(Conflict):
    """API key {id} was made before with other content"""

    code = "ACCESS_KEY_EXISTS"


class AccessKeyNotFound(NotFound):
    """API key {id} does not exist"""

    code = "ACCESS_KEY_NOT_FOUND"


class AccessKeyRefused(Denied):
    """the API key {problem}"""

    code = "ACCESS_KEY_REFUSED"


class CheckpointBusy(Unavailable):
    """copying took longer than it was given; nothing was copied"""

    code = "CHECKPOINT_BUSY"


class CheckpointChanged(Conflict):
    """thread {thread} was changed meanwhile; try again"""

    code = "CHECKPOINT_CHANGED"


class CheckpointExists(Conflict):
    """thread {thread} exists already; delete it first"""

    code = "CHECKPOINT_EXISTS"


class CommitFailed(Unavailable):
    """the transaction was not written: {problem}"""

    code = "COMMIT_FAILED"


class CustomerNotFound(NotFound):
    """customer {id} does not exist"""

    code = "CUSTOMER_NOT_FOUND"


class DeadlineExceeded(Unavailable):
    """the deadline of {procedure} passed {late} s before the server reached it; nothing was done"""

    code = "DEADLINE_EXCEEDED"


class DocumentNotFound(NotFound):
    """document {id} does not exist"""

    code = "DOCUMENT_NOT_FOUND"


class EventOutOfOrder(Conflict):
    """event {first} cannot follow {last} in stream {stream}, or the stream is not of this writer"""

    code = "EVENT_OUT_OF_ORDER"


class EventStreamFull(Exhausted):
    """stream {stream} holds {bytes} bytes, at most {limit} are kept"""

    code = "EVENT_STREAM_FULL"


class EventStreamNotFound(NotFound):
    """there are no events of {stream}: unknown, or kept no longer"""

    code = "EVENT_STREAM_NOT_FOUND"


class InvalidArgument(Invalid):
    """argument {argument} {problem}"""

    code = "INVALID_ARGUMENT"


class InvalidCursor(Invalid):
    """cursor {problem}; ask again without it"""

    code = "INVALID_CURSOR"


class InTransaction(Invalid):
    """{procedure} waits, and a transaction must not wait; end yours and ask again"""

    code = "IN_TRANSACTION"


class KvConflict(Conflict):
    """entry {key} has version {found}, not {expected}; read it again"""

    code = "KV_CONFLICT"


class LeaseLost(Conflict):
    """the lease of {key} has ended or is not of this token; nothing was changed"""

    code = "LEASE_LOST"


class LookupBusy(Unavailable):
    """{waiting} callers wait for answers already; ask again"""

    code = "LOOKUP_BUSY"


class MemoryFull(Unavailable):
    """memory is {used} % used, {space} accepts writes below {limit} %; raise LYCOSA_MEMORY_MB or delete rows"""

    code = "MEMORY_FULL"


class QuotaExceeded(Exhausted):
    """quota {quota} has {left} of {limit} left, {amount} were asked for"""

    code = "QUOTA_EXCEEDED"


class QuotaInUse(Conflict):
    """quota {quota} is held by open reservations; settle or refund them first"""

    code = "QUOTA_IN_USE"


class QuotaKindFixed(Conflict):
    """quota {quota} is of kind {kind} and scale {scale}, which cannot be changed; remove it first"""

    code = "QUOTA_KIND_FIXED"


class QuotaReservationExists(Conflict):
    """reservation {id} was made before with other claims"""

    code = "QUOTA_RESERVATION_EXISTS"


class QuotaReservationNotFound(NotFound):
    """reservation {id} does not exist"""

    code = "QUOTA_RESERVATION_NOT_FOUND"


class QuotaReservationState(Conflict):
    """reservation {id} is {state} {problem}"""

    code = "QUOTA_RESERVATION_STATE"


class QuotaUnknown(NotFound):
    """quota {quota} is not defined"""

    code = "QUOTA_UNKNOWN"


class ReadOnly(Unavailable):
    """this instance is read-only; send writes to the leader"""

    code = "READ_ONLY"


class RequestExists(Conflict):
    """request {id} was appended before with other content"""

    code = "REQUEST_EXISTS"


class RequestNotFound(NotFound):
    """request {id} does not exist"""

    code = "REQUEST_NOT_FOUND"


class RequestOnDisk(Invalid):
    """requests on disk are waited for, and a transaction must not wait; end yours and ask again"""

    code = "REQUEST_ON_DISK"


class SchemaChanged(Conflict):
    """migration {id} was applied with another checksum; a migration that has run must not be edited"""

    code = "SCHEMA_CHANGED"


class SchemaNewer(Conflict):
    """the data directory has schema {found}, this code knows {known}; start a newer Lycosa on it"""

    code = "SCHEMA_NEWER"


class SegmentNotFound(NotFound):
    """no customer is in segment {segment}"""

    code = "SEGMENT_NOT_FOUND"


class SessionExists(Conflict):
    """session {id} exists and is not as it was asked for"""

    code = "SESSION_EXISTS"


class SessionFull(Exhausted):
    """session {id}: {problem}"""

    code = "SESSION_FULL"


class SessionMessageExists(Conflict):
    """session {id}: {problem}"""

    code = "SESSION_MESSAGE_EXISTS"


class SessionNotFound(NotFound):
    """session {id} does not exist"""

    code = "SESSION_NOT_FOUND"


class UnknownArgument(Invalid):
    """argument {argument} is not known to {procedure}"""

    code = "UNKNOWN_ARGUMENT"


ERRORS: dict[str, type[LycosaError]] = {
    "ACCESS_KEYS_FULL": AccessKeysFull,
    "ACCESS_KEY_EXISTS": AccessKeyExists,
    "ACCESS_KEY_NOT_FOUND": AccessKeyNotFound,
    "ACCESS_KEY_REFUSED": AccessKeyRefused,
    "CHECKPOINT_BUSY": CheckpointBusy,
    "CHECKPOINT_CHANGED": CheckpointChanged,
    "CHECKPOINT_EXISTS": CheckpointExists,
    "COMMIT_FAILED": CommitFailed,
    "CUSTOMER_NOT_FOUND": CustomerNotFound,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "DOCUMENT_NOT_FOUND": DocumentNotFound,
    "EVENT_OUT_OF_ORDER": EventOutOfOrder,
    "EVENT_STREAM_FULL": EventStreamFull,
    "EVENT_STREAM_NOT_FOUND": EventStreamNotFound,
    "INVALID_ARGUMENT": InvalidArgument,
    "INVALID_CURSOR": InvalidCursor,
    "IN_TRANSACTION": InTransaction,
    "KV_CONFLICT": KvConflict,
    "LEASE_LOST": LeaseLost,
    "LOOKUP_BUSY": LookupBusy,
    "MEMORY_FULL": MemoryFull,
    "QUOTA_EXCEEDED": QuotaExceeded,
    "QUOTA_IN_USE": QuotaInUse,
    "QUOTA_KIND_FIXED": QuotaKindFixed,
    "QUOTA_RESERVATION_EXISTS": QuotaReservationExists,
    "QUOTA_RESERVATION_NOT_FOUND": QuotaReservationNotFound,
    "QUOTA_RESERVATION_STATE": QuotaReservationState,
    "QUOTA_UNKNOWN": QuotaUnknown,
    "READ_ONLY": ReadOnly,
    "REQUEST_EXISTS": RequestExists,
    "REQUEST_NOT_FOUND": RequestNotFound,
    "REQUEST_ON_DISK": RequestOnDisk,
    "SCHEMA_CHANGED": SchemaChanged,
    "SCHEMA_NEWER": SchemaNewer,
    "SEGMENT_NOT_FOUND": SegmentNotFound,
    "SESSION_EXISTS": SessionExists,
    "SESSION_FULL": SessionFull,
    "SESSION_MESSAGE_EXISTS": SessionMessageExists,
    "SESSION_NOT_FOUND": SessionNotFound,
    "UNKNOWN_ARGUMENT": UnknownArgument,
}


class AccessGranted(NamedTuple):
    """AccessGranted as the store answers it."""

    tenant: str
    scopes: list[Literal["read", "write", "spend", "admin"]]
    expires_at: float | None


def _accessgranted(value: Any) -> AccessGranted:
    return _new(
        AccessGranted,
        (
            value["tenant"],
            value["scopes"],
            value.get("expires_at"),
        ),
    )


class AccessKey(NamedTuple):
    """AccessKey as the store answers it."""

    id: str
    name: str
    scopes: list[Literal["read", "write", "spend", "admin"]]
    created_at: float
    created_by: str | None
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None


def _accesskey(value: Any) -> AccessKey:
    return _new(AccessKey, value if len(value) == 8 else value[:8])


class AccessKeyPage(NamedTuple):
    """AccessKeyPage as the store answers it."""

    rows: list[AccessKey]
    next: str | None
    previous: str | None


def _accesskeypage(value: Any) -> AccessKeyPage:
    return _new(
        AccessKeyPage,
        (
            [_accesskey(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class CacheDeleted(NamedTuple):
    """CacheDeleted as the store answers it."""

    deleted: int


def _cachedeleted(value: Any) -> CacheDeleted:
    return _new(CacheDeleted, (value["deleted"],))


class CacheFigures(NamedTuple):
    """CacheFigures as the store answers it."""

    entries: int
    bytes: int
    budget: int
    hits: int
    stale_hits: int
    misses: int
    expired: int
    evicted: int
    invalidated: int


def _cachefigures(value: Any) -> CacheFigures:
    return _new(
        CacheFigures,
        (
            value["entries"],
            value["bytes"],
            value["budget"],
            value["hits"],
            value["stale_hits"],
            value["misses"],
            value["expired"],
            value["evicted"],
            value["invalidated"],
        ),
    )


class CacheEntry(NamedTuple):
    """CacheEntry as the store answers it."""

    tenant: str
    bucket_id: int
    key: str
    value: bytes
    media_type: str
    created_at: float
    expires_at: float
    stale_until: float
    negative: bool
    tags: list[str]
    seq: int


def _cacheentry(value: Any) -> CacheEntry:
    value[3] = _bytes(value[3])
    return _new(CacheEntry, value if len(value) == 11 else value[:11])


class CacheInvalidated(NamedTuple):
    """CacheInvalidated as the store answers it."""

    deleted: int
    more: bool


def _cacheinvalidated(value: Any) -> CacheInvalidated:
    return _new(
        CacheInvalidated,
        (
            value["deleted"],
            value["more"],
        ),
    )


class CacheTimes(NamedTuple):
    """CacheTimes as the store answers it."""

    created_at: float
    expires_at: float
    stale_until: float


def _cachetimes(value: Any) -> CacheTimes:
    return _new(
        CacheTimes,
        (
            value["created_at"],
            value["expires_at"],
            value["stale_until"],
        ),
    )


class CacheItem(TypedDict, total=False):
    """CacheItem as the store takes it."""

    key: Required[str]
    value: Required[bytes | str]
    media_type: str
    ttl: Required[float]
    stale_for: float
    negative: bool
    tags: Sequence[str]


class CheckpointCopied(NamedTuple):
    """CheckpointCopied as the store answers it."""

    copied: bool


def _checkpointcopied(value: Any) -> CheckpointCopied:
    return _new(CheckpointCopied, (value["copied"],))


class CheckpointsDeleted(NamedTuple):
    """CheckpointsDeleted as the store answers it."""

    deleted: int
    more: bool


def _checkpointsdeleted(value: Any) -> CheckpointsDeleted:
    return _new(
        CheckpointsDeleted,
        (
            value["deleted"],
            value["more"],
        ),
    )


class CheckpointThreadDeleted(NamedTuple):
    """CheckpointThreadDeleted as the store answers it."""

    deleted: bool


def _checkpointthreaddeleted(value: Any) -> CheckpointThreadDeleted:
    return _new(CheckpointThreadDeleted, (value["deleted"],))


class CheckpointHead(NamedTuple):
    """CheckpointHead as the store answers it."""

    thread: str
    namespace: str
    id: str
    parent: str | None
    type: str
    value: bytes
    parts: str | None
    metadata_type: str
    metadata: bytes
    metadata_parts: str | None


def _checkpointhead(value: Any) -> CheckpointHead:
    value[5] = _bytes(value[5])
    value[8] = _bytes(value[8])
    return _new(CheckpointHead, value if len(value) == 10 else value[:10])


class CheckpointBlob(NamedTuple):
    """CheckpointBlob as the store answers it."""

    tenant: str
    bucket_id: int
    generation: int
    namespace: str
    name: str
    type: str
    value: bytes
    parts: str | None


def _checkpointblob(value: Any) -> CheckpointBlob:
    value[6] = _bytes(value[6])
    return _new(CheckpointBlob, value if len(value) == 8 else value[:8])


class CheckpointWrite(NamedTuple):
    """CheckpointWrite as the store answers it."""

    tenant: str
    bucket_id: int
    generation: int
    namespace: str
    id: str
    task: str
    position: int
    path: str
    channel: str
    type: str
    value: bytes
    parts: str | None


def _checkpointwrite(value: Any) -> CheckpointWrite:
    value[10] = _bytes(value[10])
    return _new(CheckpointWrite, value if len(value) == 12 else value[:12])


class CheckpointPage(NamedTuple):
    """CheckpointPage as the store answers it."""

    head: CheckpointHead | None
    blobs: list[CheckpointBlob]
    writes: list[CheckpointWrite]
    next: str | None


def _checkpointpage(value: Any) -> CheckpointPage:
    return _new(
        CheckpointPage,
        (
            None if value.get("head") is None else _checkpointhead(value.get("head")),
            [_checkpointblob(item) for item in value["blobs"]],
            [_checkpointwrite(item) for item in value["writes"]],
            value.get("next"),
        ),
    )


class CheckpointHeads(NamedTuple):
    """CheckpointHeads as the store answers it."""

    heads: list[CheckpointHead]
    next: str | None


def _checkpointheads(value: Any) -> CheckpointHeads:
    return _new(
        CheckpointHeads,
        (
            [_checkpointhead(item) for item in value["heads"]],
            value.get("next"),
        ),
    )


class CheckpointPart(NamedTuple):
    """CheckpointPart as the store answers it."""

    tenant: str
    bucket_id: int
    generation: int
    name: str
    number: int
    value: bytes


def _checkpointpart(value: Any) -> CheckpointPart:
    value[5] = _bytes(value[5])
    return _new(CheckpointPart, value if len(value) == 6 else value[:6])


class CheckpointsPruned(NamedTuple):
    """CheckpointsPruned as the store answers it."""

    deleted: int
    more: bool
    before: str | None


def _checkpointspruned(value: Any) -> CheckpointsPruned:
    return _new(
        CheckpointsPruned,
        (
            value["deleted"],
            value["more"],
            value.get("before"),
        ),
    )


class CheckpointValue(TypedDict, total=False):
    """CheckpointValue as the store takes it."""

    type: Required[str]
    value: Required[bytes | str]
    parts: str


class CheckpointChannel(TypedDict, total=False):
    """CheckpointChannel as the store takes it."""

    channel: Required[str]
    version: Required[str]
    held: bool


class CheckpointBlobInput(TypedDict, total=False):
    """CheckpointBlobInput as the store takes it."""

    channel: Required[str]
    version: Required[str]
    type: Required[str]
    value: Required[bytes | str]
    parts: str


class CheckpointWriteInput(TypedDict, total=False):
    """CheckpointWriteInput as the store takes it."""

    position: Required[int]
    channel: Required[str]
    type: Required[str]
    value: Required[bytes | str]
    parts: str


class DeletedCustomers(NamedTuple):
    """DeletedCustomers as the store answers it."""

    deleted: int


def _deletedcustomers(value: Any) -> DeletedCustomers:
    return _new(DeletedCustomers, (value["deleted"],))


class Customer(NamedTuple):
    """Customer as the store answers it."""

    tenant: str
    bucket_id: int
    id: str
    version: int
    external_id: str | None
    name: str
    name_key: str
    email: str | None
    segment: str
    tags: list[str]
    country: str | None
    industry: str | None
    revenue_cents: int
    orders: int
    since: float
    created_at: float
    updated_at: float
    profile: dict[str, Scalar]


def _customer(value: Any) -> Customer:
    return _new(Customer, value if len(value) == 18 else value[:18])


class CustomerPage(NamedTuple):
    """CustomerPage as the store answers it."""

    rows: list[Customer]
    next: str | None
    previous: str | None


def _customerpage(value: Any) -> CustomerPage:
    return _new(
        CustomerPage,
        (
            [_customer(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class SegmentFigures(NamedTuple):
    """SegmentFigures as the store answers it."""

    tenant: str
    bucket_id: int
    segment: str
    customers: int
    revenue_cents: int
    orders: int
    updated_at: float


def _segmentfigures(value: Any) -> SegmentFigures:
    return _new(SegmentFigures, value if len(value) == 7 else value[:7])


class SegmentPage(NamedTuple):
    """SegmentPage as the store answers it."""

    rows: list[SegmentFigures]
    next: str | None
    previous: str | None


def _segmentpage(value: Any) -> SegmentPage:
    return _new(
        SegmentPage,
        (
            [_segmentfigures(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class CustomerInput(TypedDict, total=False):
    """CustomerInput as the store takes it."""

    id: str
    external_id: str | None
    name: str
    email: str | None
    segment: str | None
    tags: Sequence[str] | None
    country: str | None
    industry: str | None
    revenue_cents: int | None
    orders: int | None
    since: float
    profile: Mapping[str, Scalar] | None
    version: int


class UpsertOutcome(NamedTuple):
    """UpsertOutcome as the store answers it."""

    outcome: Literal["inserted", "updated", "unchanged", "invalid", "conflict"]
    id: str | None
    version: int | None
    field: str | None
    problem: str | None


def _upsertoutcome(value: Any) -> UpsertOutcome:
    return _new(UpsertOutcome, value if len(value) == 5 else value[:5])


class DocumentsDeleted(NamedTuple):
    """DocumentsDeleted as the store answers it."""

    deleted: int


def _documentsdeleted(value: Any) -> DocumentsDeleted:
    return _new(DocumentsDeleted, (value["deleted"],))


class DocumentFigures(NamedTuple):
    """DocumentFigures as the store answers it."""

    documents: int
    chunks: int
    terms: int
    postings: int
    posting_bytes: int
    waiting: int
    waiting_seconds: float
    revision: str


def _documentfigures(value: Any) -> DocumentFigures:
    return _new(
        DocumentFigures,
        (
            value["documents"],
            value["chunks"],
            value["terms"],
            value["postings"],
            value["posting_bytes"],
            value["waiting"],
            value["waiting_seconds"],
            value["revision"],
        ),
    )


class Document(NamedTuple):
    """Document as the store answers it."""

    tenant: str
    bucket_id: int
    id: str
    title: str
    source: str | None
    language: Literal["en", "ru"]
    kind: str
    customer_id: str | None
    created_at: float
    stored_at: float
    bytes: int
    first_chunk: int
    chunks: int
    hash: str


def _document(value: Any) -> Document:
    return _new(Document, value if len(value) == 14 else value[:14])


class DocumentText(NamedTuple):
    """DocumentText as the store answers it."""

    document: Document
    text: str


def _documenttext(value: Any) -> DocumentText:
    return _new(
        DocumentText,
        (
            _document(value["document"]),
            value["text"],
        ),
    )


class DocumentPage(NamedTuple):
    """DocumentPage as the store answers it."""

    rows: list[Document]
    next: str | None
    previous: str | None


def _documentpage(value: Any) -> DocumentPage:
    return _new(
        DocumentPage,
        (
            [_document(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class DocumentMatch(NamedTuple):
    """DocumentMatch as the store answers it."""

    words: int
    counts: list[int]


def _documentmatch(value: Any) -> DocumentMatch:
    return _new(DocumentMatch, value if len(value) == 2 else value[:2])


class DocumentMatches(NamedTuple):
    """DocumentMatches as the store answers it."""

    terms: list[str]
    matches: list[DocumentMatch]


def _documentmatches(value: Any) -> DocumentMatches:
    return _new(
        DocumentMatches,
        (
            value["terms"],
            [_documentmatch(item) for item in value["matches"]],
        ),
    )


class DocumentInput(TypedDict, total=False):
    """DocumentInput as the store takes it."""

    id: Required[str]
    text: Required[str]
    title: str
    source: str
    language: Literal["en", "ru"]
    kind: str
    customer_id: str
    created_at: float


class DocumentOutcome(NamedTuple):
    """DocumentOutcome as the store answers it."""

    id: str | None
    outcome: Literal["inserted", "replaced", "unchanged", "invalid"]
    field: str | None
    problem: str | None


def _documentoutcome(value: Any) -> DocumentOutcome:
    return _new(
        DocumentOutcome,
        (
            value.get("id"),
            value["outcome"],
            value.get("field"),
            value.get("problem"),
        ),
    )


class DocumentHit(NamedTuple):
    """DocumentHit as the store answers it."""

    id: str
    title: str
    source: str | None
    kind: str
    customer_id: str | None
    language: Literal["en", "ru"]
    created_at: float
    chunk: int
    score: float
    text: str


def _documenthit(value: Any) -> DocumentHit:
    return _new(DocumentHit, value if len(value) == 10 else value[:10])


class DocumentSearch(NamedTuple):
    """DocumentSearch as the store answers it."""

    hits: list[DocumentHit]
    examined: int
    bounded: bool
    waiting: int
    waiting_seconds: float


def _documentsearch(value: Any) -> DocumentSearch:
    return _new(
        DocumentSearch,
        (
            [_documenthit(item) for item in value["hits"]],
            value["examined"],
            value["bounded"],
            value["waiting"],
            value["waiting_seconds"],
        ),
    )


class EventInput(TypedDict, total=False):
    """EventInput as the store takes it."""

    kind: Required[str]
    data: Required[str]


class EventAppended(NamedTuple):
    """EventAppended as the store answers it."""

    last: int


def _eventappended(value: Any) -> EventAppended:
    return _new(EventAppended, (value["last"],))


class Event(NamedTuple):
    """Event as the store answers it."""

    number: int
    kind: str
    data: str


def _event(value: Any) -> Event:
    return _new(Event, value if len(value) == 3 else value[:3])


class EventPage(NamedTuple):
    """EventPage as the store answers it."""

    events: list[Event]
    last: int
    ended: bool
    silent: float


def _eventpage(value: Any) -> EventPage:
    return _new(
        EventPage,
        (
            [_event(item) for item in value["events"]],
            value["last"],
            value["ended"],
            value["silent"],
        ),
    )


class KvCleared(NamedTuple):
    """KvCleared as the store answers it."""

    deleted: int
    more: bool


def _kvcleared(value: Any) -> KvCleared:
    return _new(
        KvCleared,
        (
            value["deleted"],
            value["more"],
        ),
    )


class KvStored(NamedTuple):
    """KvStored as the store answers it."""

    version: int
    expires_at: float | None


def _kvstored(value: Any) -> KvStored:
    return _new(
        KvStored,
        (
            value["version"],
            value.get("expires_at"),
        ),
    )


class KvDeleted(NamedTuple):
    """KvDeleted as the store answers it."""

    deleted: int


def _kvdeleted(value: Any) -> KvDeleted:
    return _new(KvDeleted, (value["deleted"],))


class KvEntry(NamedTuple):
    """KvEntry as the store answers it."""

    tenant: str
    bucket_id: int
    namespace: str
    key: str
    value: bytes
    version: int
    created_at: float
    updated_at: float
    expires_at: float | None
    ttl: float | None


def _kventry(value: Any) -> KvEntry:
    value[4] = _bytes(value[4])
    return _new(KvEntry, value if len(value) == 10 else value[:10])


class KvFacts(NamedTuple):
    """KvFacts as the store answers it."""

    namespace: str
    key: str
    bytes: int
    version: int
    created_at: float
    updated_at: float
    expires_at: float | None
    ttl: float | None


def _kvfacts(value: Any) -> KvFacts:
    return _new(KvFacts, value if len(value) == 8 else value[:8])


class KvKeys(NamedTuple):
    """KvKeys as the store answers it."""

    keys: list[KvFacts]
    next: str | None


def _kvkeys(value: Any) -> KvKeys:
    return _new(
        KvKeys,
        (
            [_kvfacts(item) for item in value["keys"]],
            value.get("next"),
        ),
    )


class KvPage(NamedTuple):
    """KvPage as the store answers it."""

    rows: list[KvEntry]
    next: str | None


def _kvpage(value: Any) -> KvPage:
    return _new(
        KvPage,
        (
            [_kventry(item) for item in value["rows"]],
            value.get("next"),
        ),
    )


class KvNamespaces(NamedTuple):
    """KvNamespaces as the store answers it."""

    namespaces: list[str]
    next: str | None


def _kvnamespaces(value: Any) -> KvNamespaces:
    return _new(
        KvNamespaces,
        (
            value["namespaces"],
            value.get("next"),
        ),
    )


class KvItem(TypedDict, total=False):
    """KvItem as the store takes it."""

    key: Required[str]
    value: Required[bytes | str]
    ttl: float


class KvTouched(NamedTuple):
    """KvTouched as the store answers it."""

    touched: int


def _kvtouched(value: Any) -> KvTouched:
    return _new(KvTouched, (value["touched"],))


class LookupClaim(TypedDict, total=False):
    """LookupClaim as the store takes it."""

    quota: Required[str]
    amount: Required[int]


class LookupCandidate(TypedDict, total=False):
    """LookupCandidate as the store takes it."""

    provider: Required[str]
    claims: Sequence[LookupClaim]
    cost: float


class LookupRequest(TypedDict, total=False):
    """LookupRequest as the store takes it."""

    id: Required[str]
    kind: str
    customer_id: str


class LookupLease(NamedTuple):
    """LookupLease as the store answers it."""

    token: str
    ticket: str
    provider: str
    attempt: int
    reservation_id: str | None
    ends_at: float
    refresh: bool
    reason: Literal["first", "fallback", "near_limit"]


def _lookuplease(value: Any) -> LookupLease:
    return _new(
        LookupLease,
        (
            value["token"],
            value["ticket"],
            value["provider"],
            value["attempt"],
            value.get("reservation_id"),
            value["ends_at"],
            value["refresh"],
            value["reason"],
        ),
    )


class LookupDenial(NamedTuple):
    """LookupDenial as the store answers it."""

    kind: Literal["exhausted", "unavailable", "invalid"]
    reason: str
    retry_after: float | None


def _lookupdenial(value: Any) -> LookupDenial:
    return _new(
        LookupDenial,
        (
            value["kind"],
            value["reason"],
            value.get("retry_after"),
        ),
    )


class LookupSkipped(NamedTuple):
    """LookupSkipped as the store answers it."""

    provider: str
    reason: Literal["off", "refused", "throttled", "exhausted", "open", "probing", "quota", "near_limit"]
    detail: str | None
    retry_after: float | None


def _lookupskipped(value: Any) -> LookupSkipped:
    return _new(
        LookupSkipped,
        (
            value["provider"],
            value["reason"],
            value.get("detail"),
            value.get("retry_after"),
        ),
    )


class LookupDecision(NamedTuple):
    """LookupDecision as the store answers it."""

    outcome: Literal["hit", "stale", "lease", "pending", "denied"]
    entry: CacheEntry | None
    lease: LookupLease | None
    reason: Literal["stale", "refreshing", "denied"] | None
    ticket: str | None
    ends_at: float | None
    denial: LookupDenial | None
    skipped: list[LookupSkipped]


def _lookupdecision(value: Any) -> LookupDecision:
    return _new(
        LookupDecision,
        (
            value["outcome"],
            None if value.get("entry") is None else _cacheentry(value.get("entry")),
            None if value.get("lease") is None else _lookuplease(value.get("lease")),
            value.get("reason"),
            value.get("ticket"),
            value.get("ends_at"),
            None if value.get("denial") is None else _lookupdenial(value.get("denial")),
            [_lookupskipped(item) for item in value["skipped"]],
        ),
    )


class LookupAmount(TypedDict, total=False):
    """LookupAmount as the store takes it."""

    quota: Required[str]
    amount: Required[int]


class LookupSourceInput(TypedDict, total=False):
    """LookupSourceInput as the store takes it."""

    kind: Required[Literal["document", "record", "history", "web"]]
    ref: Required[str]
    title: str
    quote: str


class LookupAnswered(TypedDict, total=False):
    """LookupAnswered as the store takes it."""

    id: Required[str]
    kind: str
    customer_id: str
    status: Literal["done", "degraded"]
    answer: str
    model: str
    cost_microusd: int
    tokens_in: int
    tokens_out: int
    duration_ms: int
    sources: Sequence[LookupSourceInput]


class LookupFinished(NamedTuple):
    """LookupFinished as the store answers it."""

    cached: bool
    kept: int
    problem: str | None


def _lookupfinished(value: Any) -> LookupFinished:
    return _new(
        LookupFinished,
        (
            value["cached"],
            value["kept"],
            value.get("problem"),
        ),
    )


class LookupProvider(NamedTuple):
    """LookupProvider as the store answers it."""

    tenant: str
    bucket_id: int
    provider: str
    enabled: bool
    place: int | None
    threshold: int
    window: float
    cooldown: float
    breaker: Literal["closed", "open", "half_open"]
    failures: int
    since: float
    opens_until: float
    probe: str | None
    probe_ends_at: float
    blocked_until: float
    blocked_by: Literal["throttled", "exhausted", "refused"] | None
    last_error: str | None
    last_error_at: float | None
    calls: int
    errors: int
    updated_at: float


def _lookupprovider(value: Any) -> LookupProvider:
    return _new(LookupProvider, value if len(value) == 21 else value[:21])


class UtcOffsetInput(TypedDict, total=False):
    """UtcOffsetInput as the store takes it."""

    starts_at: Required[int]
    minutes: Required[int]


class QuotaLimit(NamedTuple):
    """QuotaLimit as the store answers it."""

    tenant: str
    bucket_id: int
    quota: str
    kind: Literal["rate", "window", "slots"]
    amount: int
    unit: str
    scale: int
    shadow: bool
    period: float | None
    burst: int | None
    window: Literal["minute", "hour", "day", "month", "total"] | None
    time_zone: str | None
    utc_offsets: list[list[int]] | None
    created_at: float
    updated_at: float


def _quotalimit(value: Any) -> QuotaLimit:
    return _new(QuotaLimit, value if len(value) == 15 else value[:15])


class QuotaLimitPage(NamedTuple):
    """QuotaLimitPage as the store answers it."""

    rows: list[QuotaLimit]
    next: str | None
    previous: str | None


def _quotalimitpage(value: Any) -> QuotaLimitPage:
    return _new(
        QuotaLimitPage,
        (
            [_quotalimit(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class QuotaAmount(TypedDict, total=False):
    """QuotaAmount as the store takes it."""

    quota: Required[str]
    amount: Required[int]


class QuotaHeld(NamedTuple):
    """QuotaHeld as the store answers it."""

    quota: str
    kind: Literal["rate", "window", "slots"]
    amount: int
    spent: int | None


def _quotaheld(value: Any) -> QuotaHeld:
    return _new(QuotaHeld, value if len(value) == 4 else value[:4])


class QuotaReservation(NamedTuple):
    """QuotaReservation as the store answers it."""

    id: str
    state: Literal["reserved", "unknown", "lapsed", "settled", "refunded", "reconciled"]
    created_at: float
    lapses_at: float
    closed_at: float | None
    claims: list[QuotaHeld]


def _quotareservation(value: Any) -> QuotaReservation:
    return _new(
        QuotaReservation,
        (
            value[0],
            value[1],
            value[2],
            value[3],
            value[4],
            [_quotaheld(item) for item in value[5]],
        ),
    )


class QuotaRemoved(NamedTuple):
    """QuotaRemoved as the store answers it."""

    removed: bool


def _quotaremoved(value: Any) -> QuotaRemoved:
    return _new(QuotaRemoved, (value["removed"],))


class ZoneRenewed(NamedTuple):
    """ZoneRenewed as the store answers it."""

    renewed: bool


def _zonerenewed(value: Any) -> ZoneRenewed:
    return _new(ZoneRenewed, (value["renewed"],))


class QuotaReport(NamedTuple):
    """QuotaReport as the store answers it."""

    quota: str
    kind: Literal["rate", "window", "slots"]
    limit: int
    unit: str
    scale: int
    shadow: bool
    window: Literal["minute", "hour", "day", "month", "total"] | None
    used: int
    reserved: int
    unknown: int
    left: int
    over: int
    near: bool
    near_count: int
    shadowed: int
    since: float
    reset: float | None


def _quotareport(value: Any) -> QuotaReport:
    return _new(
        QuotaReport,
        (
            value["quota"],
            value["kind"],
            value["limit"],
            value["unit"],
            value["scale"],
            value["shadow"],
            value.get("window"),
            value["used"],
            value["reserved"],
            value["unknown"],
            value["left"],
            value["over"],
            value["near"],
            value["near_count"],
            value["shadowed"],
            value["since"],
            value.get("reset"),
        ),
    )


class QuotaReportPage(NamedTuple):
    """QuotaReportPage as the store answers it."""

    rows: list[QuotaReport]
    next: str | None
    previous: str | None


def _quotareportpage(value: Any) -> QuotaReportPage:
    return _new(
        QuotaReportPage,
        (
            [_quotareport(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class QuotaReservationPage(NamedTuple):
    """QuotaReservationPage as the store answers it."""

    rows: list[QuotaReservation]
    next: str | None
    previous: str | None


def _quotareservationpage(value: Any) -> QuotaReservationPage:
    return _new(
        QuotaReservationPage,
        (
            [_quotareservation(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class QuotaClaim(TypedDict, total=False):
    """QuotaClaim as the store takes it."""

    quota: Required[str]
    amount: Required[int]


class TenantQuota(NamedTuple):
    """TenantQuota as the store answers it."""

    tenant: str
    quota: str
    kind: Literal["rate", "window", "slots"]
    limit: int
    unit: str
    scale: int
    shadow: bool
    window: Literal["minute", "hour", "day", "month", "total"] | None
    used: int
    reserved: int
    unknown: int
    left: int
    over: int
    near: bool
    near_count: int
    shadowed: int
    since: float
    reset: float | None


def _tenantquota(value: Any) -> TenantQuota:
    return _new(
        TenantQuota,
        (
            value["tenant"],
            value["quota"],
            value["kind"],
            value["limit"],
            value["unit"],
            value["scale"],
            value["shadow"],
            value.get("window"),
            value["used"],
            value["reserved"],
            value["unknown"],
            value["left"],
            value["over"],
            value["near"],
            value["near_count"],
            value["shadowed"],
            value["since"],
            value.get("reset"),
        ),
    )


class QuotaSurvey(NamedTuple):
    """QuotaSurvey as the store answers it."""

    rows: list[TenantQuota]
    limits: int


def _quotasurvey(value: Any) -> QuotaSurvey:
    return _new(
        QuotaSurvey,
        (
            [_tenantquota(item) for item in value["rows"]],
            value["limits"],
        ),
    )


class QuotaState(NamedTuple):
    """QuotaState as the store answers it."""

    quota: str
    left: int
    limit: int
    near: bool
    reset: float | None


def _quotastate(value: Any) -> QuotaState:
    return _new(QuotaState, value if len(value) == 5 else value[:5])


class QuotaTaken(NamedTuple):
    """QuotaTaken as the store answers it."""

    answer: list[QuotaState] | None
    refused: str | None


def _quotataken(value: Any) -> QuotaTaken:
    return _new(
        QuotaTaken,
        (
            None if value[0] is None else [_quotastate(item) for item in value[0]],
            value[1],
        ),
    )


class ZonedQuotaPage(NamedTuple):
    """ZonedQuotaPage as the store answers it."""

    rows: list[QuotaLimit]
    next: str | None
    previous: str | None


def _zonedquotapage(value: Any) -> ZonedQuotaPage:
    return _new(
        ZonedQuotaPage,
        (
            [_quotalimit(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class RequestSourceInput(TypedDict, total=False):
    """RequestSourceInput as the store takes it."""

    kind: Required[Literal["document", "record", "history", "web"]]
    ref: Required[str]
    title: str
    quote: str


class Request(NamedTuple):
    """Request as the store answers it."""

    tenant: str
    bucket_id: int
    id: str
    customer_id: str | None
    kind: str
    status: Literal["done", "degraded", "failed", "cancelled"]
    question: str
    answer: str | None
    model: str | None
    cost_microusd: int
    tokens_in: int
    tokens_out: int
    cached: bool
    duration_ms: int
    created_at: float
    error: str | None


def _request(value: Any) -> Request:
    return _new(Request, value if len(value) == 16 else value[:16])


class RequestSource(NamedTuple):
    """RequestSource as the store answers it."""

    tenant: str
    bucket_id: int
    request_id: str
    position: int
    kind: Literal["document", "record", "history", "web"]
    ref: str
    title: str
    quote: str


def _requestsource(value: Any) -> RequestSource:
    return _new(RequestSource, value if len(value) == 8 else value[:8])


class RequestWithSources(NamedTuple):
    """RequestWithSources as the store answers it."""

    request: Request
    sources: list[RequestSource]


def _requestwithsources(value: Any) -> RequestWithSources:
    return _new(
        RequestWithSources,
        (
            _request(value["request"]),
            [_requestsource(item) for item in value["sources"]],
        ),
    )


class RequestSummary(NamedTuple):
    """RequestSummary as the store answers it."""

    id: str
    customer_id: str | None
    kind: str
    status: Literal["done", "degraded", "failed", "cancelled"]
    question: str
    model: str | None
    cost_microusd: int
    tokens_in: int
    tokens_out: int
    cached: bool
    duration_ms: int
    created_at: float
    error: str | None
    answer_bytes: int


def _requestsummary(value: Any) -> RequestSummary:
    return _new(RequestSummary, value if len(value) == 14 else value[:14])


class RequestPage(NamedTuple):
    """RequestPage as the store answers it."""

    rows: list[RequestSummary]
    next: str | None
    previous: str | None


def _requestpage(value: Any) -> RequestPage:
    return _new(
        RequestPage,
        (
            [_requestsummary(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class RequestTotals(NamedTuple):
    """RequestTotals as the store answers it."""

    requests: int
    cached: int
    failed: int
    cost_microusd: int
    tokens_in: int
    tokens_out: int


def _requesttotals(value: Any) -> RequestTotals:
    return _new(
        RequestTotals,
        (
            value["requests"],
            value["cached"],
            value["failed"],
            value["cost_microusd"],
            value["tokens_in"],
            value["tokens_out"],
        ),
    )


class SessionMessageInput(TypedDict, total=False):
    """SessionMessageInput as the store takes it."""

    id: Required[str]
    role: Required[Literal["user", "assistant", "system", "tool"]]
    content: Required[str]
    body: str
    tokens: int
    created_at: float
    extra: Mapping[str, Scalar]


class SessionBatch(TypedDict, total=False):
    """SessionBatch as the store takes it."""

    session: Required[str]
    messages: Required[Sequence[SessionMessageInput]]


class SessionAppended(NamedTuple):
    """SessionAppended as the store answers it."""

    session: str
    last: int
    appended: int
    repeated: int
    code: Literal["SESSION_MESSAGE_EXISTS", "SESSION_FULL"] | None
    problem: str | None


def _sessionappended(value: Any) -> SessionAppended:
    return _new(SessionAppended, value if len(value) == 6 else value[:6])


class Session(NamedTuple):
    """Session as the store answers it."""

    tenant: str
    bucket_id: int
    id: str
    generation: int
    current_agent: str | None
    metadata: dict[str, Scalar]
    created_at: float
    last_active_at: float
    idle: float
    ends_at: float
    messages: int
    bytes: int
    tokens: int


def _session(value: Any) -> Session:
    return _new(Session, value if len(value) == 13 else value[:13])


class SessionDeleted(NamedTuple):
    """SessionDeleted as the store answers it."""

    deleted: bool


def _sessiondeleted(value: Any) -> SessionDeleted:
    return _new(SessionDeleted, (value["deleted"],))


class SessionMessage(NamedTuple):
    """SessionMessage as the store answers it."""

    tenant: str
    bucket_id: int
    session: str
    generation: int
    number: int
    id: str
    role: Literal["user", "assistant", "system", "tool"]
    content: str
    body: str | None
    tokens: int
    created_at: float
    extra: dict[str, Scalar]


def _sessionmessage(value: Any) -> SessionMessage:
    return _new(SessionMessage, value if len(value) == 12 else value[:12])


class SessionHistory(NamedTuple):
    """SessionHistory as the store answers it."""

    session: Session
    messages: list[SessionMessage]
    more: bool


def _sessionhistory(value: Any) -> SessionHistory:
    return _new(
        SessionHistory,
        (
            _session(value["session"]),
            [_sessionmessage(item) for item in value["messages"]],
            value["more"],
        ),
    )


class SessionPage(NamedTuple):
    """SessionPage as the store answers it."""

    rows: list[Session]
    next: str | None
    previous: str | None


def _sessionpage(value: Any) -> SessionPage:
    return _new(
        SessionPage,
        (
            [_session(item) for item in value["rows"]],
            value.get("next"),
            value.get("previous"),
        ),
    )


class ContractDigest(NamedTuple):
    """ContractDigest as the store answers it."""

    digest: str
    procedures: dict[str, str]
    time: float


def _contractdigest(value: Any) -> ContractDigest:
    return _new(
        ContractDigest,
        (
            value["digest"],
            value["procedures"] or {},
            value["time"],
        ),
    )


class ProcedureFigures(NamedTuple):
    """ProcedureFigures as the store answers it."""

    calls: int
    errors: int
    seconds: float
    slowest: float


def _procedurefigures(value: Any) -> ProcedureFigures:
    return _new(
        ProcedureFigures,
        (
            value["calls"],
            value["errors"],
            value["seconds"],
            value["slowest"],
        ),
    )


class StepFigures(NamedTuple):
    """StepFigures as the store answers it."""

    name: str
    runs: int
    failures: int
    seconds: float
    slowest: float
    last_error: str | None
    due_in: float


def _stepfigures(value: Any) -> StepFigures:
    return _new(
        StepFigures,
        (
            value["name"],
            value["runs"],
            value["failures"],
            value["seconds"],
            value["slowest"],
            value.get("last_error"),
            value["due_in"],
        ),
    )


class SpaceFigures(NamedTuple):
    """SpaceFigures as the store answers it."""

    name: str
    engine: str
    rows: int
    bytes: int
    index_bytes: int


def _spacefigures(value: Any) -> SpaceFigures:
    return _new(
        SpaceFigures,
        (
            value["name"],
            value["engine"],
            value["rows"],
            value["bytes"],
            value["index_bytes"],
        ),
    )


class Figures(NamedTuple):
    """Figures as the store answers it."""

    counters: dict[str, float]
    gauges: dict[str, float]
    procedures: dict[str, ProcedureFigures]
    steps: list[StepFigures]
    memory: dict[str, float]
    time: float
    spaces: list[SpaceFigures]


def _figures(value: Any) -> Figures:
    return _new(
        Figures,
        (
            value["counters"] or {},
            value["gauges"] or {},
            {key: _procedurefigures(item) for key, item in (value["procedures"] or {}).items()},
            [_stepfigures(item) for item in value["steps"]],
            value["memory"] or {},
            value["time"],
            [_spacefigures(item) for item in value["spaces"]],
        ),
    )


class Health(NamedTuple):
    """Health as the store answers it."""

    status: str
    writable: bool
    uptime: float
    schema: int
    tarantool: str
    time: float


def _health(value: Any) -> Health:
    return _new(
        Health,
        (
            value["status"],
            value["writable"],
            value["uptime"],
            value["schema"],
            value["tarantool"],
            value["time"],
        ),
    )


class SizeClass(NamedTuple):
    """SizeClass as the store answers it."""

    item_size: int
    items: int
    slabs: int
    used_bytes: int
    free_bytes: int


def _sizeclass(value: Any) -> SizeClass:
    return _new(
        SizeClass,
        (
            value["item_size"],
            value["items"],
            value["slabs"],
            value["used_bytes"],
            value["free_bytes"],
        ),
    )


class MemoryFigures(NamedTuple):
    """MemoryFigures as the store answers it."""

    quota_bytes: int
    used_bytes: int
    live_bytes: int
    item_bytes: int
    lua_bytes: int
    vinyl_bytes: int
    growth: float | None
    seconds_to_full: float | None
    spaces: list[SpaceFigures]
    size_classes: list[SizeClass]


def _memoryfigures(value: Any) -> MemoryFigures:
    return _new(
        MemoryFigures,
        (
            value["quota_bytes"],
            value["used_bytes"],
            value["live_bytes"],
            value["item_bytes"],
            value["lua_bytes"],
            value["vinyl_bytes"],
            value.get("growth"),
            value.get("seconds_to_full"),
            [_spacefigures(item) for item in value["spaces"]],
            [_sizeclass(item) for item in value["size_classes"]],
        ),
    )


class Procedures:
    """Every procedure of the store: one map of arguments, checked by the store."""

    def __init__(self, client: Client, *, coalesce: bool = True) -> None:
        """Over an open (or starting) client. `coalesce` sends calls of one tick as one."""
        self._call: Callable[..., Awaitable[Any]] = client.call
        self._wait: Callable[..., Awaitable[Any]] = client.wait
        # Unix seconds by the server's wall clock.
        self.server_time = client.server_time
        self._cache_get = (
            Coalescer(
                client.send,
                one="lycosa.cache.get",
                many="lycosa.cache.get_many",
                shared=(
                    "tenant",
                    "stale",
                ),
                element="key",
                elements="keys",
                limit=32,
            )
            if coalesce
            else None
        )
        self._cache_set = (
            Coalescer(
                client.send,
                one="lycosa.cache.set",
                many="lycosa.cache.set_many",
                shared=("tenant",),
                element=None,
                elements="entries",
                limit=32,
                reads=False,
                refusals=(Invalid, MemoryFull),
            )
            if coalesce
            else None
        )
        self._kv_get = (
            Coalescer(
                client.send,
                one="lycosa.kv.get",
                many="lycosa.kv.get_many",
                shared=(
                    "tenant",
                    "namespace",
                ),
                element="key",
                elements="keys",
                limit=32,
            )
            if coalesce
            else None
        )
        self._quota_take = (
            Coalescer(
                client.send,
                one="lycosa.quota.take",
                many="lycosa.quota.take_many",
                shared=("tenant",),
                element="claims",
                elements="takes",
                limit=32,
                reads=False,
                idempotent=False,
                refused=client.error_of,
            )
            if coalesce
            else None
        )

    async def access_authenticate(
        self, *, id: str, proof: str, timeout: float | None = None
    ) -> AccessGranted:
        """Whose an API key is and what it may. That it was revoked or has expired is told only to who has its secret.

        proof: SHA-256 of the secret, in hexadecimal
        Raises AccessKeyRefused.
        """
        args: dict[str, Any] = {"id": id, "proof": proof}
        answer = await self._call("lycosa.access.authenticate", args, timeout)
        return _accessgranted(answer)

    async def access_create(
        self,
        *,
        tenant: str,
        id: str,
        proof: str,
        name: str,
        scopes: Sequence[Literal["read", "write", "spend", "admin"]],
        expires_at: float | None = None,
        created_by: str | None = None,
        timeout: float | None = None,
    ) -> AccessKey:
        """Make an API key. Its secret stays with who made it: here comes its proof, the SHA-256 of the secret. The same call repeated answers the key that is there.

        tenant: whose key it is
        id: by chance; the part of the key that may be shown
        proof: SHA-256 of the secret, in hexadecimal
        name: its purpose
        scopes: what it may
        expires_at: unix seconds; never when absent
        created_by: key of who asks for it
        Raises AccessKeysFull, AccessKeyExists, InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id, "proof": proof, "name": name, "scopes": scopes}
        if expires_at is not None:
            args["expires_at"] = expires_at
        if created_by is not None:
            args["created_by"] = created_by
        answer = await self._call("lycosa.access.create", args, timeout)
        return _accesskey(answer)

    async def access_list(
        self,
        *,
        tenant: str,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> AccessKeyPage:
        """A page of the API keys of a tenant, the newest first. Those that ended are listed for 90 days.

        tenant: whose key it is
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.access.list", args, timeout)
        return _accesskeypage(answer)

    async def access_revoke(self, *, tenant: str, id: str, timeout: float | None = None) -> AccessKey:
        """End an API key at once. One that was revoked before stays as it was.

        tenant: whose key it is
        Raises AccessKeyNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        answer = await self._call("lycosa.access.revoke", args, timeout)
        return _accesskey(answer)

    async def cache_delete(
        self, *, tenant: str, keys: Sequence[str], timeout: float | None = None
    ) -> CacheDeleted:
        """Delete entries by key. Keys that are not there are no error; those that had expired do not count.

        tenant: whose entry
        keys: keys to delete
        """
        args: dict[str, Any] = {"tenant": tenant, "keys": keys}
        answer = await self._call("lycosa.cache.delete", args, timeout)
        return _cachedeleted(answer)

    async def cache_figures(self, *, tenant: str | None = None, timeout: float | None = None) -> CacheFigures:
        """What the cache holds in entries and bytes (with 24 bytes for each place in an index), expired ones that wait for the sweep included, what it may hold, and hits, misses and entries let go since the server started. The budget of one tenant is its share, beyond which its own entries go first.

        tenant: only this tenant; the whole server when absent
        """
        args: dict[str, Any] = {}
        if tenant is not None:
            args["tenant"] = tenant
        answer = await self._call("lycosa.cache.figures", args, timeout)
        return _cachefigures(answer)

    async def cache_get(
        self, *, tenant: str, key: str, stale: bool | None = None, timeout: float | None = None
    ) -> CacheEntry | None:
        """An entry of the cache, or null when there is none. An expired entry is never served, but in its stale period to those who take it stale.

        tenant: whose entry
        key: as given to cache.set
        stale: whether an entry in its stale period is taken; its expires_at tells that it is stale
        """
        if self._cache_get is not None:
            answer = await self._cache_get.ask(
                (
                    tenant,
                    stale,
                ),
                key,
                timeout,
            )
        else:
            args: dict[str, Any] = {"tenant": tenant, "key": key}
            if stale is not None:
                args["stale"] = stale
            answer = await self._call("lycosa.cache.get", args, timeout)
        return None if answer is None else _cacheentry(answer)

    async def cache_get_many(
        self, *, tenant: str, keys: Sequence[str], stale: bool | None = None, timeout: float | None = None
    ) -> list[CacheEntry | None]:
        """Entries in the order of their keys, with null where there is none.

        tenant: whose entry
        keys: as given to cache.set
        stale: whether an entry in its stale period is taken; its expires_at tells that it is stale
        """
        args: dict[str, Any] = {"tenant": tenant, "keys": keys}
        if stale is not None:
            args["stale"] = stale
        answer = await self._call("lycosa.cache.get_many", args, timeout)
        return [None if item is None else _cacheentry(item) for item in answer]

    async def cache_invalidate(
        self,
        *,
        tenant: str,
        tag: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> CacheInvalidated:
        """Delete the entries with a tag, or those whose keys begin with a prefix: exactly one of both is given. Deletes at most limit entries and says whether more may be left: call again until there are none. A prefix is looked for in 2,000 entries a call, so one may delete none and still say more.

        tenant: whose entry
        tag: one of the tags given to cache.set
        prefix: how keys begin, byte by byte
        limit: entries at the most
        """
        args: dict[str, Any] = {"tenant": tenant}
        if tag is not None:
            args["tag"] = tag
        if prefix is not None:
            args["prefix"] = prefix
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.cache.invalidate", args, timeout)
        return _cacheinvalidated(answer)

    async def cache_set(
        self,
        *,
        tenant: str,
        key: str,
        value: bytes | str,
        ttl: float,
        media_type: str | None = None,
        stale_for: float | None = None,
        negative: bool | None = None,
        tags: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> CacheTimes:
        """Store a value under a key for a time, in place of what was there. Entries that were not read of late go when the budget is spent; refused with MEMORY_FULL only while memory is over 80 % full and all that may go would not do.

        tenant: whose entry
        key: any text of 1 to 512 bytes; what stands before its first colon is its namespace
        value: any bytes, at most 1,000,000
        media_type: what the bytes are
        ttl: seconds until it expires, at most a year
        stale_for: seconds after that in which it is served to those who take it stale
        negative: whether it says that there is nothing
        tags: names by which it can be invalidated
        Raises MemoryFull.
        """
        args: dict[str, Any] = {"key": key, "value": value, "ttl": ttl}
        if media_type is not None:
            args["media_type"] = media_type
        if stale_for is not None:
            args["stale_for"] = stale_for
        if negative is not None:
            args["negative"] = negative
        if tags is not None:
            args["tags"] = tags
        if self._cache_set is not None and not (isinstance(value, (bytes, str)) and len(value) > 16384):
            answer = await self._cache_set.ask((tenant,), args, timeout)
        else:
            args |= {"tenant": tenant}
            answer = await self._call("lycosa.cache.set", args, timeout)
        return _cachetimes(answer)

    async def cache_set_many(
        self, *, tenant: str, entries: Sequence[CacheItem], timeout: float | None = None
    ) -> list[CacheTimes]:
        """Store up to a hundred values, all or none, together at most 4,000,000 bytes. Answers the times of each, in order; of a key that is there twice, the last value stays.

        tenant: whose entry
        entries: what to store
        Raises MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "entries": entries}
        answer = await self._call("lycosa.cache.set_many", args, timeout)
        return [_cachetimes(item) for item in answer]

    async def cache_take(self, *, tenant: str, key: str, timeout: float | None = None) -> CacheEntry | None:
        """Get an entry and delete it in one; null when there is none or it has expired. Of many who ask at once, one has it.

        tenant: whose entry
        key: as given to cache.set
        """
        args: dict[str, Any] = {"tenant": tenant, "key": key}
        answer = await self._call("lycosa.cache.take", args, timeout, idempotent=False)
        return None if answer is None else _cacheentry(answer)

    async def checkpoint_copy_thread(
        self, *, tenant: str, source: str, target: str, wait: float, timeout: float | None = None
    ) -> CheckpointCopied:
        """Copy a thread under a new name, in short transactions, seen by nobody until it is whole.

        tenant: whose threads
        target: must not exist
        wait: seconds it may take
        Raises CheckpointBusy, CheckpointChanged, CheckpointExists, MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "source": source, "target": target, "wait": wait}
        answer = await self._wait("lycosa.checkpoint.copy_thread", args, timeout, idempotent=False)
        return _checkpointcopied(answer)

    async def checkpoint_delete_for_runs(
        self, *, tenant: str, runs: Sequence[str], limit: int | None = None, timeout: float | None = None
    ) -> CheckpointsDeleted:
        """Delete the states that runs stored, with their pending writes and the values that only they have. Call again while there is more.

        tenant: whose threads
        limit: rows at about the most
        """
        args: dict[str, Any] = {"tenant": tenant, "runs": runs}
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.checkpoint.delete_for_runs", args, timeout)
        return _checkpointsdeleted(answer)

    async def checkpoint_delete_thread(
        self, *, tenant: str, thread: str, timeout: float | None = None
    ) -> CheckpointThreadDeleted:
        """Delete a thread with all that is its own. It is gone at once; its rows are swept later.

        tenant: whose threads
        thread: such as the id of a conversation
        """
        args: dict[str, Any] = {"tenant": tenant, "thread": thread}
        answer = await self._call("lycosa.checkpoint.delete_thread", args, timeout)
        return _checkpointthreaddeleted(answer)

    async def checkpoint_get(
        self,
        *,
        tenant: str,
        thread: str,
        namespace: str | None = None,
        id: str | None = None,
        cursor: str | None = None,
        timeout: float | None = None,
    ) -> CheckpointPage:
        """A state with the values of its channels and the pending writes on top of it, as many as 4,000,000 bytes allow; a cursor, given with the id, leads to the rest, whose page has no head.

        tenant: whose threads
        thread: such as the id of a conversation
        namespace: of a graph within the graph; empty for the outermost
        id: the latest of the namespace when absent
        cursor: the `next` of the page before
        Raises CheckpointChanged, InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant, "thread": thread}
        if namespace is not None:
            args["namespace"] = namespace
        if id is not None:
            args["id"] = id
        if cursor is not None:
            args["cursor"] = cursor
        answer = await self._call("lycosa.checkpoint.get", args, timeout)
        return _checkpointpage(answer)

    async def checkpoint_list(
        self,
        *,
        tenant: str,
        thread: str | None = None,
        namespace: str | None = None,
        before: str | None = None,
        filter: Mapping[str, Scalar] | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> CheckpointHeads:
        """A page of states, the newest first, of a namespace, a thread or all threads, without values and writes. A page may be short while `next` leads on.

        tenant: whose threads
        thread: all threads when absent
        namespace: all namespaces of the thread when absent
        before: only states with a lower id
        filter: facts that must be so; states whose facts are not all known are shown, too
        cursor: the `next` of the page before
        Raises InvalidArgument, InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if thread is not None:
            args["thread"] = thread
        if namespace is not None:
            args["namespace"] = namespace
        if before is not None:
            args["before"] = before
        if filter is not None:
            args["filter"] = filter
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.checkpoint.list", args, timeout)
        return _checkpointheads(answer)

    async def checkpoint_parts(
        self, *, tenant: str, thread: str, name: str, first: int, timeout: float | None = None
    ) -> list[CheckpointPart]:
        """Parts of a value from one on, as many as 4,000,000 bytes allow; none at the end and when it is gone.

        tenant: whose threads
        thread: such as the id of a conversation
        name: of the value: the caller's choice, never used twice
        first: number of the first of these parts
        """
        args: dict[str, Any] = {"tenant": tenant, "thread": thread, "name": name, "first": first}
        answer = await self._call("lycosa.checkpoint.parts", args, timeout)
        return [_checkpointpart(item) for item in answer]

    async def checkpoint_prune(
        self,
        *,
        tenant: str,
        thread: str,
        before: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> CheckpointsPruned:
        """Keep only the latest state of every namespace of a thread, and the states before it from which channels without a value are made again. Call again with `before` while there is more.

        tenant: whose threads
        thread: such as the id of a conversation
        before: the `before` of the answer before
        limit: rows at about the most
        """
        args: dict[str, Any] = {"tenant": tenant, "thread": thread}
        if before is not None:
            args["before"] = before
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.checkpoint.prune", args, timeout)
        return _checkpointspruned(answer)

    async def checkpoint_put(
        self,
        *,
        tenant: str,
        thread: str,
        id: str,
        state: CheckpointValue,
        metadata: CheckpointValue,
        channels: Sequence[CheckpointChannel],
        namespace: str | None = None,
        parent: str | None = None,
        run: str | None = None,
        facts: Mapping[str, Scalar] | None = None,
        deltas: Sequence[str] | None = None,
        blobs: Sequence[CheckpointBlobInput] | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Store a state of a thread with the values that are new in it, in one; together at most 4,000,000 bytes. A value that should be there already and is not is CHECKPOINT_CHANGED: give it again.

        tenant: whose threads
        thread: such as the id of a conversation
        namespace: of a graph within the graph; empty for the outermost
        id: of the state: later ones are greater, byte by byte
        parent: the state that it follows
        state: without the values of channels
        run: the run that stored it, for checkpoint.delete_for_runs
        facts: what of the metadata checkpoint.list can filter by; absent when that is not all
        channels: every channel of the state with its version
        deltas: channels without a value, made again from the writes on top of the states before
        blobs: values of versions that are new
        ttl: seconds after this write until the whole thread ends; never when absent
        Raises CheckpointChanged, InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "thread": thread,
            "id": id,
            "state": state,
            "metadata": metadata,
            "channels": channels,
        }
        if namespace is not None:
            args["namespace"] = namespace
        if parent is not None:
            args["parent"] = parent
        if run is not None:
            args["run"] = run
        if facts is not None:
            args["facts"] = facts
        if deltas is not None:
            args["deltas"] = deltas
        if blobs is not None:
            args["blobs"] = blobs
        if ttl is not None:
            args["ttl"] = ttl
        await self._call("lycosa.checkpoint.put", args, timeout)

    async def checkpoint_put_parts(
        self,
        *,
        tenant: str,
        thread: str,
        name: str,
        first: int,
        parts: Sequence[bytes | str],
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Store parts of a value that is too large for one row, in their order, together at most 4,000,000 bytes a call, before what refers to it.

        tenant: whose threads
        thread: such as the id of a conversation
        name: of the value: the caller's choice, never used twice
        first: number of the first of these parts
        ttl: seconds after this write until the whole thread ends; never when absent
        Raises CheckpointChanged, InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "thread": thread,
            "name": name,
            "first": first,
            "parts": parts,
        }
        if ttl is not None:
            args["ttl"] = ttl
        await self._call("lycosa.checkpoint.put_parts", args, timeout)

    async def checkpoint_put_writes(
        self,
        *,
        tenant: str,
        thread: str,
        id: str,
        task: str,
        writes: Sequence[CheckpointWriteInput],
        namespace: str | None = None,
        path: str | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Store what a task wrote on top of a state, in one; together at most 4,000,000 bytes. What is there under a position of 0 and more stays, under a negative one it is replaced. The state may be stored later.

        tenant: whose threads
        thread: such as the id of a conversation
        namespace: of a graph within the graph; empty for the outermost
        id: of the state: later ones are greater, byte by byte
        path: orders the writes of tasks
        ttl: seconds after this write until the whole thread ends; never when absent
        Raises CheckpointChanged, InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "thread": thread, "id": id, "task": task, "writes": writes}
        if namespace is not None:
            args["namespace"] = namespace
        if path is not None:
            args["path"] = path
        if ttl is not None:
            args["ttl"] = ttl
        await self._call("lycosa.checkpoint.put_writes", args, timeout)

    async def customer_count(self, *, tenant: str, timeout: float | None = None) -> int:
        """How many customers a tenant has. Kept by every write, not counted."""
        args: dict[str, Any] = {"tenant": tenant}
        answer = await self._call("lycosa.customer.count", args, timeout)
        result: int = answer
        return result

    async def customer_delete(
        self, *, tenant: str, ids: Sequence[str], timeout: float | None = None
    ) -> DeletedCustomers:
        """Delete up to 1,000 customers by id in one transaction; unknown ids are passed over."""
        args: dict[str, Any] = {"tenant": tenant, "ids": ids}
        answer = await self._call("lycosa.customer.delete", args, timeout)
        return _deletedcustomers(answer)

    async def customer_find(
        self,
        *,
        tenant: str,
        by: Literal["id", "external_id", "email", "segment", "tag", "name", "all"],
        value: str | None = None,
        prefix: str | None = None,
        from_: float | None = None,
        until: float | None = None,
        order: Literal["asc", "desc"] | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> CustomerPage:
        """A page of customers by one of the indexes, with cursors to the next and the previous page. Pages do not shift when customers are inserted or deleted meanwhile.

        by: segment orders by since, name by the folded name, the others by id
        value: what to look for: equal, for name a prefix in any case; none with by = all
        prefix: with by = all: how ids begin, byte by byte
        from: with by = segment: since at or after, unix seconds
        until: with by = segment: since before, unix seconds
        cursor: next or previous of another page of the same query
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant, "by": by}
        if value is not None:
            args["value"] = value
        if prefix is not None:
            args["prefix"] = prefix
        if from_ is not None:
            args["from"] = from_
        if until is not None:
            args["until"] = until
        if order is not None:
            args["order"] = order
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.customer.find", args, timeout, packed=True)
        answer["rows"] = unpackb(answer["rows"])
        return _customerpage(answer)

    async def customer_get(self, *, tenant: str, id: str, timeout: float | None = None) -> Customer:
        """One customer by id.

        Raises CustomerNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        answer = await self._call("lycosa.customer.get", args, timeout)
        return _customer(answer)

    async def customer_segment(
        self, *, tenant: str, segment: str, timeout: float | None = None
    ) -> SegmentFigures:
        """Figures of one segment; the empty name stands for the customers in none.

        Raises SegmentNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "segment": segment}
        answer = await self._call("lycosa.customer.segment", args, timeout)
        return _segmentfigures(answer)

    async def customer_segments(
        self,
        *,
        tenant: str,
        prefix: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> SegmentPage:
        """Figures of the segments by name: customers, revenue in cents, orders. Kept by every write, read by key.

        prefix: how names begin, byte by byte
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if prefix is not None:
            args["prefix"] = prefix
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.customer.segments", args, timeout)
        return _segmentpage(answer)

    async def customer_upsert(
        self,
        *,
        tenant: str,
        rows: Sequence[CustomerInput | Mapping[str, object]],
        timeout: float | None = None,
    ) -> list[UpsertOutcome]:
        """Insert and change up to 1,000 customers in one transaction, with an outcome for every row. A row is a patch: an absent field keeps what is stored, null clears it. It is found by id, else by external_id. Rows that say nothing new are written nowhere. An invalid row names its field and stops no other; an id or external_id may stand in one row of a batch.

        Raises MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "rows": rows}
        answer = await self._call("lycosa.customer.upsert", args, timeout)
        return [_upsertoutcome(item) for item in answer]

    async def document_delete(
        self, *, tenant: str, ids: Sequence[str], timeout: float | None = None
    ) -> DocumentsDeleted:
        """Delete documents by id. They are invisible at once; unknown ids are passed over."""
        args: dict[str, Any] = {"tenant": tenant, "ids": ids}
        answer = await self._call("lycosa.document.delete", args, timeout)
        return _documentsdeleted(answer)

    async def document_figures(self, *, tenant: str, timeout: float | None = None) -> DocumentFigures:
        """How many documents, passages, terms and postings a tenant has, and how far its index lags behind."""
        args: dict[str, Any] = {"tenant": tenant}
        answer = await self._call("lycosa.document.figures", args, timeout)
        return _documentfigures(answer)

    async def document_get(self, *, tenant: str, id: str, timeout: float | None = None) -> DocumentText:
        """One document with its whole text.

        Raises DocumentNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        answer = await self._call("lycosa.document.get", args, timeout)
        return _documenttext(answer)

    async def document_list(
        self,
        *,
        tenant: str,
        customer_id: str | None = None,
        prefix: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> DocumentPage:
        """A page of documents without their texts, in the order of their ids; of one customer when given.

        prefix: how ids begin, byte by byte
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if customer_id is not None:
            args["customer_id"] = customer_id
        if prefix is not None:
            args["prefix"] = prefix
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.document.list", args, timeout, packed=True)
        answer["rows"] = unpackb(answer["rows"])
        return _documentpage(answer)

    async def document_match(
        self, *, tenant: str, query: str, texts: Sequence[str], timeout: float | None = None
    ) -> DocumentMatches:
        """How many words texts have and how often the terms of a query are among them, by the stems of document.search: for ranking what is kept elsewhere. At most 262,144 bytes of text a call; nothing is stored.

        Raises InvalidArgument.
        """
        args: dict[str, Any] = {"tenant": tenant, "query": query, "texts": texts}
        answer = await self._call("lycosa.document.match", args, timeout)
        return _documentmatches(answer)

    async def document_put(
        self,
        *,
        tenant: str,
        documents: Sequence[DocumentInput | Mapping[str, object]],
        timeout: float | None = None,
    ) -> list[DocumentOutcome]:
        """Store documents, replacing those with the same id. Each row has its own outcome: inserted, replaced, unchanged or invalid with the reason; an invalid row does not keep the others out. At most 100 documents and 512 KiB of text a call. They are found as soon as the background has indexed them.

        Raises InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "documents": documents}
        answer = await self._call("lycosa.document.put", args, timeout)
        return [_documentoutcome(item) for item in answer]

    async def document_search(
        self,
        *,
        tenant: str,
        query: str,
        limit: int | None = None,
        customer_id: str | None = None,
        include_general: bool | None = None,
        kind: str | None = None,
        without_kind: str | None = None,
        timeout: float | None = None,
    ) -> DocumentSearch:
        """The documents that answer a query best, each with its best passage, by BM25 over Russian and English stems. Equal scores stand in the order of storing. A search that reaches its bound of 400,000 examined postings answers with the best it has seen and says bounded = true. The first 32 different words count.

        customer_id: only documents of this customer
        include_general: with customer_id: also documents of no customer
        without_kind: leaves documents of this kind out
        """
        args: dict[str, Any] = {"tenant": tenant, "query": query}
        if limit is not None:
            args["limit"] = limit
        if customer_id is not None:
            args["customer_id"] = customer_id
        if include_general is not None:
            args["include_general"] = include_general
        if kind is not None:
            args["kind"] = kind
        if without_kind is not None:
            args["without_kind"] = without_kind
        answer = await self._call("lycosa.document.search", args, timeout)
        return _documentsearch(answer)

    async def event_append(
        self,
        *,
        tenant: str,
        stream: str,
        writer: str,
        first: int,
        events: Sequence[EventInput] | None = None,
        ended: bool | None = None,
        keep: float | None = None,
        timeout: float | None = None,
    ) -> EventAppended:
        """Append events to a stream, beginning it with the first call; without events, say that the writer is still there. They must follow the last one; the same call repeated writes nothing.

        tenant: whose stream it is
        stream: such as the id of the request
        writer: who writes the stream: nobody else may
        first: number of the first of these events
        ended: whether these are the last
        keep: seconds until the stream expires, from now
        Raises EventOutOfOrder, EventStreamFull, InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "stream": stream, "writer": writer, "first": first}
        if events is not None:
            args["events"] = events
        if ended is not None:
            args["ended"] = ended
        if keep is not None:
            args["keep"] = keep
        answer = await self._call("lycosa.event.append", args, timeout)
        return _eventappended(answer)

    async def event_read(
        self,
        *,
        tenant: str,
        stream: str,
        after: int | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> EventPage:
        """The events of a stream after a number, in order: as many as the limit and 256 KiB allow.

        tenant: whose stream it is
        stream: such as the id of the request
        after: the last event that the caller knows
        Raises EventStreamNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "stream": stream}
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.event.read", args, timeout)
        return _eventpage(answer)

    async def kv_clear(
        self,
        *,
        tenant: str,
        namespace: str,
        prefix: str | None = None,
        nested: bool | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> KvCleared:
        """Delete the entries of a namespace, or those of a prefix. Deletes at most limit entries and says whether more are left: call again until there are none.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        prefix: how keys begin, byte by byte
        nested: take every namespace whose name begins with this one, byte by byte, instead of this one alone
        Raises InvalidArgument.
        """
        args: dict[str, Any] = {"tenant": tenant, "namespace": namespace}
        if prefix is not None:
            args["prefix"] = prefix
        if nested is not None:
            args["nested"] = nested
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.kv.clear", args, timeout)
        return _kvcleared(answer)

    async def kv_compare_and_set(
        self,
        *,
        tenant: str,
        namespace: str,
        key: str,
        value: bytes | str,
        version: int,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> KvStored:
        """Store a value if the entry still has the version that the caller saw. Of many who try at once, one does.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        key: any text of 1 to 512 bytes
        value: any bytes, at most 1,000,000
        version: what the caller saw; 0 when there was no entry
        ttl: seconds until it expires, at most ten years; never when absent
        Raises KvConflict, MemoryFull.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "namespace": namespace,
            "key": key,
            "value": value,
            "version": version,
        }
        if ttl is not None:
            args["ttl"] = ttl
        answer = await self._call("lycosa.kv.compare_and_set", args, timeout, idempotent=False)
        return _kvstored(answer)

    async def kv_delete(
        self, *, tenant: str, namespace: str, keys: Sequence[str], timeout: float | None = None
    ) -> KvDeleted:
        """Delete entries by key. Keys that are not there are no error; those that had expired do not count.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        keys: at most a hundred
        """
        args: dict[str, Any] = {"tenant": tenant, "namespace": namespace, "keys": keys}
        answer = await self._call("lycosa.kv.delete", args, timeout)
        return _kvdeleted(answer)

    async def kv_get(
        self, *, tenant: str, namespace: str, key: str, timeout: float | None = None
    ) -> KvEntry | None:
        """The entry of a key, or null when there is none or it has expired.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        key: as given to kv.set
        """
        if self._kv_get is not None:
            answer = await self._kv_get.ask(
                (
                    tenant,
                    namespace,
                ),
                key,
                timeout,
            )
        else:
            args: dict[str, Any] = {"tenant": tenant, "namespace": namespace, "key": key}
            answer = await self._call("lycosa.kv.get", args, timeout)
        return None if answer is None else _kventry(answer)

    async def kv_get_many(
        self, *, tenant: str, namespace: str, keys: Sequence[str], timeout: float | None = None
    ) -> list[KvEntry | None]:
        """Entries of one namespace in the order of their keys, with null where there is none.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        keys: at most a hundred
        """
        args: dict[str, Any] = {"tenant": tenant, "namespace": namespace, "keys": keys}
        answer = await self._call("lycosa.kv.get_many", args, timeout)
        return [None if item is None else _kventry(item) for item in answer]

    async def kv_keys(
        self,
        *,
        tenant: str,
        namespace: str,
        prefix: str | None = None,
        nested: bool | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> KvKeys:
        """A page of keys in the order of namespace and key, with what is known of their entries, without values.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        prefix: how keys begin, byte by byte
        nested: take every namespace whose name begins with this one, byte by byte, instead of this one alone
        cursor: the `next` of the page before
        Raises InvalidArgument, InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant, "namespace": namespace}
        if prefix is not None:
            args["prefix"] = prefix
        if nested is not None:
            args["nested"] = nested
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.kv.keys", args, timeout)
        return _kvkeys(answer)

    async def kv_list(
        self,
        *,
        tenant: str,
        namespace: str,
        prefix: str | None = None,
        nested: bool | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> KvPage:
        """A page of entries in the order of namespace and key, with their values: as many as the limit and 1,000,000 bytes of values allow, at least one. A page may be short while `next` leads on.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        prefix: how keys begin, byte by byte
        nested: take every namespace whose name begins with this one, byte by byte, instead of this one alone
        cursor: the `next` of the page before
        Raises InvalidArgument, InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant, "namespace": namespace}
        if prefix is not None:
            args["prefix"] = prefix
        if nested is not None:
            args["nested"] = nested
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.kv.list", args, timeout)
        return _kvpage(answer)

    async def kv_namespaces(
        self,
        *,
        tenant: str,
        prefix: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> KvNamespaces:
        """A page of the names of namespaces in their order. A page may be short while `next` leads on.

        tenant: whose entries
        prefix: how names begin, byte by byte
        cursor: the `next` of the page before
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if prefix is not None:
            args["prefix"] = prefix
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.kv.namespaces", args, timeout)
        return _kvnamespaces(answer)

    async def kv_set(
        self,
        *,
        tenant: str,
        namespace: str,
        key: str,
        value: bytes | str,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> KvStored:
        """Store a value under a key, for a time or for ever, in place of what was there.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        key: any text of 1 to 512 bytes
        value: any bytes, at most 1,000,000
        ttl: seconds until it expires, at most ten years; never when absent
        Raises MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "namespace": namespace, "key": key, "value": value}
        if ttl is not None:
            args["ttl"] = ttl
        answer = await self._call("lycosa.kv.set", args, timeout)
        return _kvstored(answer)

    async def kv_set_many(
        self, *, tenant: str, namespace: str, entries: Sequence[KvItem], timeout: float | None = None
    ) -> list[KvStored]:
        """Store up to a hundred values in one namespace, all or none, together at most 4,000,000 bytes. Of a key that is there twice, the last value stays.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        entries: what to store
        Raises InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "namespace": namespace, "entries": entries}
        answer = await self._call("lycosa.kv.set_many", args, timeout)
        return [_kvstored(item) for item in answer]

    async def kv_touch(
        self, *, tenant: str, namespace: str, keys: Sequence[str], timeout: float | None = None
    ) -> KvTouched:
        """Let entries begin their time anew; those without a time and keys that are not there are left alone.

        tenant: whose entries
        namespace: any text of 1 to 512 bytes
        keys: at most a hundred
        """
        args: dict[str, Any] = {"tenant": tenant, "namespace": namespace, "keys": keys}
        answer = await self._call("lycosa.kv.touch", args, timeout)
        return _kvtouched(answer)

    async def lookup_await(
        self,
        *,
        tenant: str,
        key: str,
        question: str,
        providers: Sequence[LookupCandidate],
        ticket: str,
        wait: float,
        max_age: float | None = None,
        stale_for: float | None = None,
        lease: float | None = None,
        request: LookupRequest | None = None,
        account: str | None = None,
        since: float | None = None,
        timeout: float | None = None,
    ) -> LookupDecision:
        """Wait for the leader of a pending question: his answer, his denial, or the lease when he vanished or gave up. Still pending when the time is over.

        tenant: who asks
        key: names the question: equal questions have equal keys
        question: in words, for the history
        providers: in order of preference
        max_age: an answer older than this is not fresh to the caller
        stale_for: seconds beyond max_age in which it is taken stale
        lease: seconds that a leader has
        request: its row in the history when it is served from the cache
        account: the tenant whose quotas and breakers the providers are; who asks when absent
        ticket: of the pending decision
        wait: seconds at the most
        since: an answer made since then is fresh, whatever max_age says
        Raises InvalidArgument, LookupBusy, MemoryFull, QuotaUnknown, RequestExists.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "key": key,
            "question": question,
            "providers": _repeated("providers", providers, 2048),
            "ticket": ticket,
            "wait": wait,
        }
        if max_age is not None:
            args["max_age"] = max_age
        if stale_for is not None:
            args["stale_for"] = stale_for
        if lease is not None:
            args["lease"] = lease
        if request is not None:
            args["request"] = request
        if account is not None:
            args["account"] = account
        if since is not None:
            args["since"] = since
        answer = await self._wait("lycosa.lookup.await", args, timeout, idempotent=False)
        return _lookupdecision(answer)

    async def lookup_begin(
        self,
        *,
        tenant: str,
        key: str,
        question: str,
        providers: Sequence[LookupCandidate],
        max_age: float | None = None,
        stale_for: float | None = None,
        lease: float | None = None,
        request: LookupRequest | None = None,
        account: str | None = None,
        timeout: float | None = None,
    ) -> LookupDecision:
        """Decide in one step who answers a question: hit (a fresh answer), stale (an old one; for one caller with the lease to refresh it), lease (the caller buys it from the provider named, whose units are reserved), pending (somebody else does) or denied. Never waits.

        tenant: who asks
        key: names the question: equal questions have equal keys
        question: in words, for the history
        providers: in order of preference
        max_age: an answer older than this is not fresh to the caller
        stale_for: seconds beyond max_age in which it is taken stale
        lease: seconds that a leader has
        request: its row in the history when it is served from the cache
        account: the tenant whose quotas and breakers the providers are; who asks when absent
        Raises InvalidArgument, MemoryFull, QuotaUnknown, RequestExists.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "key": key,
            "question": question,
            "providers": _repeated("providers", providers, 2048),
        }
        if max_age is not None:
            args["max_age"] = max_age
        if stale_for is not None:
            args["stale_for"] = stale_for
        if lease is not None:
            args["lease"] = lease
        if request is not None:
            args["request"] = request
        if account is not None:
            args["account"] = account
        answer = await self._call("lycosa.lookup.begin", args, timeout, idempotent=False)
        return _lookupdecision(answer)

    async def lookup_fail(
        self,
        *,
        tenant: str,
        key: str,
        token: str,
        cause: Literal["transient", "late", "throttled", "exhausted", "refused", "invalid"],
        charged: bool,
        error: str,
        amounts: Sequence[LookupAmount] | None = None,
        retry_after: float | None = None,
        timeout: float | None = None,
    ) -> LookupDecision:
        """Report that the provider of a lease failed. Moves its breaker, gives back what was not charged, and hands the lease to the next provider; without one, or for an invalid question, it is denied and followers learn why.

        tenant: who asks
        key: names the question: equal questions have equal keys
        token: of the lease
        cause: what went wrong: see the concepts page
        charged: whether the provider charges the call; false gives the units back
        amounts: true amounts where they are not as reserved
        error: in words, without secrets; what the provider said itself behind a colon
        retry_after: what the provider told to wait
        Raises InvalidArgument, LeaseLost, QuotaUnknown.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "key": key,
            "token": token,
            "cause": cause,
            "charged": charged,
            "error": error,
        }
        if amounts is not None:
            args["amounts"] = amounts
        if retry_after is not None:
            args["retry_after"] = retry_after
        answer = await self._call("lycosa.lookup.fail", args, timeout, idempotent=False)
        return _lookupdecision(answer)

    async def lookup_finish(
        self,
        *,
        tenant: str,
        key: str,
        token: str,
        value: bytes | str,
        ttl: float,
        request: LookupAnswered,
        media_type: str | None = None,
        stale_for: float | None = None,
        negative: bool | None = None,
        tags: Sequence[str] | None = None,
        amounts: Sequence[LookupAmount] | None = None,
        documents: Sequence[DocumentInput | Mapping[str, object]] | None = None,
        timeout: float | None = None,
    ) -> LookupFinished:
        """Store the answer that a lease bought, settle its true cost, write history, keep its sources as documents and close the breaker, in one transaction. Followers wake.

        tenant: who asks
        key: names the question: equal questions have equal keys
        token: of the lease
        value: the answer, at most 1,000,000 bytes
        media_type: what the bytes are
        ttl: seconds until it expires
        stale_for: seconds after that in which it may be served stale
        negative: whether it says that there is nothing
        tags: names by which it can be invalidated
        amounts: true amounts where they are not as reserved
        request: its row in the history
        documents: sources to keep
        Raises InvalidArgument, LeaseLost, MemoryFull, RequestExists.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "key": key,
            "token": token,
            "value": value,
            "ttl": ttl,
            "request": request,
        }
        if media_type is not None:
            args["media_type"] = media_type
        if stale_for is not None:
            args["stale_for"] = stale_for
        if negative is not None:
            args["negative"] = negative
        if tags is not None:
            args["tags"] = tags
        if amounts is not None:
            args["amounts"] = amounts
        if documents is not None:
            args["documents"] = documents
        answer = await self._call("lycosa.lookup.finish", args, timeout, idempotent=False)
        return _lookupfinished(answer)

    async def lookup_providers(self, *, tenant: str, timeout: float | None = None) -> list[LookupProvider]:
        """Every provider that a tenant has called or set, by name: its breaker, what blocks it, its last error.

        tenant: who asks
        """
        args: dict[str, Any] = {"tenant": tenant}
        answer = await self._call("lycosa.lookup.providers", args, timeout)
        return [_lookupprovider(item) for item in answer]

    async def lookup_release(
        self,
        *,
        tenant: str,
        key: str,
        token: str,
        charged: bool,
        amounts: Sequence[LookupAmount] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Give a lease up without an answer and without blame, because the caller went away. The next who waits leads.

        tenant: who asks
        key: names the question: equal questions have equal keys
        token: of the lease
        charged: whether the provider charges the call; false gives the units back
        amounts: true amounts where they are not as reserved
        Raises InvalidArgument, LeaseLost.
        """
        args: dict[str, Any] = {"tenant": tenant, "key": key, "token": token, "charged": charged}
        if amounts is not None:
            args["amounts"] = amounts
        await self._call("lycosa.lookup.release", args, timeout, idempotent=False)

    async def lookup_set_provider(
        self,
        *,
        tenant: str,
        provider: str,
        enabled: bool | None = None,
        place: int | None = None,
        threshold: int | None = None,
        window: float | None = None,
        cooldown: float | None = None,
        timeout: float | None = None,
    ) -> LookupProvider:
        """Switch a provider on or off, give it a place among the others, or set its breaker. What is not given stays; switching it on forgets what blocked it and closes the breaker.

        tenant: who asks
        provider: its name
        place: before those without one
        threshold: failures that open the breaker
        window: seconds within which they count
        cooldown: seconds before a probe
        Raises MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "provider": provider}
        if enabled is not None:
            args["enabled"] = enabled
        if place is not None:
            args["place"] = place
        if threshold is not None:
            args["threshold"] = threshold
        if window is not None:
            args["window"] = window
        if cooldown is not None:
            args["cooldown"] = cooldown
        answer = await self._call("lycosa.lookup.set_provider", args, timeout)
        return _lookupprovider(answer)

    async def quota_define(
        self,
        *,
        tenant: str,
        quota: str,
        kind: Literal["rate", "window", "slots"],
        amount: int,
        unit: str | None = None,
        scale: int | None = None,
        shadow: bool | None = None,
        period: float | None = None,
        burst: int | None = None,
        window: Literal["minute", "hour", "day", "month", "total"] | None = None,
        time_zone: str | None = None,
        utc_offsets: Sequence[UtcOffsetInput] | None = None,
        timeout: float | None = None,
    ) -> QuotaLimit:
        """Define a limit of a tenant, or change one; a change keeps its counters. A rate lets `amount` units flow in every `period` seconds and `burst` at once; a window holds `amount` for a minute, hour, day or month of the calendar, or in total; slots are held by `amount` reservations at a time. Amounts are whole numbers of the smallest unit: `scale` tells how many decimals that has. In shadow mode it counts and refuses nothing.

        tenant: whose limits
        quota: name of the limit
        kind: rate, window or slots; it cannot be changed
        amount: the limit, in smallest units
        unit: what is counted, such as request, token or USD
        scale: decimals of the smallest unit; it cannot be changed
        shadow: count and report, never refuse
        period: of a rate: seconds in which the amount flows
        burst: of a rate: units at once; the amount when absent
        window: of a window: how long it counts
        time_zone: of a window: the name of its zone; UTC when absent
        utc_offsets: of a window: the zone itself, ascending; the first entry holds before its moment, too
        Raises InvalidArgument, MemoryFull, QuotaKindFixed.
        """
        args: dict[str, Any] = {"tenant": tenant, "quota": quota, "kind": kind, "amount": amount}
        if unit is not None:
            args["unit"] = unit
        if scale is not None:
            args["scale"] = scale
        if shadow is not None:
            args["shadow"] = shadow
        if period is not None:
            args["period"] = period
        if burst is not None:
            args["burst"] = burst
        if window is not None:
            args["window"] = window
        if time_zone is not None:
            args["time_zone"] = time_zone
        if utc_offsets is not None:
            args["utc_offsets"] = utc_offsets
        answer = await self._call("lycosa.quota.define", args, timeout)
        return _quotalimit(answer)

    async def quota_list(
        self,
        *,
        tenant: str,
        prefix: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> QuotaLimitPage:
        """A page of a tenant's limits by name, as they were defined.

        tenant: whose limits
        prefix: how names begin, byte by byte
        cursor: next or previous of another page of the same query
        limit: rows in a page
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if prefix is not None:
            args["prefix"] = prefix
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.quota.list", args, timeout)
        return _quotalimitpage(answer)

    async def quota_reconcile(
        self,
        *,
        tenant: str,
        id: str,
        amounts: Sequence[QuotaAmount] | None = None,
        timeout: float | None = None,
    ) -> QuotaReservation:
        """Say what was really spent of a reservation that is unknown, as its provider's account tells.

        tenant: whose limits
        id: as given to quota.reserve
        amounts: what was spent where it differs from what was reserved
        Raises InvalidArgument, QuotaReservationNotFound, QuotaReservationState.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        if amounts is not None:
            args["amounts"] = amounts
        answer = await self._call("lycosa.quota.reconcile", args, timeout)
        return _quotareservation(answer)

    async def quota_refund(self, *, tenant: str, id: str, timeout: float | None = None) -> QuotaReservation:
        """Close a reservation of which nothing was spent. Units of rates do not come back.

        tenant: whose limits
        id: as given to quota.reserve
        Raises QuotaReservationNotFound, QuotaReservationState.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        answer = await self._call("lycosa.quota.refund", args, timeout)
        return _quotareservation(answer)

    async def quota_remove(self, *, tenant: str, quota: str, timeout: float | None = None) -> QuotaRemoved:
        """Remove a limit and its counters. One that open reservations hold is not removed.

        tenant: whose limits
        quota: name of the limit
        Raises QuotaInUse.
        """
        args: dict[str, Any] = {"tenant": tenant, "quota": quota}
        answer = await self._call("lycosa.quota.remove", args, timeout)
        return _quotaremoved(answer)

    async def quota_renew_zone(
        self,
        *,
        tenant: str,
        quota: str,
        time_zone: str,
        utc_offsets: Sequence[UtcOffsetInput],
        timeout: float | None = None,
    ) -> ZoneRenewed:
        """Give a limit its time zone anew, as a zone database tells it now. Nothing is done where the limit is gone or has another zone by now.

        tenant: whose limits
        quota: name of the limit
        time_zone: the name that the limit has
        utc_offsets: as of quota.define
        Raises InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "quota": quota,
            "time_zone": time_zone,
            "utc_offsets": utc_offsets,
        }
        answer = await self._call("lycosa.quota.renew_zone", args, timeout)
        return _zonerenewed(answer)

    async def quota_report(
        self,
        *,
        tenant: str,
        quotas: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> QuotaReportPage:
        """What is used, reserved, unknown and left of limits: of those named, or of a page of all by name.

        tenant: whose limits
        quotas: names of limits; pages of all when absent
        cursor: next or previous of another page of the same query
        limit: rows in a page
        Raises InvalidCursor, QuotaUnknown.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if quotas is not None:
            args["quotas"] = quotas
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.quota.report", args, timeout)
        return _quotareportpage(answer)

    async def quota_reservation(
        self, *, tenant: str, id: str, timeout: float | None = None
    ) -> QuotaReservation:
        """One reservation: its state, its lease and its claims. Closed ones are kept for a day, unknown ones while a limit counts them and 90 days at least.

        tenant: whose limits
        id: as given to quota.reserve
        Raises QuotaReservationNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        answer = await self._call("lycosa.quota.reservation", args, timeout)
        return _quotareservation(answer)

    async def quota_reservations(
        self,
        *,
        tenant: str,
        state: Literal["reserved", "unknown", "lapsed", "settled", "refunded", "reconciled"] | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> QuotaReservationPage:
        """A page of the reservations in one state, those whose lease ends first at the top. A lease that has just ended stands among the reserved, with its true state, until the next step has moved it.

        tenant: whose limits
        state: which reservations
        cursor: next or previous of another page of the same query
        limit: rows in a page
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if state is not None:
            args["state"] = state
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.quota.reservations", args, timeout)
        return _quotareservationpage(answer)

    async def quota_reserve(
        self,
        *,
        tenant: str,
        id: str,
        claims: Sequence[QuotaClaim],
        lease: float,
        timeout: float | None = None,
    ) -> QuotaReservation:
        """Hold units of every named limit until the true amounts are known, all or nothing. When the lease ends unsettled, slots go back and what may have been spent of windows counts as unknown. The same id with the same claims answers the reservation that is there.

        tenant: whose limits
        id: given by the caller, unique within the tenant
        claims: the most that may be spent, each limit once
        lease: seconds in which it is to be settled, at most a week
        Raises InvalidArgument, MemoryFull, QuotaExceeded, QuotaReservationExists, QuotaReservationState, QuotaUnknown.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id, "claims": claims, "lease": lease}
        answer = await self._call("lycosa.quota.reserve", args, timeout)
        return _quotareservation(answer)

    async def quota_reset(self, *, tenant: str, quota: str, timeout: float | None = None) -> QuotaLimit:
        """Forget what was used and what is unknown of a limit; what is reserved stays.

        tenant: whose limits
        quota: name of the limit
        Raises QuotaUnknown.
        """
        args: dict[str, Any] = {"tenant": tenant, "quota": quota}
        answer = await self._call("lycosa.quota.reset", args, timeout, idempotent=False)
        return _quotalimit(answer)

    async def quota_settle(
        self,
        *,
        tenant: str,
        id: str,
        amounts: Sequence[QuotaAmount] | None = None,
        timeout: float | None = None,
    ) -> QuotaReservation:
        """Close a reservation with what was really spent. More than was reserved is counted, too, even beyond the limit; less goes back, but for rates. It is taken after the end of the lease as well.

        tenant: whose limits
        id: as given to quota.reserve
        amounts: what was spent where it differs from what was reserved
        Raises InvalidArgument, QuotaReservationNotFound, QuotaReservationState.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        if amounts is not None:
            args["amounts"] = amounts
        answer = await self._call("lycosa.quota.settle", args, timeout)
        return _quotareservation(answer)

    async def quota_survey(self, *, limit: int | None = None, timeout: float | None = None) -> QuotaSurvey:
        """Figures of the first limits of all tenants, by tenant and name, and how many limits there are.

        limit: rows at most
        """
        args: dict[str, Any] = {}
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.quota.survey", args, timeout)
        return _quotasurvey(answer)

    async def quota_take(
        self, *, tenant: str, claims: Sequence[QuotaClaim], timeout: float | None = None
    ) -> list[QuotaState]:
        """Take units from every named limit, all or nothing. A refusal changes nothing; it names the limit that has to be waited for longest, what is left of it and how long. Slots are not taken but reserved.

        tenant: whose limits
        claims: what to take, each limit once
        Raises InvalidArgument, QuotaExceeded, QuotaUnknown.
        """
        if self._quota_take is not None:
            answer = await self._quota_take.ask((tenant,), claims, timeout)
        else:
            args: dict[str, Any] = {"tenant": tenant, "claims": claims}
            answer = await self._call("lycosa.quota.take", args, timeout, idempotent=False)
        return [_quotastate(item) for item in answer]

    async def quota_take_many(
        self, *, tenant: str, takes: Sequence[Sequence[QuotaClaim]], timeout: float | None = None
    ) -> list[QuotaTaken]:
        """Many takes, each decided alone in their order, in one transaction. One that is refused changes nothing and undoes no other: its outcome holds the error instead of the answer.

        tenant: whose limits
        takes: the claims of each
        """
        args: dict[str, Any] = {"tenant": tenant, "takes": takes}
        answer = await self._call("lycosa.quota.take_many", args, timeout, idempotent=False)
        return [_quotataken(item) for item in answer]

    async def quota_zoned(
        self, *, cursor: str | None = None, limit: int | None = None, timeout: float | None = None
    ) -> ZonedQuotaPage:
        """Limits of all tenants whose windows follow a time zone other than UTC, among a page of all limits.

        cursor: next or previous of another page of the same query
        limit: limits looked at
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {}
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.quota.zoned", args, timeout)
        return _zonedquotapage(answer)

    async def request_append(
        self,
        *,
        tenant: str,
        id: str,
        kind: str,
        status: Literal["done", "degraded", "failed", "cancelled"],
        question: str,
        customer_id: str | None = None,
        answer: str | None = None,
        model: str | None = None,
        cost_microusd: int | None = None,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        cached: bool | None = None,
        duration_ms: int | None = None,
        error: str | None = None,
        sources: Sequence[RequestSourceInput] | None = None,
        timeout: float | None = None,
    ) -> Request:
        """Append a request with its answer, its sources and the sums of its day, in one transaction. The id is the caller's idempotency key: the same id with the same content writes nothing and answers what is stored.

        tenant: whose request it is
        id: given by the caller, unique within the tenant
        customer_id: the customer asked about
        kind: what was asked for, such as analysis or search
        status: how it ended
        question: what was asked
        answer: what was answered, at most 256 KiB
        model: what wrote the answer
        cost_microusd: cost in millionths of a US dollar
        tokens_in: tokens read by the model
        tokens_out: tokens written by the model
        cached: whether the answer came from the cache
        duration_ms: milliseconds from question to answer
        error: why it failed
        sources: what the answer rests on, in order
        Raises MemoryFull, RequestExists, RequestOnDisk.
        """
        args: dict[str, Any] = {
            "tenant": tenant,
            "id": id,
            "kind": kind,
            "status": status,
            "question": question,
        }
        if customer_id is not None:
            args["customer_id"] = customer_id
        if answer is not None:
            args["answer"] = answer
        if model is not None:
            args["model"] = model
        if cost_microusd is not None:
            args["cost_microusd"] = cost_microusd
        if tokens_in is not None:
            args["tokens_in"] = tokens_in
        if tokens_out is not None:
            args["tokens_out"] = tokens_out
        if cached is not None:
            args["cached"] = cached
        if duration_ms is not None:
            args["duration_ms"] = duration_ms
        if error is not None:
            args["error"] = error
        if sources is not None:
            args["sources"] = sources
        answer = await self._call("lycosa.request.append", args, timeout)
        return _request(answer)

    async def request_get(self, *, tenant: str, id: str, timeout: float | None = None) -> RequestWithSources:
        """One request with its answer and its sources in their order.

        tenant: whose request it is
        id: as given to request.append
        Raises RequestNotFound, RequestOnDisk.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        answer = await self._call("lycosa.request.get", args, timeout)
        return _requestwithsources(answer)

    async def request_list(
        self,
        *,
        tenant: str,
        by: Literal["time", "customer", "status"] | None = None,
        value: str | None = None,
        from_: float | None = None,
        until: float | None = None,
        order: Literal["asc", "desc"] | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> RequestPage:
        """A page of requests in order of time, of a whole tenant, of one customer or of one status. Rows come without their answers, whose size they tell; request.get gives one whole. Cursors lead to the next and to the previous page.

        tenant: whose requests
        by: which look-up
        value: the customer's id or the status; not used by time
        from: created at this moment or later, unix seconds
        until: created before this moment, unix seconds
        order: desc shows the newest first
        cursor: next or previous of another page of the same query
        limit: rows in a page
        Raises InvalidArgument, InvalidCursor, RequestOnDisk.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if by is not None:
            args["by"] = by
        if value is not None:
            args["value"] = value
        if from_ is not None:
            args["from"] = from_
        if until is not None:
            args["until"] = until
        if order is not None:
            args["order"] = order
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.request.list", args, timeout, packed=True)
        answer["rows"] = unpackb(answer["rows"])
        return _requestpage(answer)

    async def request_totals(
        self,
        *,
        tenant: str,
        from_day: int,
        until_day: int,
        kind: str | None = None,
        timeout: float | None = None,
    ) -> RequestTotals:
        """Sums of requests, cost (millionths of a US dollar) and tokens over at most 366 days, from_day to the day before until_day. Exact, kept by write, and kept on when retention removes the requests.

        tenant: whose requests
        from_day: first day: unix time / 86,400, UTC
        until_day: the day after the last
        kind: only this kind; every kind when absent
        Raises InvalidArgument.
        """
        args: dict[str, Any] = {"tenant": tenant, "from_day": from_day, "until_day": until_day}
        if kind is not None:
            args["kind"] = kind
        answer = await self._call("lycosa.request.totals", args, timeout)
        return _requesttotals(answer)

    async def session_append(
        self, *, tenant: str, batches: Sequence[SessionBatch], timeout: float | None = None
    ) -> list[SessionAppended]:
        """Append up to 1,000 messages, 4,000,000 bytes, to any number of sessions in one transaction, with an outcome for every batch in order. Sessions that do not exist begin. Messages whose id is there already are not written again. A batch that cannot be appended says why and stops no other.

        tenant: whose session it is
        Raises InvalidArgument, MemoryFull.
        """
        args: dict[str, Any] = {"tenant": tenant, "batches": batches}
        answer = await self._call("lycosa.session.append", args, timeout)
        return [_sessionappended(item) for item in answer]

    async def session_create(
        self,
        *,
        tenant: str,
        id: str,
        current_agent: str | None = None,
        metadata: Mapping[str, Scalar] | None = None,
        idle: float | None = None,
        timeout: float | None = None,
    ) -> Session:
        """Begin a session. Repeated while it has no messages it answers the same session.

        tenant: whose session it is
        id: given by the caller, unique within the tenant
        current_agent: which agent has the word
        metadata: whatever the caller wants to know of it
        idle: seconds without activity after which it ends, 0 for ever
        Raises MemoryFull, SessionExists.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        if current_agent is not None:
            args["current_agent"] = current_agent
        if metadata is not None:
            args["metadata"] = metadata
        if idle is not None:
            args["idle"] = idle
        answer = await self._call("lycosa.session.create", args, timeout)
        return _session(answer)

    async def session_delete(self, *, tenant: str, id: str, timeout: float | None = None) -> SessionDeleted:
        """Delete a session with its messages. It is gone at once; the memory comes back by and by.

        tenant: whose session it is
        id: given by the caller, unique within the tenant
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        answer = await self._call("lycosa.session.delete", args, timeout)
        return _sessiondeleted(answer)

    async def session_get(self, *, tenant: str, id: str, timeout: float | None = None) -> Session:
        """One session without its messages.

        tenant: whose session it is
        id: given by the caller, unique within the tenant
        Raises SessionNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        answer = await self._call("lycosa.session.get", args, timeout)
        return _session(answer)

    async def session_history(
        self,
        *,
        tenant: str,
        id: str,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        tokens: int | None = None,
        timeout: float | None = None,
    ) -> SessionHistory:
        """A session and some of its messages in their order: those that follow `after`, else the last ones before `before` or the end, as many as the limit, the tokens and a megabyte allow.

        tenant: whose session it is
        id: given by the caller, unique within the tenant
        after: number of the message before the first wanted
        before: number of the message after the last wanted
        tokens: that the messages may have together
        Raises InvalidArgument, SessionNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        if after is not None:
            args["after"] = after
        if before is not None:
            args["before"] = before
        if limit is not None:
            args["limit"] = limit
        if tokens is not None:
            args["tokens"] = tokens
        answer = await self._call("lycosa.session.history", args, timeout, packed=True)
        answer["messages"] = unpackb(answer["messages"])
        return _sessionhistory(answer)

    async def session_list(
        self,
        *,
        tenant: str,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> SessionPage:
        """A page of sessions without their messages, the one last active first.

        tenant: whose session it is
        cursor: next or previous of another page
        Raises InvalidCursor.
        """
        args: dict[str, Any] = {"tenant": tenant}
        if cursor is not None:
            args["cursor"] = cursor
        if limit is not None:
            args["limit"] = limit
        answer = await self._call("lycosa.session.list", args, timeout, packed=True)
        answer["rows"] = unpackb(answer["rows"])
        return _sessionpage(answer)

    async def session_update(
        self,
        *,
        tenant: str,
        id: str,
        current_agent: str | None = None,
        metadata: Mapping[str, Scalar] | None = None,
        idle: float | None = None,
        timeout: float | None = None,
    ) -> Session:
        """Change what is given of a session and leave the rest. It counts as activity.

        tenant: whose session it is
        id: given by the caller, unique within the tenant
        current_agent: which agent has the word; empty for none
        metadata: in place of what was there
        idle: seconds without activity after which it ends, 0 for ever
        Raises MemoryFull, SessionNotFound.
        """
        args: dict[str, Any] = {"tenant": tenant, "id": id}
        if current_agent is not None:
            args["current_agent"] = current_agent
        if metadata is not None:
            args["metadata"] = metadata
        if idle is not None:
            args["idle"] = idle
        answer = await self._call("lycosa.session.update", args, timeout)
        return _session(answer)

    async def system_contract(self, *, timeout: float | None = None) -> ContractDigest:
        """Digests of every procedure and the server time. A client compares them with its own on connecting."""
        args: dict[str, Any] = {}
        answer = await self._call("lycosa.system.contract", args, timeout)
        return _contractdigest(answer)

    async def system_describe(self, *, timeout: float | None = None) -> dict[str, Any]:
        """The whole contract: procedures with arguments, answers and errors, and the error catalogue."""
        args: dict[str, Any] = {}
        answer = await self._call("lycosa.system.describe", args, timeout)
        return answer or {}

    async def system_figures(self, *, timeout: float | None = None) -> Figures:
        """Counters, gauges, calls by procedure (seconds) and daemon steps since the start; memory and spaces (bytes)."""
        args: dict[str, Any] = {}
        answer = await self._call("lycosa.system.figures", args, timeout)
        return _figures(answer)

    async def system_health(self, *, timeout: float | None = None) -> Health:
        """Whether this instance is running and takes writes, its uptime in seconds, schema number and version."""
        args: dict[str, Any] = {}
        answer = await self._call("lycosa.system.health", args, timeout)
        return _health(answer)

    async def system_memory(self, *, timeout: float | None = None) -> MemoryFigures:
        """The fill of the memory in bytes, its growth (bytes per second over the last minutes), the seconds until at that rate no write is accepted, every space, and the free bytes by size of rows."""
        args: dict[str, Any] = {}
        answer = await self._call("lycosa.system.memory", args, timeout)
        return _memoryfigures(answer)


def contract() -> dict[str, Any]:
    """The contract that this module was generated from."""
    loaded: dict[str, Any] = json.loads(files("lycosa").joinpath("contract.json").read_text(encoding="utf-8"))
    return loaded


def connect(settings: Settings) -> Client:
    """A client that compares contracts on connecting and raises this module's error classes. Not yet open."""
    return Client(settings, contract=contract(), error_classes=ERRORS)
