"""The composition root of the commands: one connection to the store, the services over it, and who asks."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services import Services
from lycosa.settings import Settings

# The command says itself what went wrong; a program's log lines on the terminal are for who asks for them.
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.CRITICAL,
    "warning": logging.CRITICAL,
    "error": logging.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Session:
    """What a command of data calls: services with an identity."""

    services: Services
    identity: Identity


@asynccontextmanager
async def open_session(
    settings: Settings, *, timeout: float = 2.0, quiet: bool = True
) -> AsyncIterator[Session]:
    """Connect straight to the store; the Python server is not needed.

    `quiet` keeps this process's log off the terminal.

    Raises Invalid when there is no password to be found, Unavailable when the store does not answer within `timeout`
    seconds, Conflict when it speaks another contract.
    """
    if quiet:
        quiet_logs(settings)
    settings.store_password()  # says at once what the client would try again
    client = connect(settings)
    await client.open(timeout)
    try:
        services = Services(Procedures(client), settings)
        try:
            yield Session(services, Identity.local(settings))
        finally:
            await services.aclose()
    finally:
        await client.close()


def quiet_logs(settings: Settings) -> None:
    """Keep the log off standard output, and off the terminal unless it was asked for with LYCOSA_LOG_LEVEL=debug."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
