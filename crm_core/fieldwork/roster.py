"""The roster: absences of technicians, and what is left of a day for each."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import TechnicianId, TenantId
from crm_core.domain.roster import Absence, AbsenceKind
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

_LONGEST = timedelta(days=366)


class Roster:
    """Keeps absences. A new one does not move visits by itself: plan the day again, which gives each change its reason."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock) -> None:
        self._uow_factory = uow_factory
        self._clock = clock

    def note_absence(
        self,
        tenant: TenantId,
        technician_id: TechnicianId,
        starts: datetime,
        ends: datetime,
        *,
        kind: AbsenceKind = AbsenceKind.ILL,
        note: str = "",
        actor: str,
    ) -> Absence:
        """Note that a technician is away; `InvalidValue` for more than a year or the wrong way round."""
        if ends - starts > _LONGEST:
            raise InvalidValue("an absence lasts a year at most; switch the technician off instead")
        with self._uow_factory() as uow:
            uow.technicians.get(tenant, technician_id)
            made = uow.fieldwork.absences.add(
                Absence(
                    tenant=tenant,
                    technician_id=technician_id,
                    kind=kind,
                    starts=starts,
                    ends=ends,
                    noted_by=actor,
                    noted_at=self._clock.now(),
                    note=note,
                )
            )
            uow.commit()
        return made

    def take_back(self, tenant: TenantId, absence_id: int) -> Absence:
        """Note that somebody is there after all; doing it twice changes nothing."""
        with self._uow_factory() as uow:
            found = uow.fieldwork.absences.get(tenant, absence_id)
            if not found.taken_back:
                found = uow.fieldwork.absences.save(replace(found, taken_back=True))
                uow.commit()
        return found


def absences_of(uow: UnitOfWork, tenant: TenantId, since: datetime) -> Sequence[Absence]:
    """Return the absences that end after `since` and hold, newest first."""
    return [
        each for each in uow.fieldwork.absences.where(tenant) if each.ends > since and not each.taken_back
    ]


def away_at(uow: UnitOfWork, tenant: TenantId, at: datetime) -> frozenset[TechnicianId]:
    """Return who is away at an instant."""
    return frozenset(each.technician_id for each in absences_of(uow, tenant, at) if each.covers(at))


def left_of(
    starts: datetime, ends: datetime, absences: Iterable[Absence]
) -> tuple[datetime, datetime] | None:
    """Return the longest stretch of a shift that no absence takes; None when nothing is left. Pure."""
    free = [(starts, ends)] if starts < ends else []
    for away in absences:
        free = [
            piece
            for begin, end in free
            for piece in ((begin, min(end, away.starts)), (max(begin, away.ends), end))
            if piece[0] < piece[1]
        ]
    return max(free, key=lambda piece: (piece[1] - piece[0], -piece[0].timestamp())) if free else None
