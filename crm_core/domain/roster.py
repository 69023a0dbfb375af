"""Who works when: absences of technicians."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import TechnicianId, TenantId


class AbsenceKind(StrEnum):
    """Why somebody is away."""

    ILL = "ill"
    LEAVE = "leave"
    TRAINING = "training"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A technician is away from `starts` until before `ends`; one that was taken back stays in the file.

    What a technician asks for is not `granted` until a dispatcher says so; until then everybody counts on the person.
    """

    tenant: TenantId
    technician_id: TechnicianId
    kind: AbsenceKind
    starts: datetime
    ends: datetime
    noted_by: str
    noted_at: datetime
    note: str = ""
    taken_back: bool = False
    granted: bool = True
    decided_by: str = ""
    absence_id: int = 0
    version: int = 1

    def __post_init__(self) -> None:
        if self.ends <= self.starts:
            raise InvalidValue("an absence ends after it begins")

    @property
    def holds(self) -> bool:
        """True if the day plan has to do without the person."""
        return self.granted and not self.taken_back

    @property
    def waits(self) -> bool:
        """True while nobody has decided on what was asked for."""
        return not self.granted and not self.taken_back

    def covers(self, at: datetime) -> bool:
        """Return True if the technician is away at an instant."""
        return self.holds and self.starts <= at < self.ends
