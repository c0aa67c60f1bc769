"""The use-cases, one module a domain. Surfaces give them their shape, their docstrings are the public wording."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from lycosa.procedures import Procedures
from lycosa.services.customers import CustomerService
from lycosa.services.documents import DocumentService
from lycosa.services.imports import ImportService
from lycosa.services.requests import RequestService
from lycosa.services.system import SystemService
from lycosa.settings import Settings

if TYPE_CHECKING:
    from lycosa.services.analyses import AnalysisService


@dataclass(frozen=True, slots=True)
class Services:
    """Every service over one connection."""

    customers: CustomerService
    documents: DocumentService
    requests: RequestService
    analyses: "AnalysisService"
    imports: ImportService
    system: SystemService

    @classmethod
    def build(cls, procedures: Procedures, settings: Settings) -> Self:
        """All of them. Nothing is opened or loaded before it is used."""
        # Only who analyses pays for importing the libraries of language models.
        from lycosa.services.analyses import AnalysisService

        return cls(
            customers=CustomerService(procedures),
            documents=DocumentService(procedures),
            requests=RequestService(procedures),
            analyses=AnalysisService(procedures, settings),
            imports=ImportService(procedures),
            system=SystemService(procedures),
        )

    async def aclose(self) -> None:
        """Let go of what was opened: connections to model providers, the offline model."""
        await self.analyses.aclose()
