"""What REST alone takes and answers: batches, imports, health."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from lycosa.schemas.customers import CustomerRow
from lycosa.schemas.documents import DocumentRow
from lycosa.schemas.shape import Answer, Asked


def _documented(model: type[BaseModel]) -> WithJsonSchema:
    return WithJsonSchema(model.model_json_schema(ref_template="#/components/schemas/{model}"))


class CustomerBatch(Asked):
    """Up to 1,000 customers for one transaction."""

    rows: Annotated[
        list[Annotated[Any, _documented(CustomerRow)]],
        Field(
            max_length=1000,
            examples=[[{"external_id": "S-001", "name": "ООО Ромашка", "segment": "smb", "orders": 7}]],
        ),
    ]


class DocumentBatch(Asked):
    """Up to 100 documents and 512 KiB of text for one transaction."""

    documents: Annotated[
        list[Annotated[Any, _documented(DocumentRow)]],
        Field(
            max_length=100,
            examples=[
                [{"id": "n-1", "title": "Call", "text": "Wants to renew in May.", "customer_id": "S-001"}]
            ],
        ),
    ]


class AnalysisAsked(Asked):
    """Whom to analyse, and what to look at."""

    customer_id: str = Field(min_length=1, max_length=128, examples=["S-001"])
    question: str | None = Field(
        None, min_length=1, max_length=4096, examples=["What could make them leave?"]
    )
    language: Literal["en", "ru"] | None = Field(
        None, description="Of the report; the question's when absent."
    )
    fresh: bool = Field(False, description="Ask the model even if the same analysis is in the cache.")
    mode: Literal["quick", "standard", "deep"] = Field(
        "standard", description="Stored texts only; one search of the web; several, each of them thorough."
    )
    goes_on: bool = Field(
        False, description="Write it to its end when the client hangs up; its events can be read on."
    )


class RowOutcomeOut(BaseModel):
    """One line of an import's answer. The last line is an ImportSummaryOut, or a Problem when it broke off."""

    row: int = Field(description="Counted from 1, without the header.")
    line: int = Field(description="The line of the file on which the row begins.")
    outcome: Literal["inserted", "updated", "replaced", "unchanged", "invalid", "conflict"]
    id: str | None
    version: int | None
    field: str | None
    problem: str | None


class ImportSummaryOut(BaseModel):
    """The last line of an import's answer."""

    summary: Literal[True] = True
    rows: int
    outcomes: dict[str, int]
    seconds: float


class LiveOut(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["0.1.0"])


class ReadyOut(Answer):
    """The store answers."""

    status: str = Field(examples=["running"])
    writable: bool
    uptime: float = Field(description="Of the store, seconds.")
    schema_version: int = Field(alias="schema", examples=[4])
    tarantool: str
