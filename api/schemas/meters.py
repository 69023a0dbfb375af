"""Bodies of meters that people read off: what is stated, what was doubted, and what a specialist decided."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, Field

from api.schemas.base import Input, Instant, LongText, Name, Output
from crm_core.billing.statements import MOST_PAGES, Heard, Stated
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import DeviceId
from crm_core.domain.meter_statements import MeterStatement

PHOTO_CHARACTERS: Final = 900_000  # of base64: two thirds of a megabyte, pages send a quarter of that

Pages = Annotated[int, Field(ge=0, lt=MOST_PAGES, examples=[48213])]


class MeterStatementInput(Input):
    """A meter as it was read off; `read_at` is now unless told. `photo`: JPEG, PNG or WebP in base64.

    `confirmed`: the person looked again after the doubts of a first answer.
    """

    device_id: Name
    total: Pages
    colour: Pages | None = None
    read_at: Annotated[AwareDatetime, Field(strict=False)] | None = None
    photo: Annotated[str, Field(max_length=PHOTO_CHARACTERS)] | None = None
    confirmed: bool = False

    def stated(self, now: datetime) -> Stated:
        """Return what the service takes."""
        return Stated(
            device_id=DeviceId(self.device_id),
            total=self.total,
            colour=self.colour,
            read_at=self.read_at or now,
            photo=photo_bytes(self.photo or ""),
            confirmed=self.confirmed,
        )


class MeterDecisionInput(Input):
    """A refusal says why: the customer reads it."""

    accept: bool
    note: LongText = ""


class MeterStatementBody(Output):
    """A stated meter. The month end rests on `accepted` ones only; `photo` says whether one can be fetched."""

    statement_id: int
    device_id: str
    customer_id: str
    read_at: Instant
    total: int
    mono: int | None
    colour: int | None
    source: str
    stated_at: Instant
    state: str
    doubts: list[str]
    photo: bool
    photo_sha256: str | None
    decided_at: Instant | None
    note: str
    version: int

    @classmethod
    def of(cls, row: MeterStatement) -> Self:
        """Return the body of a statement; who said it is a person's name and stays inside."""
        own = {name: getattr(row, name) for name in cls.model_fields if name not in ("photo", "doubts")}
        return cls(**own, photo=row.photo_sha256 is not None, doubts=[each.value for each in row.doubts])


class HeardBody(Output):
    """`kept` false: nothing is stored, the person is asked again for `doubts`; send `confirmed` to insist."""

    kept: bool
    doubts: list[str]
    expected_least: int | None
    expected_most: int | None
    statement: MeterStatementBody | None

    @classmethod
    def of(cls, heard: Heard) -> Self:
        """Return the body of an answer."""
        return cls(
            kept=heard.statement is not None,
            doubts=[each.value for each in heard.doubts],
            expected_least=heard.expected.least if heard.expected else None,
            expected_most=heard.expected.most if heard.expected else None,
            statement=MeterStatementBody.of(heard.statement) if heard.statement else None,
        )


def photo_bytes(text: str) -> bytes | None:
    """Return the bytes of a photo in base64, None for no text; raise `InvalidValue` for what is no base64."""
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue("the photo is not in base64") from None
