"""Bodies of the price list and of repair charges. Amounts are decimal texts in yuan."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field

from api.schemas.base import Input, LongText, Output, ShortText
from api.schemas.billing import Amount, Channel
from crm_core.billing.charges import PriceListRow
from crm_core.domain.charges import RepairCharge
from crm_core.domain.messages import Messages


class PriceRow(Output):
    """One item of the public price list, in yuan; `name` is in the reader's language."""

    item: str
    name: str
    complexity: str
    hours: Decimal
    labour: Decimal
    part: Decimal
    total: Decimal
    formula: str

    @classmethod
    def of(cls, row: PriceListRow, name: str) -> Self:
        """Return the body of a row."""
        return cls(name=name, **{each: getattr(row, each) for each in cls.model_fields if each != "name"})


class PriceListBody(Output):
    """The price list under a policy version; anybody may read it."""

    version: str
    effective_from: date
    currency: str
    formula: str
    items: list[PriceRow]


class PartInput(Input):
    """A part that was put in."""

    name: ShortText
    unit_price: Amount
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    part_number: ShortText | None = None
    consumable: bool = False


class ChargeInput(Input):
    """What the visit found."""

    item: Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")]
    hours: Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,2})?$", examples=["1.5"])]
    cause: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    parts: Annotated[list[PartInput], Field(max_length=50)] = Field(default_factory=list)


class ExplainInput(Input):
    """How the customer was told."""

    note: LongText


class ConfirmInput(Input):
    """Who agreed, and how they pay."""

    agreed_by: ShortText
    payment_method: Channel


class ChargeLineBody(Output):
    """One line of a charge: full price, what is charged, and the rule that made the difference."""

    kind: str
    text: str
    formula: str
    full_price: Decimal
    amount: Decimal
    rule: str | None


class ChargeBody(Output):
    """A repair charge on its way through the five states."""

    charge_id: int
    work_order_id: int | None
    customer_id: str
    device_id: str | None
    state: str
    cause: str
    total: Decimal | None
    formula: str
    lines: list[ChargeLineBody]
    payment_method: str | None
    invoice_number: str | None
    policy_version: str

    @classmethod
    def of(cls, charge: RepairCharge, messages: Messages, language: str) -> Self:
        """Return the body of a charge."""
        price = charge.price
        lines = price.lines if price else ()
        return cls(
            charge_id=charge.charge_id,
            work_order_id=charge.work_order_id,
            customer_id=charge.customer_id,
            device_id=charge.device_id,
            state=charge.state.value,
            cause=charge.job.cause,
            total=price.total if price else None,
            formula=price.formula if price else "",
            lines=[
                ChargeLineBody(
                    kind=line.kind,
                    text=messages.unpacked(language, line.text),
                    formula=line.formula,
                    full_price=line.full_price,
                    amount=line.amount,
                    rule=line.rule.value if line.rule else None,
                )
                for line in lines
            ],
            payment_method=charge.payment_method,
            invoice_number=charge.invoice_number,
            policy_version=price.policy_version if price else "",
        )


class ChargeFileBody(Output):
    """All repairs of a customer and what their invoices sum to."""

    total: Decimal
    items: list[ChargeBody]
