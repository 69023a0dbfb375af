"""What a repair costs, line by line: the words in which estimate, repair report and invoice speak (requirements 61-76)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from crm_core.domain.identity import DeviceId, TenantId


class ChargeState(StrEnum):
    """The five states of a charge (requirement 76), in their only order."""

    COLLECT = "collect"  # hours, parts and cause are gathered
    COMPUTE = "compute"  # lines and total stand
    EXPLAIN = "explain"  # the customer has been given lines and formula
    CONFIRM = "confirm"  # the customer agreed
    RECEIPT = "receipt"  # paid, or nothing was to be paid


class ChargeRule(StrEnum):
    """Why a line costs nothing or less; named on the paper."""

    COVERED_CAUSE = "covered_cause"  # rented device, cause not the customer's (requirement 13)
    WARRANTY = "warranty"  # same part of the same device again within the warranty (requirement 73)
    LONG_TERM_LABOUR = "long_term_labour"  # treatment of the class: long-term contract (requirement 103)
    LOYALTY = "loyalty"  # consumables discount by level (requirement 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCharge:
    """A part to be charged: list price each in yuan; `consumable` parts get the loyalty discount."""

    name: str
    unit_price: Decimal
    quantity: int = 1
    part_number: str | None = None
    consumable: bool = False
    under_warranty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairJob:
    """What is known of a repair when its price is asked: `hours` of labour as decimal hours.

    `covered` is True for a device under a running rental contract. `labour_free` is the
    treatment of the customer's class (requirement 103). `consumables_discount` is a share from 0 to 1 (requirement 32).
    """

    item: str
    hours: Decimal
    cause: str = "unknown"
    parts: tuple[PartCharge, ...] = ()
    covered: bool = True
    labour_under_warranty: bool = False
    labour_free: bool = False
    consumables_discount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLine:
    """One line: full price, what is charged of it, and the rule that made the difference (None = none).

    `text` is a packed message (key and arguments); `formula` is the calculation in figures, as it is printed.
    """

    kind: str  # labour or part
    text: str
    formula: str
    full_price: Decimal
    amount: Decimal
    rule: ChargeRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPrice:
    """The price of a repair under one policy version; `total` is the sum of the lines to the cent."""

    lines: tuple[ChargeLine, ...]
    total: Decimal
    full_total: Decimal
    policy_version: str

    @property
    def formula(self) -> str:
        """The whole calculation in figures, for estimate and report (requirement 75)."""
        return " + ".join(line.formula for line in self.lines) or "0.00"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeStep:
    """One move of a charge: when, who, into which state, with which remark."""

    at: datetime
    actor: str
    state: ChargeState
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairCharge:
    """The charge of one repair (one for each work order) on its way through the five states."""

    tenant: TenantId
    charge_id: int = 0
    work_order_id: int | None
    customer_id: str
    device_id: DeviceId | None
    contract_id: str | None
    state: ChargeState
    job: RepairJob
    price: RepairPrice | None = None
    steps: tuple[ChargeStep, ...] = ()
    payment_method: str | None = None
    invoice_number: str | None = None
    done_at: datetime | None = None
    version: int = 1
