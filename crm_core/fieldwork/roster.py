"""The roster: absences of technicians, and what is left of a day for each."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import TechnicianId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.roster import Absence, AbsenceKind
from crm_core.domain.service import Technician
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

_LONGEST = timedelta(days=366)
_DAY_MINUTES = 24 * 60


class Roster:
    """Keeps absences. A new one does not move visits by itself: plan the day again, which gives each change its reason."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

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
        asked: bool = False,
    ) -> Absence:
        """Note that a technician is away; `InvalidValue` for more than a year or the wrong way round.

        What the technician asks for (`asked`) waits for a dispatcher, except for the kinds that policy grants at once.
        """
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
                    granted=not asked or kind.value in self._policy.fieldwork.granted_at_once,
                )
            )
            uow.commit()
        return made

    def decide(self, tenant: TenantId, absence_id: int, *, granted: bool, actor: str) -> Absence:
        """Grant or refuse what a technician asked for; `Conflict` when that was decided or taken back already."""
        with self._uow_factory() as uow:
            found = uow.fieldwork.absences.get(tenant, absence_id)
            if not found.waits:
                raise Conflict(f"absence {absence_id} was decided already; read it again")
            saved = uow.fieldwork.absences.save(
                replace(found, granted=granted, taken_back=not granted, decided_by=actor)
            )
            uow.commit()
        return saved

    def set_hours(
        self, tenant: TenantId, technician_id: TechnicianId, starts: int | None, ends: int | None
    ) -> Technician:
        """Set somebody's own hours in minutes after local midnight; None for those of the firm."""
        dispatch = self._policy.dispatch
        begin = dispatch.day_starts_minutes if starts is None else starts
        end = dispatch.day_ends_minutes if ends is None else ends
        if not 0 <= begin < end <= _DAY_MINUTES:
            raise InvalidValue("a working day ends after it begins, within one day")
        with self._uow_factory() as uow:
            person = uow.technicians.get(tenant, technician_id)
            saved = replace(person, shift_starts_minutes=starts, shift_ends_minutes=ends)
            uow.technicians.save(saved)
            uow.commit()
        return saved

    def take_back(self, tenant: TenantId, absence_id: int) -> Absence:
        """Note that somebody is there after all; doing it twice changes nothing."""
        with self._uow_factory() as uow:
            found = uow.fieldwork.absences.get(tenant, absence_id)
            if not found.taken_back:
                found = uow.fieldwork.absences.save(replace(found, taken_back=True))
                uow.commit()
        return found


def absences_of(
    uow: UnitOfWork, tenant: TenantId, since: datetime, *, asked: bool = False
) -> Sequence[Absence]:
    """Return the absences that end after `since` and hold, newest first; `asked`: also those that wait for a word."""
    return [
        each
        for each in uow.fieldwork.absences.where(tenant)
        if each.ends > since and (each.holds or (asked and each.waits))
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
