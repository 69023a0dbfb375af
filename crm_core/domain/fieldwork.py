"""Field work: what a visit leaves behind - checks, parts, time, photos, signature - and what plans and estimates ask for."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from crm_core.domain.charges import RepairJob, RepairPrice
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.money import Money


class Check(StrEnum):
    """Points of the checklists. Those of telemetry are ticked by the device itself, never by a person."""

    NETWORK = "network"  # requirement 20
    DRIVER = "driver"
    TEST_PRINT = "test_print"  # ten pages without a jam, seen by telemetry
    TRAINING_VIDEO = "training_video"  # requirement 21
    TRAINING_SHOWN = "training_shown"
    HAND_OVER = "hand_over"  # the customer signed that basic operation works alone (requirement 110)
    CLEANED = "cleaned"
    COUNTERS_RESET = "counters_reset"
    TESTED = "tested"
    DATA_ERASED = "data_erased"  # nothing of the customer's leaves with the machine
    HANDED_BACK = "handed_back"  # the customer signed what was taken away


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckMark:
    """One point that was ticked: when, by whom (or by telemetry), with what was seen."""

    check: Check
    at: datetime
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartUsed:
    """A part that was put in. `unit_price` in yuan; `under_warranty` when the same part failed within its warranty."""

    kind: str
    colour: str | None = None
    part_number: str | None = None
    serial: str | None = None
    quantity: int = 1
    unit_price: Decimal = Decimal(0)
    consumable: bool = False
    under_warranty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRecord:
    """What is known of one work order's visit; one for each order. `price` stands once the visit is finished.

    `cause` is the chargeable cause of the policy (wear, user_damage, ...), `item` a row of the price list (None: the
    usual one of the policy).
    `empties` are the QR codes of cartridges taken back (requirement 29).
    """

    tenant: TenantId
    work_order_id: int
    device_id: DeviceId
    customer_id: str | None
    checks: tuple[CheckMark, ...] = ()
    parts: tuple[PartUsed, ...] = ()
    labour_minutes: int | None = None
    cause: str = "unknown"
    item: str | None = None
    empties: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()  # names of those who were shown the device
    signed_by: str = ""
    finished_at: datetime | None = None
    job: RepairJob | None = None
    price: RepairPrice | None = None
    visit_id: int = 0
    version: int = 1

    @property
    def total(self) -> Money:
        """What the customer pays for the visit; nothing before it is finished."""
        return Money(self.price.total if self.price is not None else Decimal(0))

    def mark(self, check: Check) -> CheckMark | None:
        """Return the mark of a point, or None while it is open."""
        return next((each for each in self.checks if each.check is check), None)


class AttachmentKind(StrEnum):
    """What a file at a work order shows."""

    PHOTO = "photo"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file at a work order; the bytes lie in the attachment store under their SHA-256."""

    tenant: TenantId
    work_order_id: int
    kind: AttachmentKind
    sha256: str
    media_type: str
    size_bytes: int
    added_at: datetime
    added_by: str
    note: str = ""
    attachment_id: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenancePlan:
    """Regular care of a device: by pages or days, whichever comes first (requirements 74, 112).

    `last_at` and `last_count` are of the last care, or of the plan's beginning.
    """

    tenant: TenantId
    device_id: DeviceId
    every_pages: int | None
    every_days: int | None
    last_at: datetime
    last_count: int | None
    name: str = "maintenance"
    parts: tuple[str, ...] = ()  # kinds to bring
    active: bool = True
    work_order_id: int | None = None  # the open order that the plan made
    plan_id: int = 0
    version: int = 1


class EstimateState(StrEnum):
    """An estimate's way."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a repair will probably cost: from past repairs of the same kind where there are enough, else the list.

    `low` and `high` are P10 and P90 in yuan over `basis` past repairs (0: price list), `price` is the list calculation
    whose formula is printed. Chargeable work needs an accepted one, with the method of payment (requirements 62, 63,
    75, 106).
    """

    tenant: TenantId
    ticket_id: int
    device_id: DeviceId
    customer_id: str | None
    item: str
    low: Decimal
    high: Decimal
    basis: int
    price: RepairPrice
    offered_at: datetime
    offered_by: str
    state: EstimateState = EstimateState.OFFERED
    payment_method: str | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    note: str = ""
    detail: dict[str, str] = field(default_factory=dict)
    estimate_id: int = 0
    version: int = 1
