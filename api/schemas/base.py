"""Strict bodies: what a client sends is taken literally or refused, never coerced, trimmed or dropped.

FastAPI's defaults accept NaN, unknown fields, "1" for 1, NUL characters and lone surrogates (reference
reliability.md, fact 9); every input model of ours derives from `Input` and does not.
"""

import unicodedata
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

Row = TypeVar("Row")


def clean_text(text: str) -> str:
    """Return the text in Unicode NFC; refuse NUL, surrogates and control characters other than line ends and tabs."""
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and character not in "\n\r\t"):
            raise ValueError(f"the text holds the character U+{ord(character):04X}, which is not allowed")
    return unicodedata.normalize("NFC", text)


def _rfc3339(instant: datetime) -> str:
    """Return an aware UTC instant with a final Z."""
    return instant.isoformat().replace("+00:00", "Z")


ShortText = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(clean_text)]
LongText = Annotated[str, Field(max_length=2000), AfterValidator(clean_text)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Instant = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]


class Input(BaseModel):
    """A body that comes in."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, frozen=True, hide_input_in_errors=True
    )


class Output(BaseModel):
    """A body that goes out; built by our own code, so nothing is validated twice."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class Page(Output, Generic[Row]):
    """One page of a list. `next_cursor` is opaque and stable under inserts; None on the last page."""

    items: list[Row]
    next_cursor: str | None = None


class ProblemBody(Output):
    """An error (RFC 9457). Branch on `code`; `title` and `detail` follow the Accept-Language header."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str
    errors: list[dict[str, str]] | None = None
