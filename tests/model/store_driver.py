"""The store for tests that are no coroutines, as Hypothesis wants them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from lycosa.client import Client
from lycosa.procedures import Procedures, connect
from tests.conftest import Clock, Store


class Driver:
    """The store, one call after the other."""

    def __init__(self, store: Store) -> None:
        self._loop = asyncio.new_event_loop()
        self._client: Client = connect(store.settings(call_timeout=30.0))
        self.run(self._client.open())
        self.procedures = Procedures(self._client)
        self.clock = Clock(self._client)

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(call)

    def close(self) -> None:
        self.run(self._client.close())
        self._loop.close()
