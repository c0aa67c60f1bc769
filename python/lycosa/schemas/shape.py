"""What all models of the wire have in common."""

from pydantic import BaseModel, ConfigDict

Scalar = str | int | float | bool

SINCE = "Unix seconds."


class Answer(BaseModel):
    """Built from the store's records by their attributes, checked on the way out."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", strict=True)


class Asked(BaseModel):
    """A body. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_max_length=1_000_000)
