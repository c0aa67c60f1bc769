"""LangChain's own suites on our cache, retriever, document index and tools."""

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from langchain_core.caches import BaseCache
from langchain_core.indexing.base import DocumentIndex
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import (
    AsyncCacheTestSuite,
    RetrieversIntegrationTests,
    SyncCacheTestSuite,
    ToolsIntegrationTests,
)
from langchain_tests.integration_tests.indexer import AsyncDocumentIndexTestSuite, DocumentIndexerTestSuite
from langchain_tests.unit_tests import ToolsUnitTests

from lycosa.identity import Identity
from lycosa.langchain.cache import LycosaCache
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.document_index import LycosaDocumentIndex
from lycosa.langchain.retriever import LycosaRetriever
from lycosa.langchain.tools import (
    FindCustomers,
    GetCustomer,
    LycosaTool,
    RequestHistory,
    SearchDocuments,
    SearchWeb,
    SegmentFigures,
)
from lycosa.services import Services
from lycosa.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")

# Constructors are properties of the suites, so what they are given cannot come from a fixture's argument.
_filled: dict[str, LycosaConnection] = {}


@pytest.fixture
def connection(settings: Settings, identity: Identity) -> Iterator[LycosaConnection]:
    with LycosaConnection(settings, identity=identity) as opened:
        yield opened


@pytest_asyncio.fixture
async def here(settings: Settings, identity: Identity) -> AsyncIterator[LycosaConnection]:
    async with LycosaConnection(settings, identity=identity) as opened:
        yield opened


@pytest.fixture(scope="module")
def filled(settings: Settings) -> Iterator[None]:
    """A tenant with documents and customers, for retriever and tools."""
    identity = Identity(f"t-{secrets.token_hex(6)}")
    with LycosaConnection(settings, identity=identity) as opened:

        async def fill(services: Services) -> None:
            texts = [{"id": f"d{n}", "text": f"The contract number {n} is renewed in May."} for n in range(5)]
            await services.documents.put(identity, texts)
            await services.customers.upsert(identity, [{"id": "c-1", "name": "Ромашка", "segment": "smb"}])

        async def is_indexed(services: Services) -> bool:
            return not (await services.documents.search(identity, "contract")).waiting

        opened.run(fill)
        while not opened.run(is_indexed):
            time.sleep(0.01)
        _filled["connection"] = opened
        yield
    _filled.clear()


class TestCache(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, connection: LycosaConnection) -> BaseCache:
        return LycosaCache(connection)


class TestCacheOnALoop(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, here: LycosaConnection) -> BaseCache:
        return LycosaCache(here)


class TestDocumentIndex(DocumentIndexerTestSuite):
    @pytest.fixture
    def index(self, connection: LycosaConnection) -> DocumentIndex:
        return LycosaDocumentIndex(connection=connection)


class TestDocumentIndexOnALoop(AsyncDocumentIndexTestSuite):
    @pytest.fixture
    async def index(self, here: LycosaConnection) -> DocumentIndex:
        return LycosaDocumentIndex(connection=here)


@pytest.mark.usefixtures("filled")
class TestRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return LycosaRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"connection": _filled["connection"]}

    @property
    def retriever_query_example(self) -> str:
        return "renewed contracts"


EXAMPLES: dict[type[LycosaTool], dict[str, Any]] = {
    FindCustomers: {"by": "name", "value": "ром"},
    GetCustomer: {"key": "c-1"},
    SegmentFigures: {"limit": 5},
    SearchDocuments: {"query": "contract", "limit": 2},
    SearchWeb: {"question": "renewed contracts"},
    RequestHistory: {"customer_id": "c-1"},
}


class _Tools:
    """What both suites of tools are given."""

    _kind: type[LycosaTool] = FindCustomers

    @pytest.fixture(autouse=True)
    def _of_kind(self, kind: type[LycosaTool]) -> None:
        self._kind = kind

    @property
    def tool_constructor(self) -> type[BaseTool]:
        return self._kind

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {"connection": _filled["connection"]}

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return EXAMPLES[self._kind]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
class TestToolsByThemselves(_Tools, ToolsUnitTests):
    pass


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
class TestToolsOnTheStore(_Tools, ToolsIntegrationTests):
    pass
