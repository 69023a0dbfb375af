"""What people state of a meter that no network reads: number, time, who said it, and a photo as evidence beside it.

No text is read from the photo: it lies under its SHA-256 for whoever doubts the number.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from crm_core.domain.billing import MeterPoint, Quality
from crm_core.domain.identity import CustomerId, DeviceId, TenantId

#: How the evidence of a meter point begins that rests on a statement: `statement:<number>:<source>`.
EVIDENCE: Final = "statement:"


class StatementSource(StrEnum):
    """Who read the meter off."""

    CUSTOMER = "customer"
    TECHNICIAN = "technician"
    STAFF = "staff"


class StatementState(StrEnum):
    """Whether the month end may rest on it."""

    ACCEPTED = "accepted"
    WAITING = "waiting"  # it stands, though it is not plausible: a specialist looks at it first
    REFUSED = "refused"


class Doubt(StrEnum):
    """Why a stated number is not plausible."""

    ROLLED_BACK = "rolled_back"  # less than the meter showed before
    ABOVE_NEXT = "above_next"  # more than the meter showed afterwards
    TOO_FAST = "too_fast"  # more pages than any copier prints in the time
    FAR_FROM_EXPECTED = "far_from_expected"
    PARTS_DIFFER = "parts_differ"  # mono and colour do not sum to the total


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatement:
    """The billing meter of a device as somebody read it off at `read_at`; one for each device, instant and total."""

    tenant: TenantId
    statement_id: int = 0
    device_id: DeviceId
    customer_id: CustomerId
    read_at: datetime
    total: int
    mono: int | None = None
    colour: int | None = None
    source: StatementSource
    stated_by: str
    stated_at: datetime
    state: StatementState = StatementState.ACCEPTED
    doubts: tuple[Doubt, ...] = ()
    photo_sha256: str | None = None
    photo_type: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    note: str = ""
    version: int = 1

    @property
    def point(self) -> MeterPoint:
        """The statement as a point of the billing meter."""
        return MeterPoint(
            at=self.read_at,
            total=self.total,
            mono=self.mono,
            colour=self.colour,
            quality=Quality.STATED,
            evidence=f"{EVIDENCE}{self.statement_id}:{self.source}",
        )


def source_of(point: MeterPoint) -> StatementSource | None:
    """Return who stated a point of the meter, or None for one that rests on no such statement."""
    if not point.evidence.startswith(EVIDENCE):
        return None
    return StatementSource(point.evidence.rpartition(":")[2])
