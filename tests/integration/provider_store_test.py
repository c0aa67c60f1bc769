"""Providers beside the real store: its documents as a provider, its quotas and Tavily's account."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from lycosa.errors import Exhausted
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.providers.documents import Documents
from lycosa.providers.findings import ProviderFailure, SearchOptions
from lycosa.providers.registry import limits_of, providers_of
from lycosa.providers.tavily import Tavily
from lycosa.providers.usage import UsageWatch
from lycosa.services.documents import DocumentService
from lycosa.services.quotas import QuotaService
from lycosa.settings import Settings
from tests.conftest import Clock, Store
from tests.standins.tavily import Tavily as TavilyStandin

DAY = 86_400


@pytest.fixture
def documents(procedures: Procedures) -> DocumentService:
    return DocumentService(procedures)


async def test_documents_answer_when_nobody_else_does(
    documents: DocumentService, identity: Identity, frozen: Clock
) -> None:
    await documents.put(
        identity,
        [
            {"id": "d1", "text": "Мельницы Акме выросли.", "title": "Отчёт", "created_at": 1_700_000_000},
            {"id": "d2", "text": "Acme owns two mills in Perm.", "source": "https://example.org/mills"},
            {"id": "d3", "text": "Acme sells the mills.", "source": "https://example.org/mills#sale"},
            {"id": "d4", "text": "Acme mills burn.", "source": "notes\u202e.txt"},
        ],
    )
    await frozen.drain("document.index")
    provider = Documents(documents, identity)
    found = await provider.search("mills of Acme", SearchOptions(max_results=2), 5)
    assert {one.url for one in found.results} == {"https://example.org/mills", "document:d4"} or {
        one.url for one in found.results
    } == {"https://example.org/mills#sale", "document:d4"}
    assert (found.provider, found.cost_microusd, found.amounts) == ("documents", 0, {})
    assert provider.claims(SearchOptions()) == []
    [russian] = (await provider.search("мельница", SearchOptions(), 5)).results
    assert (russian.url, russian.title, russian.published) == ("document:d1", "Отчёт", "2023-11-14")
    assert (await provider.search("мельница", SearchOptions(days=30), 5)).results == []
    for nothing in ("", "???", "слово, которого нет", "\x00"):
        assert (await provider.search(nothing, SearchOptions(), 5)).results == []
    assert len((await provider.search("mills " * 2_000, SearchOptions(), 5)).results) == 2


async def test_documents_of_another_tenant_are_not_found(
    documents: DocumentService, identity: Identity, frozen: Clock
) -> None:
    await documents.put(identity, [{"id": "d1", "text": "Acme owns two mills."}])
    await frozen.drain("document.index")
    stranger = Documents(documents, Identity(tenant=f"{identity.tenant}-other"))
    assert (await stranger.search("mills", SearchOptions(), 5)).results == []


async def test_documents_fail_only_with_the_store(own_server: Store) -> None:
    from lycosa.procedures import connect

    async with connect(own_server.settings()) as client:
        provider = Documents(DocumentService(Procedures(client)), Identity(tenant="t"))
        assert (await provider.search("mills", SearchOptions(), 5)).results == []
        own_server.kill()
        with pytest.raises(ProviderFailure, match="documents cannot be searched") as caught:
            await provider.search("mills", SearchOptions(), 0.5)
    assert (caught.value.cause, caught.value.charged) == ("transient", False)


@pytest.fixture
def quotas(procedures: Procedures) -> QuotaService:
    return QuotaService(procedures)


class Account:
    """A stand-in of Tavily, the provider that asks it, and the watch over its account."""

    def __init__(self, standin: TavilyStandin, tavily: Tavily, watch: UsageWatch) -> None:
        self.standin, self.tavily, self.watch = standin, tavily, watch


@pytest_asyncio.fixture
async def account(quotas: QuotaService, identity: Identity) -> AsyncIterator[Account]:
    async with TavilyStandin() as standin:
        given = Settings(
            _env_file=None,
            tavily_api_key="tvly-a",
            tavily_base_url=standin.base_url,
            tavily_monthly_credits=100,
        )
        for limit in limits_of(given):
            await quotas.define(identity, **limit._asdict())
        [tavily] = providers_of(given)
        assert isinstance(tavily, Tavily)
        yield Account(standin, tavily, UsageWatch(tavily, quotas, identity))
        await tavily.close()


async def test_what_a_call_claims_is_defined(
    account: Account, quotas: QuotaService, identity: Identity
) -> None:
    """Reserved as the gate does, settled with what the call tells; defined again, the counters stay."""
    claims = {claim["quota"]: claim["amount"] for claim in account.tavily.claims(SearchOptions())}
    await quotas.reserve(identity, "r1", claims, 30)
    found = await account.tavily.search("Acme", SearchOptions(), 5)
    await quotas.settle(identity, "r1", found.amounts)
    await quotas.define(identity, account.tavily.month_quota, "window", 90, unit="credit", window="month")
    figures = await quotas.figures(identity, account.tavily.month_quota)
    assert (figures.used, figures.limit, figures.reserved) == (account.standin.charged, 90, 0)


async def test_the_account_is_read_once_a_minute_and_taken_over(
    account: Account, quotas: QuotaService, identity: Identity, frozen: Clock
) -> None:
    account.standin.spent_elsewhere = 30
    await quotas.take(identity, {account.tavily.month_quota: 10})
    first, second = await asyncio.gather(account.watch.read(), account.watch.read())
    drift = first or second
    assert drift is not None
    assert None in (first, second)
    assert len(account.standin.requests) == 1
    assert (drift.told, drift.counted, drift.drift, drift.adopted) == (30, 10, 20, 20)
    assert account.watch.last == drift
    assert (await quotas.figures(identity, account.tavily.month_quota)).used == 30
    await frozen.advance(59)
    assert await account.watch.read() is None
    await frozen.advance(1.1)
    again = await account.watch.read()
    assert again is not None
    assert (again.drift, again.adopted) == (0, 0)


async def test_more_than_is_left_is_not_taken_over_and_less_is_only_told(
    account: Account, quotas: QuotaService, identity: Identity, frozen: Clock
) -> None:
    account.standin.spent_elsewhere = 500
    await quotas.reserve(identity, "r1", {account.tavily.month_quota: 10}, 3_600)
    drift = await account.watch.read()
    assert drift is not None
    assert (drift.drift, drift.reserved, drift.adopted) == (500, 10, 90)
    with pytest.raises(Exhausted):
        await quotas.take(identity, {account.tavily.month_quota: 1})
    account.standin.spent_elsewhere = 0
    await frozen.advance(61)
    lower = await account.watch.read()
    assert lower is not None
    assert (lower.drift, lower.adopted) == (-90, 0)


async def test_an_account_that_cannot_be_read_changes_nothing(
    account: Account, quotas: QuotaService, identity: Identity
) -> None:
    account.standin.keys = frozenset()
    with pytest.raises(ProviderFailure) as caught:
        await account.watch.read()
    assert caught.value.cause == "refused"
    assert account.watch.last is None
    assert (await quotas.figures(identity, account.tavily.month_quota)).used == 0
